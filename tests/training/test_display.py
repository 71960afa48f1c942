import io

import pytest
from rich.console import Console
from training_runs import Run, small_stage

from colabel.training.display import BarDisplay, LineDisplay, make_display


def printed(display_class, tmp_path, **options):
    stream = io.StringIO()
    display = display_class(Console(file=stream, width=160, **options))
    Run(tmp_path, small_stage(epochs=2)).fit(display=display)
    return stream.getvalue()


def test_lines_say_an_epoch_each(tmp_path):
    lines = printed(LineDisplay, tmp_path).splitlines()
    assert lines[0] == "stage kernels: 2 epochs, 6 steps"
    assert lines[1].startswith("kernels epoch 1/2: loss ")
    assert "(asymmetric " in lines[1]
    assert ", mAP 0." in lines[1]
    assert lines[2].startswith("kernels epoch 2/2: loss ")
    assert lines[3] == "training is complete."
    assert len(lines) == 4


def test_the_bar_shows_losses_speed_and_steps(tmp_path):
    text = printed(BarDisplay, tmp_path, force_terminal=True)
    assert "kernels epoch 2/2" in text
    assert "6/6" in text
    assert "images/s; asymmetric " in text
    assert "0:00:0" in text


@pytest.mark.parametrize(("terminal", "kind"), [("1", BarDisplay), ("", LineDisplay)])
def test_the_bar_is_for_terminals(monkeypatch, terminal, kind):
    monkeypatch.setenv("FORCE_COLOR", terminal)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    assert isinstance(make_display(), kind)

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from training_runs import Run, small_stage

from colabel.training.display import BarDisplay, LineDisplay, Progression, make_display


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


@pytest.mark.parametrize("display_class", [LineDisplay, BarDisplay])
def test_names_are_shown_as_they_are(display_class):
    stream = io.StringIO()
    terminal = display_class is BarDisplay
    display = display_class(
        Console(file=stream, width=160, force_terminal=terminal, color_system=None)
    )
    stage = replace(small_stage(epochs=2), name="a [/b] :smile:\x1b[2J")
    display.start_stage(stage, step=0, steps=6)
    display.show_step(Progression(stage.name, 1, 1, 6, {"[/loss]": 1.0}, 5.0))
    record = {"epoch": 1, "loss": 1.0, "terms": {}, "score": None, "images_per_second": 5.0}
    display.show_epoch(stage, record | {"seconds": 1.0, "validation_seconds": 0.0})
    display.note("c [/d] :smile:\x1b[2J\nerror: e")
    display.close()
    text = stream.getvalue()
    assert "\x1b[2J" not in text
    assert "c [/d] :smile:\\x1b[2J\n  error: e\n" in text
    assert "a [/b] :smile:\\x1b[2J" in text
    assert not terminal or "[/loss] 1" in text


@pytest.mark.parametrize("display_class", [LineDisplay, BarDisplay])
@pytest.mark.parametrize(
    ("alone", "epochs", "expected"),
    [
        (True, 7, range(1, 8)),
        (True, 100, [33, *range(10, 101, 10)]),
        (True, 25, [*range(3, 25, 3), 25]),
        (False, 100, range(1, 101)),
    ],
)
def test_many_epochs_of_a_head_alone_have_few_lines(display_class, alone, epochs, expected):
    """Of those that are not validated: of 100, the 33rd is here, and the last of 25."""
    stream = io.StringIO()
    display = display_class(Console(file=stream, width=160))
    plain = small_stage(epochs=epochs)
    encoder = next(plain.model.children())
    stage = replace(plain, encoder=encoder, frozen=(encoder,)) if alone else plain
    record = {"loss": 1.0, "terms": {}, "images_per_second": 5.0, "monitor": "mAP", "best": False}
    for epoch in range(1, epochs + 1):
        score = 0.5 if epoch == {100: 33, 25: 25}.get(epochs) else None
        times = {"seconds": 1.0, "validation_seconds": 0.0}
        display.show_epoch(stage, {**record, **times, "epoch": epoch, "score": score})
    display.close()
    numbers = re.findall(r"epoch (\d+)/", stream.getvalue())
    assert sorted(map(int, numbers)) == sorted(expected)

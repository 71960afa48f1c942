"""The last diagnostics of every epoch: in the log, before the alarm, and over an interruption."""

import io
import math
import signal
from dataclasses import replace

import pytest
from rich.console import Console
from training_runs import Run, records_of_log, small_stage, square_objective

from colabel.training import Objective
from colabel.training.display import LineDisplay


class Display(LineDisplay):
    """Plain lines into memory; Ctrl-C at a step."""

    def __init__(self, stop_at=None):
        self.stream = io.StringIO()
        super().__init__(Console(file=self.stream, width=160))
        self.stop_at = stop_at
        self.steps = 0

    def show_step(self, progression):
        super().show_step(progression)
        self.steps += 1
        if self.steps == self.stop_at:
            signal.raise_signal(signal.SIGINT)

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()


def counted(alarm=None, *, value=float):
    """An objective whose diagnostics count how often they were taken."""
    taken = []

    def diagnose(logits, targets):
        taken.append(1)
        return {"taken": value(len(taken))}

    (square,) = square_objective().terms
    return Objective((replace(square, diagnostics=diagnose, alarm=alarm),))


def above_three(diagnostics):
    taken = diagnostics.get("taken")
    return None if taken is None or taken <= 3 else f"taken {taken:.0f} times"


def epochs_of(folder, *keys):
    return [tuple(record[key] for key in keys) for record in records_of_log(folder, "epoch")]


def test_the_alarm_hears_the_last_diagnostics_of_every_epoch(tmp_path):
    """Three batches an epoch, measured at each: 3, 6 and 9 are the last."""
    run = Run(tmp_path, small_stage(objective=counted(above_three)), log_every=1)
    display = Display()
    history = run.fit(display=display)
    assert epochs_of(tmp_path, "diagnostics", "warning") == [
        ({"taken": 3.0}, None),
        ({"taken": 6.0}, "taken 6 times"),
        ({"taken": 9.0}, "taken 9 times"),
    ]
    warnings = [line for line in display.lines if "warning" in line]
    assert warnings == ["warning: taken 6 times", "warning: taken 9 times"]  # another subject
    first = display.lines.index(warnings[0])
    assert display.lines[first - 1].startswith("kernels epoch 2/3")
    assert history.warnings == ("taken 6 times", "taken 9 times")


def test_a_warning_that_goes_on_is_told_once_and_again_when_it_comes_back(tmp_path):
    said = {3: "too close: 3", 6: "too close: 6", 12: "too close: 12", 15: "too far: 15"}

    def alarm(diagnostics):
        return said.get(diagnostics.get("taken"))

    display = Display()
    stage = replace(small_stage(objective=counted(alarm)), epochs=6)
    history = Run(tmp_path, stage, log_every=1).fit(display=display)
    assert [line for line in display.lines if "warning" in line] == [
        "warning: too close: 3",
        "warning: too close: 12",
        "warning: too far: 15",
    ]
    assert [warning for (warning,) in epochs_of(tmp_path, "warning")] == [
        said.get(3 * epoch) for epoch in range(1, 7)
    ]
    assert history.warnings == ("too close: 12", "too far: 15")


@pytest.mark.parametrize("pairwise", [False, True])
def test_a_term_that_is_0_in_all_batches_is_told(tmp_path, pairwise):
    (square,) = square_objective().terms
    silent = replace(
        square, name="silent", loss=lambda logits, _: 0 * logits.sum(), pairwise=pairwise
    )
    objective = Objective((square, replace(silent, name="unused", weight=0.0), silent))
    history = Run(tmp_path, small_stage(objective=objective)).fit()
    (warning,) = history.warnings
    assert warning.startswith("the term silent was 0 in every batch: nothing is learned from it.")
    assert ("larger training.batch_size" in warning) == pairwise


def test_without_an_alarm_nobody_warns(tmp_path):
    display = Display()
    Run(tmp_path, small_stage(objective=counted()), log_every=1).fit(display=display)
    assert epochs_of(tmp_path, "warning") == [(None,)] * 3
    assert not [line for line in display.lines if "warning" in line]


def test_the_last_step_of_every_epoch_is_measured(tmp_path):
    """Three batches an epoch: the first step of all, and each epoch's last."""
    heard = []
    objective = counted(lambda diagnostics: heard.append(dict(diagnostics)))
    Run(tmp_path, small_stage(objective=objective), log_every=100).fit()
    expected = [{"taken": 2.0}, {"taken": 3.0}, {"taken": 4.0}]
    assert epochs_of(tmp_path, "diagnostics") == [(found,) for found in expected]
    assert heard == expected


@pytest.mark.parametrize("step", [1, 2])
def test_a_resumed_epoch_has_its_diagnostics_and_its_warning(tmp_path, step):
    def alarm(diagnostics):
        return f"taken {diagnostics['taken']:.0f} times"

    stage = small_stage(objective=counted(alarm))
    assert not Run(tmp_path, stage, log_every=100).fit(display=Display(step)).finished
    resumed = small_stage(objective=counted(alarm))  # counts from 0
    assert Run(tmp_path, resumed, log_every=100).fit(resume=True).finished
    assert epochs_of(tmp_path, "diagnostics", "warning") == [
        ({"taken": float(number)}, f"taken {number} times") for number in (1, 2, 3)
    ]


def test_what_is_no_number_is_logged_as_null_and_kept_from_the_alarm(tmp_path):
    heard = []

    def alarm(diagnostics):
        heard.append(dict(diagnostics))

    def nothing(_):
        return math.nan

    Run(tmp_path, small_stage(objective=counted(alarm, value=nothing)), log_every=100).fit()
    assert epochs_of(tmp_path, "diagnostics")[0] == ({"taken": None},)
    assert heard == [{}, {}, {}]

"""What a person sees while a model trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from colabel.printing import PlainConsole, printable, printable_lines
from colabel.training.stage import Stage

_MOST_QUICK_LINES = 10
"""Of the epochs of a head alone, of which a hundred may pass in seconds."""


@dataclass(frozen=True)
class Progression:
    """Where the training stands after a step.

    Args:
        stage: its name.
        epoch: counted from 1.
        step: steps of this stage taken so far.
        steps: steps of this stage in all.
        terms: weighted losses of the step.
        images_per_second: over all processes, in this epoch.
    """

    stage: str
    epoch: int
    step: int
    steps: int
    terms: Mapping[str, float]
    images_per_second: float


class Display(Protocol):
    """What the loop tells, on the main process."""

    def start_stage(self, stage: Stage, *, step: int, steps: int) -> None:
        """Hear that a stage begins, or goes on at a step."""
        ...

    def show_step(self, progression: Progression) -> None:
        """Hear that a step was taken."""
        ...

    def show_epoch(self, stage: Stage, record: Mapping[str, Any]) -> None:
        """Hear that an epoch ended; the record is the epoch's line of the log."""
        ...

    def note(self, text: str) -> None:
        """Hear a sentence for the user."""
        ...

    def close(self) -> None:
        """Hear that nothing more will come."""
        ...


class LineDisplay:
    """One plain line per epoch, for files and pipes.

    Args:
        console: where the lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs = 0

    def start_stage(self, stage: Stage, *, step: int, steps: int) -> None:
        """Remember how many epochs there will be."""
        self._epochs = stage.epochs
        at = f", going on after {step} of {steps} steps" if step else f", {steps} steps"
        self.note(f"stage {stage.name}: {stage.epochs} epochs{at}")

    def show_step(self, progression: Progression) -> None:
        """Say nothing: steps are for bars."""

    def show_epoch(self, stage: Stage, record: Mapping[str, Any]) -> None:
        """Write the epoch's line."""
        if _has_line(stage, record):
            self.note(epoch_line(stage, record))

    def note(self, text: str) -> None:
        """Write a line."""
        self._console.print(Text(printable_lines(text)), soft_wrap=True)

    def close(self) -> None:
        """Do nothing: every line is out."""


class BarDisplay:
    """A bar per stage with losses, images per second and the time left; a line per epoch above it.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
        )
        self._task: TaskID | None = None
        self._epochs = 0

    def start_stage(self, stage: Stage, *, step: int, steps: int) -> None:
        """Start the bar of the stage."""
        self._epochs = stage.epochs
        self._end_bar()
        self._task = self._progress.add_task(
            printable(stage.name), total=steps, completed=step, status=""
        )
        self._progress.start()

    def show_step(self, progression: Progression) -> None:
        """Move the bar."""
        if self._task is None:
            return
        terms = ", ".join(f"{name} {value:.3g}" for name, value in progression.terms.items())
        self._progress.update(
            self._task,
            completed=progression.step,
            description=printable(f"{progression.stage} epoch {progression.epoch}/{self._epochs}"),
            status=printable(f"{progression.images_per_second:.0f} images/s; {terms}"),
        )

    def show_epoch(self, stage: Stage, record: Mapping[str, Any]) -> None:
        """Write the epoch's line above the bar, which then stands at the epoch's end."""
        self._progress.refresh()
        if _has_line(stage, record):
            self.note(epoch_line(stage, record))

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(Text(printable_lines(text)), soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._end_bar()
        self._progress.stop()

    def _end_bar(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def make_display() -> Display:
    """Return a bar where standard error is a terminal, and plain lines on it elsewhere."""
    console = PlainConsole(stderr=True)
    return BarDisplay(console) if console.is_terminal else LineDisplay(console)


def _has_line(stage: Stage, record: Mapping[str, Any]) -> bool:
    """Tell whether an epoch has a line: of a head alone, not validated, ten in all have one."""
    every = 1 if stage.encoder is None else -(-stage.epochs // _MOST_QUICK_LINES)
    return record["score"] is not None or record["epoch"] % every == 0


def epoch_line(stage: Stage, record: Mapping[str, Any]) -> str:
    """Return an epoch's line of the log as a sentence.

    Example:
        >>> from colabel.training.objective import Objective, Term
        >>> objective = Objective((Term("square", lambda *_: None),))
        >>> from torch import nn
        >>> stage = Stage("fit", nn.Linear(1, 1), objective, epochs=3, learning_rate=0.1)
        >>> epoch_line(stage, {
        ...     "epoch": 2, "loss": 1.5, "terms": {"square": {"weighted": 1.5}}, "monitor": "mAP",
        ...     "score": 0.5, "best": True, "images_per_second": 99.6, "seconds": 12.2,
        ...     "validation_seconds": 3.0,
        ... })
        'fit epoch 2/3: loss 1.5 (square 1.5), mAP 0.5000 (best), 100 images/s, 15 s'
    """
    terms = ", ".join(
        f"{name} {values['weighted']:.4g}" for name, values in record["terms"].items()
    )
    parts = [f"loss {record['loss']:.4g} ({terms})"]
    if record["score"] is not None:
        parts.append(
            f"{record['monitor']} {record['score']:.4f}" + (" (best)" if record["best"] else "")
        )
    parts.append(f"{record['images_per_second']:.0f} images/s")
    parts.append(f"{record['seconds'] + record['validation_seconds']:.0f} s")
    return f"{stage.name} epoch {record['epoch']}/{stage.epochs}: {', '.join(parts)}"

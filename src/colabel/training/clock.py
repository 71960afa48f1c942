"""The time a run may take, and how its schedule is shortened to end in it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from colabel.errors import RunError
from colabel.files import make_folder, read_json, write_json

TO_FINISH = 4.0
"""Seconds kept for what comes after the last validation: numbers, pictures (for which a library
is loaded), the state, and the end of the process, which takes a second or more itself."""
_EVERY = 10
"""Steps between two looks at the clock, after the first few."""
_GENTLE = 0.1
"""Part of a schedule that may be left out at its end with the learning rate near 0 nonetheless."""
_VALIDATION_COST = 0.5
"""Of an image that is only scored, against one that is learnt from, until it is measured."""
_NOTED_EVERY = 2.0
"""Seconds between two notes of the time spent: what a kill may cost."""


SPENT = "spent.json"
"""The file, beside the state to go on from, that has the time spent."""


def noted_seconds(file: Path) -> float:
    """Return the seconds that a run had taken when it last noted them, perhaps before a kill.

    Args:
        file: that :meth:`Clock.note` wrote.

    Returns:
        0 where the file is missing, torn or was edited: then less is known, and the run goes on.

    Example:
        >>> noted_seconds(Path("nowhere/spent.json"))
        0.0
    """
    with suppress(RunError, KeyError, TypeError, ValueError, OverflowError):
        seconds = float(read_json(file)["seconds"])
        return seconds if 0 <= seconds < math.inf else 0.0
    return 0.0


class Clock:
    """Tells by how much a schedule has to be shortened to end in time.

    The time is that of the run while it is worked on: what passes between an interruption and
    its resumption does not count.

    Args:
        seconds: that the run may take, positive.
        validation_share: validation images for each training image.
        began: reading of :func:`time.monotonic` when the run, or its resumption, began; ``None``
            for now.
        spent_before: seconds that the run had taken before it was resumed.
        notes: file for the time spent, so that it counts after a kill; ``None`` to note nothing,
            as all processes but the first do.

    Example:
        >>> clock = Clock(100 + TO_FINISH, validation_share=0.0)
        >>> round(clock.stride(steps=100, batches=50, seconds_per_step=0.5), 2)  # half the time
        1.0
        >>> round(clock.stride(steps=100, batches=50, seconds_per_step=2.0), 2)  # twice the time
        2.0
    """

    def __init__(
        self,
        seconds: float,
        *,
        validation_share: float,
        began: float | None = None,
        spent_before: float = 0.0,
        notes: Path | None = None,
    ) -> None:
        self.seconds = seconds
        self.validation_seconds: float | None = None
        """Of the last validation and what is saved with it; ``None`` before there was one."""
        self._validation_share = validation_share
        self._began = time.monotonic() if began is None else began
        self._spent_before = spent_before
        self._notes = notes
        self._noted_at = -math.inf

    @property
    def spent(self) -> float:
        """Seconds that the run has taken so far, its interruptions not counted."""
        return self._spent_before + time.monotonic() - self._began

    def note(self) -> None:
        """Write the time spent to the disk, if that was not done within the last two seconds.

        A disk that refuses stops nothing: the state that is saved later says what is wrong.
        """
        now = time.monotonic()
        if self._notes is None or now - self._noted_at < _NOTED_EVERY:
            return
        self._noted_at = now
        with suppress(RunError):
            make_folder(self._notes.parent)
            write_json(self._notes, {"seconds": self.spent})

    @contextmanager
    def noting(self, module: nn.Module) -> Iterator[None]:
        """Note the time spent whenever a module has computed something, which may take minutes."""
        hook = module.register_forward_hook(lambda *_: self.note())
        try:
            yield
        finally:
            hook.remove()

    def stride(self, *, steps: int, batches: int, seconds_per_step: float) -> float:
        """Return how many steps of the schedule each of the following steps has to cover.

        Args:
            steps: of the schedule that are left after the one that was just made.
            batches: of an epoch, after which there is a validation.
            seconds_per_step: as measured.

        Returns:
            1 if all of them fit into the time that is left; more if they do not; infinity if
            no further step does.
        """
        validation = self.validation_seconds
        if validation is None:
            each = seconds_per_step * batches
            validation = each * self._validation_share * _VALIDATION_COST
        left = self.seconds - TO_FINISH - self.spent
        if steps * seconds_per_step + (steps // batches + 1) * validation <= left:
            return 1.0
        left -= validation  # that of the epoch which is cut short
        if left <= 0:
            return math.inf
        return max(1.0, steps * (seconds_per_step + validation / batches) / left)


class Pace:
    """A learning-rate schedule that a clock may shorten.

    Args:
        schedule: of the stage.
        clock: of the run, or ``None`` for one that takes as long as it takes.
        accelerator: whose processes keep the same pace.
        batches: of an epoch.
    """

    def __init__(
        self,
        schedule: OneCycleLR,
        clock: Clock | None,
        accelerator: Accelerator,
        *,
        batches: int,
    ) -> None:
        self._schedule = schedule
        self._total = schedule.total_steps
        self._clock = clock
        self._accelerator = accelerator
        self._batches = batches
        self._seconds, self._steps = 0.0, 0
        self._last: float | None = None
        self._stride, self._owed, self._skipped = 1.0, 0.0, 0
        self._cut_short = False

    @property
    def is_over(self) -> bool:
        """Whether the time is limited and the schedule is at its end."""
        return self._clock is not None and self._schedule.last_epoch >= self._total

    @property
    def shortened(self) -> str:
        """A sentence about what was left out for lack of time; empty if nothing was."""
        if self._clock is None or not self._skipped:
            return ""
        total, seconds = self._total, self._clock.seconds
        given = f"{seconds:.3g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"
        late = self._clock.spent > seconds
        end = (
            "it was over before the learning rate could be brought down: give the run more time"
            if self._cut_short
            else f"the learning rate was brought down {'nonetheless' if late else 'in time'}"
        )
        made = total - self._skipped
        if not made:
            return (
                f"{given} were over before the first of its {total} steps: give the run more time"
            )
        return f"{given} left time for {made} of the {total} steps; {end}"

    def resume(self, *, step: int) -> None:
        """Hear how many steps were made before the run was interrupted; the schedule is restored.

        Args:
            step: of the stage; those that mixed precision left out make it a few too many.
        """
        self._skipped = max(0, self._schedule.last_epoch - step)

    def begin(self, *, has_model: bool) -> None:
        """Look at the clock before the first step, which may come after the time was over.

        Args:
            has_model: whether a model was kept, with which the run can end at once where no step
                fits any more; without one a single step is made and validated.
        """
        if self._clock is None or self._agreed_stride(self._clock, 0.0) < self._total:
            return
        if has_model:
            left = self._total - self._schedule.last_epoch
            self._leave_out(left, left)
        else:
            self._stride = self._total

    def step(self) -> None:
        """Move the schedule on, by more than one step if the time is short."""
        if self._clock is not None:
            self._clock.note()
            self._measure(self._clock)
            self._owed = min(self._owed + self._stride - 1, self._total)
            left = self._total - self._schedule.last_epoch - 1
            skipped = min(int(self._owed), left)
            self._owed -= skipped
            self._leave_out(skipped, left)
        self._schedule.step()

    @contextmanager
    def noting(self, model: nn.Module) -> Iterator[None]:
        """Note the time spent after each batch of a validation."""
        with nullcontext() if self._clock is None else self._clock.noting(model):
            yield

    def rest(self, began: float) -> None:
        """Hear that an epoch was validated and saved; what follows is the time of a step again.

        Args:
            began: reading of :func:`time.monotonic` after the epoch's last step.
        """
        self._last = time.monotonic()
        if self._clock is not None:
            self._clock.validation_seconds = self._last - began

    def _measure(self, clock: Clock) -> None:
        """Take the time of the step, and see every now and then whether it is short."""
        now = time.monotonic()
        if self._last is not None:
            self._seconds += now - self._last
            self._steps += 1
        self._last = now
        if not self._steps or (self._steps > _EVERY and self._steps % _EVERY):
            return
        self._stride = self._agreed_stride(clock, self._seconds / self._steps)

    def _agreed_stride(self, clock: Clock, seconds_per_step: float) -> float:
        """Return the stride of all processes together; the whole schedule if no step fits."""
        stride = clock.stride(
            steps=self._total - self._schedule.last_epoch - 1,
            batches=self._batches,
            seconds_per_step=seconds_per_step,
        )
        stride = min(stride, self._total)
        if self._accelerator.num_processes > 1:
            agreed = torch.tensor([float(stride)], device=self._accelerator.device)
            stride = float(self._accelerator.reduce(agreed, reduction="mean"))
        return stride

    def _leave_out(self, steps: int, left: int) -> None:
        """Move the schedule on by steps that are not made, of those that are left."""
        self._skipped += steps
        self._cut_short = steps > _GENTLE * self._total and steps == left
        self._schedule.last_epoch += steps

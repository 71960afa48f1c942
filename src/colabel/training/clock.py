"""The time a run may take, and how its schedule is shortened to end in it."""

from __future__ import annotations

import math
import time

import torch
from accelerate import Accelerator
from torch.optim.lr_scheduler import OneCycleLR

TO_FINISH = 4.0
"""Seconds kept for what comes after the last validation: numbers, pictures (for which a library
is loaded), the state, and the end of the process, which takes a second or more itself."""
_EVERY = 10
"""Steps between two looks at the clock, after the first few."""
_GENTLE = 0.1
"""Part of a schedule that may be left out at its end with the learning rate near 0 nonetheless."""
_VALIDATION_COST = 0.5
"""Of an image that is only scored, against one that is learnt from, until it is measured."""


class Clock:
    """Tells by how much a schedule has to be shortened to end in time.

    The time is that of the run while it is worked on: what passes between an interruption and
    its resumption does not count.

    Args:
        seconds: that the run may take, positive.
        validation_share: validation images for each training image.
        began: reading of :func:`time.monotonic` when the run, or its resumption, began; ``None``
            for now.

    Example:
        >>> clock = Clock(100 + TO_FINISH, validation_share=0.0)
        >>> round(clock.stride(steps=100, batches=50, seconds_per_step=0.5), 2)  # half the time
        1.0
        >>> round(clock.stride(steps=100, batches=50, seconds_per_step=2.0), 2)  # twice the time
        2.0
    """

    def __init__(
        self, seconds: float, *, validation_share: float, began: float | None = None
    ) -> None:
        self.seconds = seconds
        self.spent_before = 0.0
        self.validation_seconds: float | None = None
        """Of the last validation and what is saved with it; ``None`` before there was one."""
        self._validation_share = validation_share
        self._began = time.monotonic() if began is None else began

    @property
    def spent(self) -> float:
        """Seconds that the run has taken so far, its interruptions not counted."""
        return self.spent_before + time.monotonic() - self._began

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
        return self._clock is not None and self._schedule.last_epoch >= self._schedule.total_steps

    @property
    def shortened(self) -> str:
        """A sentence about what was left out for lack of time; empty if nothing was."""
        if self._clock is None or not self._skipped:
            return ""
        total, seconds = self._schedule.total_steps, self._clock.seconds
        given = f"{seconds:.3g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"
        end = (
            "they were over before the learning rate could be brought down: give the run more time"
            if self._cut_short
            else "the learning rate was brought down in time"
        )
        return f"{given} were enough for {total - self._skipped} of the {total} steps; {end}"

    def resume(self, *, step: int) -> None:
        """Hear how many steps were made before the run was interrupted; the schedule is restored.

        Args:
            step: of the stage; those that mixed precision left out make it a few too many.
        """
        self._skipped = max(0, self._schedule.last_epoch - step)

    def step(self) -> None:
        """Move the schedule on, by more than one step if the time is short."""
        if self._clock is not None:
            self._measure(self._clock)
            self._owed = min(self._owed + self._stride - 1, self._schedule.total_steps)
            left = self._schedule.total_steps - self._schedule.last_epoch - 1
            skipped = min(int(self._owed), left)
            self._owed -= skipped
            self._skipped += skipped
            self._cut_short = skipped > _GENTLE * self._schedule.total_steps and skipped == left
            self._schedule.last_epoch += skipped
        self._schedule.step()

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
        stride = clock.stride(
            steps=self._schedule.total_steps - self._schedule.last_epoch - 1,
            batches=self._batches,
            seconds_per_step=self._seconds / self._steps,
        )
        self._stride = min(stride, self._schedule.total_steps)
        if self._accelerator.num_processes > 1:
            agreed = torch.tensor([self._stride], device=self._accelerator.device)
            self._stride = float(self._accelerator.reduce(agreed, reduction="mean"))

"""What ends a trial that is worse than most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import Trial

from colabel.config import Config
from colabel.training import Display, Stage
from colabel.training.display import Progression


class CutShort(Exception):
    """A trial that is worse than most."""


class Judge:
    """A display that hears of every epoch, and cuts a trial short that is worse than most.

    Args:
        study: the trials so far.
        trial: the one that is trained.
        config: its recipe, whose stages give each epoch its number in the run.
        display: what the user sees; ``None`` for nothing.
    """

    def __init__(
        self, study: optuna.Study, trial: Trial, config: Config, display: Display | None
    ) -> None:
        self._study, self._trial, self._display = study, trial, display
        self._before: dict[str, int] = {}
        self._epochs = 0
        for stage in config.stages():
            self._before[stage.name] = self._epochs
            self._epochs += stage.epochs

    def start_stage(self, stage: Stage, *, step: int, steps: int) -> None:
        """Pass it on."""
        if self._display is not None:
            self._display.start_stage(stage, step=step, steps=steps)

    def show_step(self, progression: Progression) -> None:
        """Pass it on."""
        if self._display is not None:
            self._display.show_step(progression)

    def show_epoch(self, stage: Stage, record: Mapping[str, Any]) -> None:
        """Pass it on, and judge.

        Raises:
            CutShort: if the trial is to end here.
        """
        if self._display is not None:
            self._display.show_epoch(stage, record)
        if record["score"] is None:
            return
        epoch = self._before[stage.name] + record["epoch"]
        reported = self._study.get_trials(deepcopy=False)[self._trial.number].intermediate_values
        if epoch not in reported:  # a resumed run has some of its epochs once more
            self._trial.report(float(record["score"]), epoch)
        if epoch < self._epochs and self._trial.should_prune():
            raise CutShort

    def note(self, text: str) -> None:
        """Pass it on."""
        if self._display is not None:
            self._display.note(text)

    def close(self) -> None:
        """Pass it on."""
        if self._display is not None:
            self._display.close()

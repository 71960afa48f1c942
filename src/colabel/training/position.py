"""The position of a run, and the state that its stages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from colabel.settings import Training
from colabel.training.checkpoint import load_state
from colabel.training.clock import Clock
from colabel.training.display import Display
from colabel.training.interruption import Interruption
from colabel.training.log import TrainingLog
from colabel.training.stage import Stage


@dataclass
class Position:
    """The position of a run: the next batch, and the sums of the current epoch so far.

    Args:
        stage: index of the stage.
        epoch: epochs of the stage that are complete.
        batch: batches of the current epoch that are done.
        step: steps of the whole run that are done.
        seconds: spent on the current epoch.
        totals: per term, the sum of its unweighted values over the current epoch.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    totals: dict[str, float] = field(default_factory=dict)

    def mean_losses(self, weights: Mapping[str, float]) -> dict[str, Any]:
        """Return the mean loss and terms of the epoch so far, as the log has them.

        Args:
            weights: of each term; one of weight 0 counts 0, whatever its value.
        """
        batches = max(self.batch, 1)
        terms = {
            name: {
                "raw": total / batches,
                "weighted": weights[name] * total / batches if weights[name] else 0.0,
            }
            for name, total in self.totals.items()
        }
        return {"loss": sum(term["weighted"] for term in terms.values()), "terms": terms}


def told_of_state(folder: Path) -> str:
    """Return in words what is saved of the training so far.

    Args:
        folder: of :func:`colabel.training.checkpoint.save_state`.
    """
    kept = load_state(folder)
    if kept is None:
        return "no state was saved yet"
    before = Position(**kept.facts["position"])
    return f"the state after {before.epoch} epochs and {before.batch} batches is kept in {folder}"


@dataclass
class SharedState:
    """The state that all stages of a run share.

    Args:
        accelerator: device, precision and processes.
        settings: numbers of the training.
        folder: of the saved state.
        plan: what a resumed run is compared with.
        log: on the main process.
        display: on the main process, or ``None``.
        interruption: whether a stop was requested.
        validate: metrics of a stage's model.
        on_best: keeps a model.
        monitor: the metric that decides.
        clock: of a run whose time is limited, or ``None``.
        position: the next batch.
        best: the log's line of the best epoch so far, of whatever stage.
    """

    accelerator: Accelerator
    settings: Training
    folder: Path
    plan: Mapping[str, Any]
    log: TrainingLog | None
    display: Display | None
    interruption: Interruption
    validate: Callable[[Stage, nn.Module], Mapping[str, float]]
    on_best: Callable[[nn.Module, Mapping[str, Any]], None]
    monitor: str
    clock: Clock | None = None
    position: Position = field(default_factory=Position)
    best: Mapping[str, Any] | None = None

    def enter(self, stage: int) -> None:
        """Move to the beginning of a stage."""
        self.position = Position(stage=stage, step=self.position.step)

    def where(self, stages: Sequence[Stage]) -> str:
        """Return the position in words."""
        position = self.position
        return (
            f"in stage {stages[position.stage].name!r} after {position.epoch} epochs "
            f"and {position.batch} batches"
        )

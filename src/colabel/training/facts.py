"""What a saved state says beside its tensors, checked before anything goes on from it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError

from colabel.errors import RunError
from colabel.settings.base import Settings


class SavedPosition(Settings):
    """Where a run stood; the fields of :class:`colabel.training.position.Position`."""

    stage: int = Field(ge=0)
    epoch: int = Field(ge=0)
    batch: int = Field(ge=0)
    step: int = Field(ge=0)
    seconds: float = Field(ge=0)
    totals: dict[str, float | None]


class SavedBest(Settings, extra="allow"):
    """The log's line of the best epoch, as far as the loop reads it."""

    stage: str
    epoch: int = Field(ge=1)
    score: float | None
    monitor: str
    validation_seconds: float = Field(0.0, ge=0)


class SavedGroup(Settings, extra="allow"):
    """A group of an optimiser's parameters."""

    name: str
    lr: float
    betas: tuple[float, float]
    params: list[int]


class SavedSchedule(Settings):
    """Where a schedule stood."""

    last_epoch: int = Field(ge=0)
    step_count: int = Field(ge=0, alias="_step_count")
    last_lr: list[float] = Field(alias="_last_lr")


class Facts(Settings):
    """What a saved state says.

    Args:
        plan: stages and settings that must stay as they were.
        finished: whether the run is complete.
        position: where it stood.
        best: the log's line of the best epoch.
        batch_size: images of a step.
        images: of an epoch.
        groups: of the optimiser.
        schedule: of the learning rates.
        scaler: of the gradients, where precision is mixed.
        log_bytes: length of the log.
        spent: seconds that the run had taken, where its time is limited; what earlier
            versions saved lacks it.
    """

    plan: dict[str, Any]
    finished: bool
    position: SavedPosition
    best: SavedBest | None
    batch_size: int = Field(ge=1)
    images: int = Field(ge=1)
    groups: list[SavedGroup] = Field(min_length=1)
    schedule: SavedSchedule
    scaler: dict[str, Any] | None
    log_bytes: int = Field(ge=0)
    spent: float | None = Field(None, ge=0)


def check_facts(facts: Any, place: Any, *, epochs: list[int]) -> None:
    """Refuse a state that was edited or damaged.

    Args:
        facts: what it says.
        place: the folder, for the message.
        epochs: of each stage of the run.

    Raises:
        RunError: naming what is wrong.
    """
    problem = ""
    try:
        checked = Facts.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "facts"
        problem = f"{where}: {first['msg']}"
    else:
        position = checked.position
        if position.stage >= len(epochs) or position.epoch > epochs[position.stage]:
            problem = f"it stands at epoch {position.epoch} of stage {position.stage}"
        elif position.batch > checked.images:
            problem = f"it stands at batch {position.batch} of {checked.images} images"
    if problem:
        raise RunError(
            f"the training state in {place} is damaged or was edited ({problem}); copy the folder "
            "again if it was copied, or begin a new run."
        )

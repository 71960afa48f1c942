"""The input of the training loop: a stage, the model it trains, and the loss it minimises."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from colabel.errors import ConfigError
from colabel.training.objective import Objective


@dataclass(frozen=True)
class Stage:
    """One task of a training run, with its own model, loss and schedule.

    Stages of a run share modules: a later stage finds in its encoder what an earlier one left.

    Args:
        name: what logs and messages call it; unique in a run.
        model: images (batch, 3, height, width), uint8, to :class:`colabel.models.Output`.
        objective: the loss.
        epochs: passes over the training images, at least 1.
        learning_rate: the largest of the schedule, positive.
        head_learning_rate: the same for the parameters of ``model.head``; ``None`` gives them
            ``learning_rate``.
        views: augmented versions of each image in a batch; each counts as an image of its own.
        frozen: modules of the model that are neither trained nor switched to training mode.
        augmented: whether the images are augmented.
        encoder: the one of the frozen modules whose features are all that the rest of the model
            needs, or ``None``. Where images are not augmented its features are computed once, and
            batches carry them in place of pixels.
        validated: whether an epoch ends with validation and the best weights are kept. Off for a
            stage whose model has no classifier.

    Raises:
        ConfigError: if a number is out of range or nothing is left to train.

    Example:
        >>> from torch import nn
        >>> from colabel.training.objective import Term
        >>> objective = Objective((Term("size", lambda logits, _: logits.square().sum()),))
        >>> stage = Stage("fit", nn.Linear(4, 2), objective, epochs=3, learning_rate=1e-3)
        >>> stage.views
        1
    """

    name: str
    model: nn.Module
    objective: Objective
    epochs: int
    learning_rate: float
    head_learning_rate: float | None = None
    views: int = 1
    frozen: tuple[nn.Module, ...] = ()
    augmented: bool = True
    encoder: nn.Module | None = None
    validated: bool = True

    def __post_init__(self) -> None:
        """Check the numbers, and that something learns."""
        if self.epochs < 1:
            raise ConfigError(
                f"stage {self.name!r}: epochs must be at least 1, got {self.epochs}."
            )
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate < float("inf"):
                raise ConfigError(f"stage {self.name!r}: {name} must be positive, got {rate}.")
        if self.head_learning_rate is not None and not hasattr(self.model, "head"):
            raise ConfigError(
                f"stage {self.name!r}: head_learning_rate needs a model with a part named head."
            )
        if self.views < 1:
            raise ConfigError(f"stage {self.name!r}: views must be at least 1, got {self.views}.")
        if self.encoder is not None and all(self.encoder is not module for module in self.frozen):
            raise ConfigError(
                f"stage {self.name!r}: the encoder must be one of the frozen modules."
            )
        still = {id(parameter) for module in self.frozen for parameter in module.parameters()}
        if not any(
            parameter.requires_grad and id(parameter) not in still
            for parameter in self.model.parameters()
        ):
            raise ConfigError(
                f"stage {self.name!r}: every parameter is frozen, nothing would learn."
            )

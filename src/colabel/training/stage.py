"""The input of the training loop: a stage, the model it trains, and the loss it minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from colabel.errors import ConfigError, nearest

if TYPE_CHECKING:
    from colabel.models import Output

Term = Callable[["Output", Tensor], Tensor]
"""A loss: the model's output for a batch, and its targets, to one unweighted scalar."""

Diagnostics = Callable[["Output", Tensor], Mapping[str, float]]
"""Numbers worth logging about a batch that are no loss; called without gradient."""

Alarm = Callable[[Mapping[str, float]], str | None]
"""The diagnostics of a batch to a warning for the user, or ``None`` where all is well."""


@dataclass(frozen=True)
class Objective:
    r"""The weighted sum of named losses that a stage lowers.

    .. math:: L = \sum_t \mathrm{weight}_t \, \mathrm{term}_t(\mathrm{output}, \mathrm{targets})

    Args:
        terms: a scalar loss per name, unweighted.
        weights: the weight per name, at least 0; the names of ``terms``, all of them.
        pairwise: whether a term compares the images of a batch with each other (a contrastive
            loss). Such an objective is another function when its batch is cut in parts, so it is
            never accumulated over parts.
        diagnostics: numbers logged beside the losses, or ``None``.
        alarm: looks at the last diagnostics of every epoch, or ``None``.
        reductions: per name, whether the term is a ``"sum"`` or a ``"mean"`` over the images of
            the batch. Needed only where a batch is accumulated in parts: sums of the parts are
            added, means are averaged by the number of images.

    Raises:
        ConfigError: if names disagree, a weight is negative, or none is positive.

    Example:
        >>> objective = Objective(
        ...     terms={"square": lambda output, targets: (output.logits - targets).square().sum()},
        ...     weights={"square": 0.5},
        ...     pairwise=False,
        ...     reductions={"square": "sum"},
        ... )
        >>> sorted(objective.terms)
        ['square']
    """

    terms: Mapping[str, Term]
    weights: Mapping[str, float]
    pairwise: bool
    diagnostics: Diagnostics | None = None
    alarm: Alarm | None = None
    reductions: Mapping[str, Literal["sum", "mean"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every term has its weight and every weight its term."""
        if not self.terms:
            raise ConfigError("an objective needs at least one term, got none.")
        for name in (*self.weights, *self.reductions):
            if name not in self.terms:
                raise ConfigError(
                    f"the objective has no term {name!r}: {nearest(name, self.terms)}."
                )
        for name in self.terms:
            if name not in self.weights:
                raise ConfigError(f"the term {name!r} has no weight; give one in weights.")
        for name, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of {name!r} must be at least 0, got {weight}.")
        if not any(self.weights.values()):
            raise ConfigError("every weight of the objective is 0, nothing would be learned.")
        for name, reduction in self.reductions.items():
            if reduction not in ("sum", "mean"):
                raise ConfigError(
                    f"the reduction of {name!r} must be 'sum' or 'mean', got {reduction!r}."
                )


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
        >>> size = lambda output, targets: output.logits.square().sum()
        >>> objective = Objective({"size": size}, {"size": 1.0}, pairwise=False)
        >>> stage = Stage("fit", nn.Linear(4, 2), objective, epochs=3, learning_rate=1e-3)
        >>> stage.views
        1
    """

    name: str
    model: nn.Module
    objective: Objective
    epochs: int
    learning_rate: float
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
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(
                f"stage {self.name!r}: learning_rate must be positive, got {self.learning_rate}."
            )
        if self.views < 1:
            raise ConfigError(f"stage {self.name!r}: views must be at least 1, got {self.views}.")
        if self.encoder is not None and all(self.encoder is not one for one in self.frozen):
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

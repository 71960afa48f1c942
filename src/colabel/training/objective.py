"""The objective of a stage: named losses with their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from colabel.choices import Reduction
from colabel.errors import ConfigError

if TYPE_CHECKING:
    from colabel.models import Output

Diagnostics = Callable[..., Mapping[str, float]]
"""Numbers worth logging about a batch that are no loss, from what the term's loss takes."""

Alarm = Callable[[Mapping[str, float]], str | None]
"""The diagnostics of a batch to a warning for the user, or ``None`` where all is well."""


@dataclass(frozen=True)
class Term:
    r"""One loss of an objective.

    Args:
        name: unique in the objective.
        loss: takes what ``needs`` says, in this order, and returns an unweighted scalar.
        weight: multiplier, at least 0; with 0 the loss is measured and not trained on.
        reduction: whether the loss is a ``"sum"`` or a ``"mean"`` over the images of the batch.
            Where a batch is computed in parts, sums of the parts are added, means are averaged by
            the number of images.
        needs: names of fields of the model's output, or ``"targets"``.
        pairwise: whether the loss compares the images of a batch with each other. Such a loss is
            another function when the batch is cut in parts, so it is never accumulated over
            parts.
        diagnostics: takes what the loss takes, is called without gradient; ``None`` for none.
        alarm: looks at the last diagnostics of every epoch; ``None`` for none.

    Raises:
        ConfigError: if a value is out of range.

    Example:
        >>> from colabel.models import Output
        >>> square = Term("square", lambda logits, targets: (logits - targets).square().sum())
        >>> square(Output(torch.zeros(1, 2), torch.ones(1, 2)), torch.zeros(1, 2))
        tensor(2.)
    """

    name: str
    loss: Callable[..., Tensor]
    weight: float = 1.0
    reduction: Reduction = "sum"
    needs: tuple[str, ...] = ("logits", "targets")
    pairwise: bool = False
    diagnostics: Diagnostics | None = None
    alarm: Alarm | None = None

    def __post_init__(self) -> None:
        """Check the weight and the reduction."""
        if not 0 <= self.weight < float("inf"):
            raise ConfigError(
                f"the weight of {self.name!r} must be at least 0, got {self.weight}."
            )
        if self.reduction not in ("sum", "mean"):
            raise ConfigError(
                f"the reduction of {self.name!r} must be 'sum' or 'mean', got {self.reduction!r}."
            )

    def __call__(self, output: Output, targets: Tensor) -> Tensor:
        """Return the unweighted loss of a batch.

        Raises:
            TypeError: if the model does not give what the loss needs.
        """
        return self.loss(*self._arguments(output, targets))

    def diagnose(self, output: Output, targets: Tensor) -> Mapping[str, float]:
        """Return the diagnostics of a batch; empty without any."""
        if self.diagnostics is None:
            return {}
        with torch.no_grad():
            return dict(self.diagnostics(*self._arguments(output, targets)))

    def _arguments(self, output: Output, targets: Tensor) -> list[Any]:
        values = {"targets": targets}
        arguments = [
            values[need] if need in values else getattr(output, need) for need in self.needs
        ]
        for need, value in zip(self.needs, arguments, strict=True):
            if value is None:
                raise TypeError(
                    f"the term {self.name!r} needs {need}, which the head does not give."
                )
        return arguments


@dataclass(frozen=True)
class Objective:
    r"""The weighted sum of terms that a stage minimises.

    .. math:: L = \sum_t \mathrm{weight}_t \, \mathrm{term}_t(\mathrm{output}, \mathrm{targets})

    Args:
        terms: at least one with a weight above 0, each with a name of its own.

    Raises:
        ConfigError: if two terms have one name, or nothing would be learned.

    Example:
        >>> square = Term("square", lambda logits, targets: (logits - targets).square().sum())
        >>> Objective((square,)).weights
        {'square': 1.0}
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        """Check names and weights together."""
        names = [term.name for term in self.terms]
        if len(set(names)) != len(names):
            raise ConfigError(f"each term needs a name of its own, got {', '.join(names)}.")
        if not any(term.weight for term in self.terms):
            raise ConfigError(
                "an objective needs at least one term with a weight above 0; nothing would be "
                "learned."
            )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term by its name."""
        return {term.name: term.weight for term in self.terms}

    @property
    def pairwise(self) -> bool:
        """Whether a term compares the images of a batch with each other."""
        return any(term.pairwise for term in self.terms)

    def diagnose(self, output: Output, targets: Tensor) -> dict[str, float]:
        """Return the diagnostics of all terms of a batch."""
        found: dict[str, float] = {}
        for term in self.terms:
            found.update(term.diagnose(output, targets))
        return found

    def warning(self, diagnostics: Mapping[str, float], totals: Mapping[str, float]) -> str | None:
        """Return the first warning of a term about an epoch, or ``None``.

        Args:
            diagnostics: of its last batch.
            totals: the unweighted losses of its batches, added, by the name of the term.
        """
        alarms = [term.alarm(diagnostics) for term in self.terms if term.alarm is not None]
        silent = [_silence(term) for term in self.terms if totals.get(term.name) == 0]
        return next((warning for warning in (*alarms, *silent) if warning is not None), None)


def _silence(term: Term) -> str | None:
    """Return what to say of a term that was 0 in every batch of an epoch."""
    if not term.weight:
        return None
    said = f"the term {term.name} was 0 in every batch: nothing is learned from it."
    if term.pairwise:
        said += " It compares images: with a larger training.batch_size more share a label."
    return said


def subject_of(warning: str) -> str:
    """Return what a warning is about, without the numbers that change from epoch to epoch.

    Example:
        >>> subject_of("the kernels have collapsed into one: those of images overlap by 0.998")
        'the kernels have collapsed into one'
    """
    return warning.partition(":")[0]

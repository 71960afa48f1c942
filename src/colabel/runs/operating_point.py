"""The operating point: how the logits of a model become probabilities and labels."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator, model_validator

from colabel.calibration.curves import Calibration, Fraction, Number, sigmoid
from colabel.errors import ConfigError, DataError
from colabel.limits import MAX_CLASSES
from colabel.settings import Settings
from colabel.settings.target import parse_target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CORNERS = 101
"""Points of a :class:`Selectivity`."""


class FittedOn(Settings):
    """The images that an operating point was found on.

    Args:
        source: of the images.
        split: of the source.
        images: how many.
        fingerprint: of their ids and targets, by which they are known again.
        epochs: how many epochs of training were compared on these very images; 0 if none.
        groups: how many patients or the like they are of; ``None`` where each stands for itself.
    """

    source: str
    split: str
    images: int = Field(ge=1)
    fingerprint: str
    epochs: int = Field(0, ge=0)
    groups: int | None = Field(None, ge=1)


class Rule(Settings):
    """How the threshold of a label came about.

    Args:
        target: what was asked for.
        by: the target that gave the threshold: another one where this could not be kept.
        guaranteed: whether what was asked for is guaranteed for images to come.
        confidence: of the guarantee; ``None`` where it holds on average, or there is none.
        found: how many cases of the label there were to go by.
        needed: how many of them it takes at least.
        unit: what the cases are.
        fitted_on: the images that the threshold was found on, where the operating point comes
            from others.
    """

    target: str
    by: str
    guaranteed: bool = False
    confidence: Annotated[float, Field(gt=0, lt=1)] | None = None
    found: int = Field(0, ge=0)
    needed: int = Field(0, ge=0)
    unit: str = ""
    fitted_on: FittedOn | None = None

    @field_validator("target", "by")
    @classmethod
    def _is_target(cls, text: str) -> str:
        return str(parse_target(text))

    @model_validator(mode="after")
    def _holds_together(self) -> Rule:
        if self.guaranteed and (self.by != self.target or self.found < self.needed):
            raise ValueError(
                f"{self.target} is called guaranteed, by a threshold for {self.by} and with "
                f"{self.found} of {self.needed} {self.unit}"
            )
        return self

    @property
    def failure(self) -> str:
        """Why what was asked for is not guaranteed; empty where it is, or nothing was promised."""
        if self.guaranteed or not parse_target(self.target).is_guarantee:
            return ""
        if self.found < self.needed:
            return f"needs {self.needed} {self.unit}, has {self.found}"
        if parse_target(self.target).kind == "precision":
            return "errors among its highest images stop it, which may be wrong labels"
        return "no threshold reaches it"


class Selectivity(Settings):
    """What is left of images and errors if the model does not decide where it is least sure.

    Args:
        scores: at each coverage of 0, 0.01, ... 1 the largest expected share of wrong labels of
            an image that is still decided.
        risks: the share of wrong labels among those images.

    Example:
        >>> grid = tuple(place / 100 for place in range(101))
        >>> sure = Selectivity(scores=grid, risks=tuple(place / 2 for place in grid))
        >>> sure.limit("coverage=0.9"), sure.limit("risk=0.05"), sure.limit("risk=0.9")
        (0.9, 0.1, inf)
    """

    scores: Annotated[tuple[Number, ...], Field(min_length=CORNERS, max_length=CORNERS)]
    risks: Annotated[tuple[Fraction, ...], Field(min_length=CORNERS, max_length=CORNERS)]

    @model_validator(mode="after")
    def _rises(self) -> Selectivity:
        if any(a > b for a, b in pairwise(self.scores)):
            raise ValueError("the scores of a selectivity must rise")
        return self

    def limit(self, wish: str) -> float:
        """Return the largest expected share of wrong labels of an image that is decided.

        Args:
            wish: ``coverage=C``: as many of the images are decided; ``risk=R``: as many as leave
                this share of wrong labels among them, both as on the images of the operating
                point. Infinite where all may be decided.

        Raises:
            ConfigError: if it says something else, or no image may be decided.
        """
        kind, _, text = wish.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if kind not in ("coverage", "risk") or not 0 < value < 1:
            raise ConfigError(
                f"--abstain {wish}: expected coverage=0.9, the share of images to decide, or "
                "risk=0.05, the share of wrong labels among them."
            )
        if kind == "coverage":
            return self.scores[math.ceil(value * (CORNERS - 1) - 1e-9)]
        kept = [place for place, risk in enumerate(self.risks) if risk <= value]
        if not kept:
            raise ConfigError(
                f"--abstain {wish}: of the images of the operating point even the surest have "
                f"{min(self.risks):.1%} of their labels wrong; allow more, or train a better "
                "model."
            )
        return math.inf if kept[-1] == CORNERS - 1 else self.scores[kept[-1]]


class OperatingPoint(Settings):
    """The only thing that turns logits into probabilities and labels.

    Args:
        calibration: from logits to probabilities; ``None``: the sigmoid.
        thresholds: probability from which a label is given out, itself included.
        rules: how each threshold came about; empty for thresholds that nothing was fitted for.
        fitted_on: the images that calibration and thresholds come from, unless a rule names
            others; ``None`` if none.
        selectivity: how sure the model was of these images; ``None`` if there were none, or
            labels were set on others.

    Example:
        >>> point = OperatingPoint.plain(2)
        >>> point.probabilities([[0.0, -2.0]]).round(2).tolist(), point.target
        ([[0.5, 0.12]], 'none')
        >>> point.decide(point.probabilities([[0.0, -2.0]])).tolist()
        [[True, False]]
    """

    calibration: Calibration | None = None
    thresholds: Annotated[tuple[Fraction, ...], Field(max_length=MAX_CLASSES)]
    rules: tuple[Rule, ...] = ()
    fitted_on: FittedOn | None = None
    selectivity: Selectivity | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> OperatingPoint:
        classes = len(self.thresholds)
        if self.rules and len(self.rules) != classes:
            raise ValueError(f"{len(self.rules)} rules for {classes} thresholds")
        if self.calibration is not None and len(self.calibration.slopes) != classes:
            raise ValueError(
                f"a calibration of {len(self.calibration.slopes)} classes for {classes} thresholds"
            )
        return self

    @classmethod
    def plain(cls, classes: int, threshold: float = 0.5) -> OperatingPoint:
        """Return sigmoid and one threshold for all: nothing fitted.

        Args:
            classes: number of labels.
            threshold: probability.
        """
        return cls(thresholds=(threshold,) * classes)

    @property
    def target(self) -> str:
        """What the thresholds are for, in a word: that of the labels, several if they differ."""
        return ", ".join(dict.fromkeys(rule.target for rule in self.rules)) or "none"

    @property
    def all_fitted_on(self) -> tuple[FittedOn, ...]:
        """Every set of images that something of it was found on."""
        found = (self.fitted_on, *(rule.fitted_on for rule in self.rules))
        return tuple(dict.fromkeys(images for images in found if images is not None))

    def probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities, shape (images, classes).

        Args:
            logits: log-odds of the model, shape (images, classes).

        Raises:
            DataError: on another number of classes.
        """
        from colabel.metrics.inputs import check_logits

        if self.calibration is not None:
            return self.calibration.probabilities(logits)
        values = sigmoid(check_logits(logits))
        if values.shape[1] != len(self.thresholds):
            raise DataError(
                f"the operating point is one of {len(self.thresholds)} classes, the logits have "
                f"{values.shape[1]}; use that of the same model."
            )
        return values

    def limit(self, wish: str) -> float:
        """Return the largest expected share of wrong labels of an image that is decided.

        Args:
            wish: as for :meth:`Selectivity.limit`.

        Raises:
            ConfigError: if it cannot be told what the wish means for this model.
        """
        if self.selectivity is None:
            raise ConfigError(
                "--abstain needs an operating point whose labels were all set on the same images "
                "with labels; find one with: colabel calibrate RUN"
            )
        return self.selectivity.limit(wish)

    def decide(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which labels are given out, shape (images, classes).

        Args:
            probabilities: from :meth:`probabilities`.
        """
        import numpy as np

        return np.asarray(probabilities >= np.array(self.thresholds))

"""What the thresholds of labels are to achieve, as a user writes it: f1, recall=0.95, cost=5:1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

TargetKind = Literal["none", "f1", "recall", "precision", "cost", "missed"]

EXPECTED = (
    "none, f1, recall=0.95, precision=0.9, cost=5:1 (of a miss : of a false alarm), missed=0.1"
)
"""What may be written."""

LARGEST_COST = 1e9
"""Most that a missed label may cost in units of a false one, and the other way round."""


@dataclass(frozen=True)
class Target:
    """What the thresholds are to achieve.

    Args:
        kind: ``none``: 0.5 and probabilities as the model gives them; ``f1``: the highest F1 of
            each label; ``recall``, ``precision``: a guaranteed share for each label; ``cost``:
            the lowest expected cost; ``missed``: a guaranteed share of an image's labels.
        value: of recall, precision or missed, in (0, 1); of cost, that of a missed label in units
            of that of a false one. 0 for the others.

    Example:
        >>> str(Target("recall", 0.95)), Target("cost", 4).threshold
        ('recall=0.95', 0.2)
    """

    kind: TargetKind
    value: float = 0

    @property
    def is_guarantee(self) -> bool:
        """Whether something is promised for images to come."""
        return self.kind in ("recall", "precision", "missed")

    @property
    def threshold(self) -> float:
        """The calibrated probability at which a false label costs as much as a missed one."""
        return 1 / (1 + self.value)

    def __str__(self) -> str:
        """Return what :func:`parse_target` reads."""
        if self.kind in ("none", "f1"):
            return self.kind
        short = f"{self.value:g}"
        exact = short if float(short) == self.value else repr(self.value)
        return f"cost={exact}:1" if self.kind == "cost" else f"{self.kind}={exact}"


def parse_target(text: str) -> Target:
    """Read a target.

    Raises:
        ValueError: saying what is expected.

    Example:
        >>> parse_target("recall=0.95"), parse_target("cost=1:2").threshold.__round__(3)
        (Target(kind='recall', value=0.95), 0.667)
        >>> parse_target("recall=95")
        Traceback (most recent call last):
        ValueError: target recall=95: a share between 0 and 1 is expected, as in recall=0.95
    """
    kind, equals, value = text.strip().partition("=")
    if kind == "none" and not equals:
        return Target("none")
    if kind == "f1" and not equals:
        return Target("f1")
    if kind == "cost" and equals:
        missed, false = (
            _number(part) for part in (value.partition(":")[0], value.partition(":")[2])
        )
        if not (0 < missed < math.inf and 0 < false < math.inf):
            raise ValueError(
                f"target {text}: two positive numbers are expected, the cost of a missed label "
                "and that of a false one, as in cost=5:1"
            )
        if not 1 / LARGEST_COST <= missed / false <= LARGEST_COST:
            raise ValueError(
                f"target {text}: one cost is more than {LARGEST_COST:g} times the other, so that "
                f"no probability could tell; take at most cost={LARGEST_COST:g}:1"
            )
        return Target("cost", missed / false)
    for known in ("recall", "precision", "missed"):
        if kind == known and equals:
            share = _number(value)
            if not 0 < share < 1:
                example = "0.1" if known == "missed" else "0.95"
                raise ValueError(
                    f"target {text}: a share between 0 and 1 is expected, as in {known}={example}"
                )
            return Target(known, share)
    raise ValueError(f"target {text}: expected one of {EXPECTED}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

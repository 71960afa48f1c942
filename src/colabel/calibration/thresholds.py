"""What the rules for thresholds return, and the ranking of images that they start from."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt

from colabel.metrics.decisions import UNKNOWN
from colabel.metrics.inputs import check_scores, check_targets


@dataclass(frozen=True)
class Thresholds:
    """A threshold per label, and whether anything is guaranteed of it.

    Args:
        thresholds: probability from which a label is given out, itself included, shape (classes,);
            NaN where the rule gives none.
        guaranteed: whether the rule's guarantee holds, shape (classes,).
        found: how many cases of a label there were to go by, shape (classes,).
        needed: how many of them it takes at least, shape (classes,).
        unit: what the cases are: "positives", "predicted positives" or "images".
    """

    thresholds: npt.NDArray[np.float64]
    guaranteed: npt.NDArray[np.bool_]
    found: npt.NDArray[np.int64]
    needed: npt.NDArray[np.int64]
    unit: str


@dataclass(frozen=True)
class Descending:
    """The known images of each label from its highest probability down.

    Args:
        probabilities: shape (images, classes); -1 behind the known ones.
        positives: how many positives there are down to each place, itself included.
        ends: whether the next image has a lower probability, so that a threshold may lie here.
        known: how many images are known, shape (classes,).
    """

    probabilities: npt.NDArray[np.float64]
    positives: npt.NDArray[np.int64]
    ends: npt.NDArray[np.bool_]
    known: npt.NDArray[np.int64]

    @property
    def total_positives(self) -> npt.NDArray[np.int64]:
        """Number of positives of each label."""
        return np.asarray(self.positives[-1])

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """How many images there are down to each place, shape (images, 1)."""
        return np.arange(1, len(self.probabilities) + 1)[:, None]


def descend(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> Descending:
    """Rank the known images of each label.

    Args:
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the same shape.

    Raises:
        DataError: on what does not fit.

    Example:
        >>> ranked = descend([[0.2], [0.9], [0.9], [0.5]], [[0], [1], [0], [-1]])
        >>> ranked.probabilities.ravel().tolist(), ranked.ends.ravel().tolist()
        ([0.9, 0.9, 0.2, -1.0], [False, True, True, False])
    """
    scores = check_scores(probabilities, "probabilities").astype(np.float64)
    truth = check_targets(targets, scores.shape, "probabilities")
    # a label's images side by side in memory: sorting is several times as fast
    rows = np.ascontiguousarray(np.where(truth == UNKNOWN, -1, scores).T)
    order = np.argsort(-rows, axis=1)
    rows = np.take_along_axis(rows, order, axis=1)
    present = np.take_along_axis(np.ascontiguousarray((truth == 1).T), order, axis=1)
    below = np.concatenate([rows[:, 1:], np.full((len(rows), 1), -2.0)], axis=1)
    return Descending(
        probabilities=rows.T,
        positives=np.cumsum(present, axis=1, dtype=np.int64).T,
        ends=((rows > below) & (rows >= 0)).T,
        known=(rows >= 0).sum(axis=1),
    )


def is_number(value: object) -> bool:
    """Return whether it is a real number, of Python or numpy.

    Example:
        >>> is_number(np.float32(0.5)), is_number("0.5"), is_number(None)
        (True, False, False)
    """
    return isinstance(value, Real)

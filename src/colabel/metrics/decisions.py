"""Metrics of the labels that are given out: precision, recall and F1 at a threshold."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

UNKNOWN = -1


@dataclass(frozen=True)
class Decisions:
    """Quality of given-out labels, per class and averaged in the two customary ways.

    Args:
        precision: share of the given-out labels of a class that are right; NaN for a class
            without positives, 0 for a class that has positives and is never given out.
        recall: share of a class's positives that are given out; NaN without positives.
        f1: harmonic mean of the two, per class.
        class_precision: mean of ``precision`` over the classes with positives (CP).
        class_recall: mean of ``recall`` over the classes with positives (CR).
        class_f1: harmonic mean of ``class_precision`` and ``class_recall`` (CF1).
        overall_precision: share of all given-out labels that are right (OP).
        overall_recall: share of all positives that are given out (OR).
        overall_f1: harmonic mean of ``overall_precision`` and ``overall_recall`` (OF1).
    """

    precision: Float[np.ndarray, " classes"]
    recall: Float[np.ndarray, " classes"]
    f1: Float[np.ndarray, " classes"]
    class_precision: float
    class_recall: float
    class_f1: float
    overall_precision: float
    overall_recall: float
    overall_f1: float

    def to_dict(self, prefix: str = "") -> dict[str, float]:
        """Return the six averages under their customary abbreviations."""
        return {
            f"{prefix}CP": self.class_precision,
            f"{prefix}CR": self.class_recall,
            f"{prefix}CF1": self.class_f1,
            f"{prefix}OP": self.overall_precision,
            f"{prefix}OR": self.overall_recall,
            f"{prefix}OF1": self.overall_f1,
        }


def above_threshold(
    scores: Float[np.ndarray, "images classes"], thresholds: Float[np.ndarray, " classes"]
) -> Bool[np.ndarray, "images classes"]:
    """Give out every label whose score reaches its threshold.

    Args:
        scores: in [0, 1].
        thresholds: in [0, 1]; compared in the precision of the scores, so that a float32 score
            of 0.7 reaches a threshold of 0.7.

    Returns:
        True where the score is equal to or above the threshold.

    Example:
        >>> above_threshold(np.array([[0.5, 0.2]]), np.array([0.5, 0.3])).tolist()
        [[True, False]]
    """
    return np.asarray(scores >= thresholds.astype(scores.dtype))


def highest(
    scores: Float[np.ndarray, "images classes"],
    targets: Int8[np.ndarray, "images classes"],
    *,
    count: int = 3,
) -> Bool[np.ndarray, "images classes"]:
    """Mark the labels with the highest scores of every image.

    Deviation: a label whose truth is unknown takes no place, so that its score has no influence
    on any metric.

    Args:
        scores: in [0, 1]; of two equal scores the class with the lower number is taken first.
        targets: 1 present, 0 absent, -1 unknown.
        count: how many labels an image keeps at most, >= 1.

    Returns:
        True for at most ``count`` known labels per image.

    Example:
        >>> highest(np.array([[0.9, 0.1, 0.8]]), np.array([[0, 1, -1]], dtype=np.int8), count=2)
        array([[ True,  True, False]])
    """
    remaining = np.where(targets == UNKNOWN, scores.dtype.type(-1), scores)
    marked = np.zeros(scores.shape, dtype=np.bool_)
    rows = np.arange(len(scores))
    for _ in range(min(count, scores.shape[1])):
        best = remaining.argmax(axis=1)
        marked[rows, best] = True
        remaining[rows, best] = -1
    return np.asarray(marked & (targets != UNKNOWN))


def measure(
    given: Bool[np.ndarray, "images classes"], targets: Int8[np.ndarray, "images classes"]
) -> Decisions:
    """Compare the labels given out with the truth.

    Source: the averages are those of the multi-label literature. CF1 and OF1 are harmonic means
    of the averaged precision and recall, not averages of F1.

    Deviation: a class without positives has neither precision nor recall and enters no mean over
    classes; wrong labels of that class still count in the overall precision.

    Args:
        given: True where the label is given out.
        targets: 1 present, 0 absent, -1 unknown; unknown labels are counted nowhere.

    Returns:
        Fractions in [0, 1]; all averages are NaN where no class has a positive.

    Example:
        >>> given = np.array([[True, False], [True, False]])
        >>> decisions = measure(given, np.array([[1, 1], [0, 0]], dtype=np.int8))
        >>> decisions.precision.tolist(), decisions.recall.tolist(), decisions.overall_f1
        ([0.5, 0.0], [1.0, 0.0], 0.5)
    """
    present = targets == 1
    positives = np.count_nonzero(present, axis=0)
    correct = np.count_nonzero(given & present, axis=0)
    chosen = np.count_nonzero(given & (targets != UNKNOWN), axis=0)
    precision = _ratio(correct, chosen, defined=positives > 0)
    recall = _ratio(correct, positives, defined=positives > 0)
    class_precision, class_recall = mean_of_defined(precision), mean_of_defined(recall)
    any_positive = np.atleast_1d(positives.sum() > 0)
    overall_precision, overall_recall = (
        float(_ratio(np.atleast_1d(correct.sum()), np.atleast_1d(of.sum()), any_positive)[0])
        for of in (chosen, positives)
    )
    return Decisions(
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        class_precision=class_precision,
        class_recall=class_recall,
        class_f1=float(_harmonic(np.array([class_precision]), np.array([class_recall]))[0]),
        overall_precision=overall_precision,
        overall_recall=overall_recall,
        overall_f1=float(_harmonic(np.array([overall_precision]), np.array([overall_recall]))[0]),
    )


def mean_of_defined(values: Float[np.ndarray, " classes"]) -> float:
    """Return the mean of the values that are not NaN; NaN if all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _ratio(
    part: Int[np.ndarray, " classes"],
    whole: Int[np.ndarray, " classes"],
    defined: Bool[np.ndarray, " classes"],
) -> Float[np.ndarray, " classes"]:
    return np.where(defined, part / np.maximum(whole, 1), np.nan)


def _harmonic(
    first: Float[np.ndarray, " values"], second: Float[np.ndarray, " values"]
) -> Float[np.ndarray, " values"]:
    total = first + second
    return np.asarray(2 * first * second / np.where(total == 0, 1, total))

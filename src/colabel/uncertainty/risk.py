r"""What a score of uncertainty is worth: the risk that is left where the least sure are set aside.

``n`` answers are accepted one after the other, the surest first. After the i-th, the coverage is
``i / n``, the selective risk ``r_i`` the mean error of what is accepted, and the generalised risk
``i / n * r_i`` the share of all answers that are accepted and wrong.

Answers with the same score come in random order, and every number here is the expectation over
these orders: an answer counts with the mean error of all that share its score.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Shaped

from colabel.errors import DataError
from colabel.metrics.decisions import UNKNOWN


@dataclass(frozen=True)
class RiskCoverage:
    """The risk-coverage curve, a point for every number of accepted answers.

    Args:
        coverage: share of the answers that are accepted, 1/n to 1.
        risk: mean error of the accepted answers, >= 0. The last one is the risk without any
            selection, which a score that tells nothing has at every coverage.
    """

    coverage: Float[np.ndarray, " answers"]
    risk: Float[np.ndarray, " answers"]

    @property
    def generalised_risk(self) -> Float[np.ndarray, " answers"]:
        """Coverage times risk: accepted errors per answer, accepted or not."""
        return np.asarray(self.coverage * self.risk)


def risk_coverage(scores: npt.ArrayLike, errors: npt.ArrayLike) -> RiskCoverage:
    r"""Selective risk at every coverage, the surest answers accepted first.

    .. math:: c_i = \frac in, \qquad r_i = \frac1i \sum_{j \le i} \bar e_{(j)}

    with the answers in ascending order of their scores, and the mean error of all answers that
    have the score of answer j in the place of its own.

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks (2017).

    Deviation: ties in expectation over random orders, so that the order of the input changes
    nothing.

    Args:
        scores: shape (n,), one per image or per known (image, label) pair; higher is less sure.
            Infinite scores are allowed.
        errors: shape (n,), >= 0: 1 for wrong and 0 for right, or a share such as the Hamming loss
            of an image.

    Returns:
        The curve, n points.

    Raises:
        DataError: unless both are vectors of one length, n >= 1, without NaN, and the errors are
            finite and not negative.

    Example:
        >>> curve = risk_coverage([0.1, 0.2, 0.2, 0.9], [0, 1, 0, 1])
        >>> curve.coverage.tolist()
        [0.25, 0.5, 0.75, 1.0]
        >>> curve.risk.round(3).tolist()  # the second and the third in either order
        [0.0, 0.25, 0.333, 0.5]
    """
    doubts, losses = _check(scores, errors)
    order = np.argsort(doubts)
    doubts, losses = doubts[order], losses[order]
    starts = np.flatnonzero(np.concatenate([[True], doubts[1:] != doubts[:-1]]))
    sizes = np.diff(starts, append=len(doubts))
    expected = np.repeat(np.add.reduceat(losses, starts) / sizes, sizes)
    accepted = np.arange(1, len(doubts) + 1)
    return RiskCoverage(accepted / len(doubts), np.cumsum(expected) / accepted)


def aurc(scores: npt.ArrayLike, errors: npt.ArrayLike) -> float:
    r"""Area under the risk-coverage curve.

    .. math:: \mathrm{AURC} = \frac1n \sum_{i=1}^n r_i

    Source: Geifman, Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural
    Classifiers (2019).

    Args:
        scores: shape (n,), higher is less sure.
        errors: shape (n,), >= 0.

    Returns:
        At least 0; the mean error for a score that tells nothing. Lower is better.

    Raises:
        DataError: as :func:`risk_coverage`.

    Example:
        >>> round(aurc([0.1, 0.2, 0.3], [0, 0, 1]), 3)  # (0 + 0 + 1/3) / 3
        0.111
        >>> errors = pair_errors(np.array([[True, False]]), np.array([[0, -1]], dtype=np.int8))
        >>> known = ~np.isnan(errors)  # pairs that somebody has judged
        >>> aurc(np.array([[0.3, 0.1]])[known], errors[known])
        1.0
    """
    return float(risk_coverage(scores, errors).risk.mean())


def augrc(scores: npt.ArrayLike, errors: npt.ArrayLike) -> float:
    r"""Area under the generalised risk-coverage curve: the mean risk of undetected errors.

    .. math:: \mathrm{AUGRC} = \frac1n \sum_{i=1}^n \frac in r_i
              = \frac1{n^2} \sum_{i=1}^n \sum_{j \le i} \bar e_{(j)}

    Source: Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification
    Systems (2024). Where the errors are 0 or 1, with a share ``e`` of them wrong, it follows from
    the chance that an error has a higher score than a right answer: (1 - AUROC) e (1 - e)
    + e^2 / 2, plus e / (2 n).

    Deviation: a mean over the coverages 1/n to 1, as for :func:`aurc`. The paper's area by
    trapezoids from the coverage 0 on is smaller by the mean error divided by 2 n.

    Args:
        scores: shape (n,), higher is less sure.
        errors: shape (n,), >= 0.

    Returns:
        At least 0; (n + 1) / (2 n) of the mean error for a score that tells nothing. Lower is
        better.

    Raises:
        DataError: as :func:`risk_coverage`.

    Example:
        >>> round(augrc([0.1, 0.2, 0.3], [0, 0, 1]), 3)  # (0 + 0 + 1/3) / 3
        0.111
        >>> round(augrc([0.1, 0.2, 0.3], [1, 0, 0]), 3)  # (1/3 + 1/3 + 1/3) / 3
        0.333
    """
    return float(risk_coverage(scores, errors).generalised_risk.mean())


def pair_errors(
    given: Bool[np.ndarray, "images classes"], targets: Shaped[np.ndarray, "images classes"]
) -> Float[np.ndarray, "images classes"]:
    """Whether each answer is wrong: a label given out that is absent, or missed.

    Args:
        given: True where the label is given out.
        targets: 1 present, 0 absent, -1 unknown.

    Returns:
        1 wrong, 0 right, NaN where nobody knows.

    Example:
        >>> pair_errors(np.array([[True, False, True]]), np.array([[1, 1, -1]]))
        array([[ 0.,  1., nan]])
    """
    return np.where(targets == UNKNOWN, np.nan, given != (targets == 1))


def image_errors(
    given: Bool[np.ndarray, "images classes"], targets: Shaped[np.ndarray, "images classes"]
) -> Float[np.ndarray, " images"]:
    """Share of an image's known labels that are answered wrongly: its Hamming loss.

    Args:
        given: True where the label is given out.
        targets: 1 present, 0 absent, -1 unknown.

    Returns:
        One value in [0, 1] per image, NaN for an image of which no label is known.

    Example:
        >>> given = np.array([[True, False, True], [True, True, True]])
        >>> image_errors(given, np.array([[1, 1, -1], [-1, -1, -1]]))
        array([0.5, nan])
    """
    known = targets != UNKNOWN
    judged = np.count_nonzero(known, axis=1)
    wrong = np.count_nonzero(known & (given != (targets == 1)), axis=1)
    return np.where(judged > 0, wrong / np.maximum(judged, 1), np.nan)


def check_vector(values: npt.ArrayLike, name: str) -> Float[np.ndarray, " values"]:
    """Return a vector of float64 that is not empty and holds no NaN.

    Raises:
        DataError: if it is something else, under its name.

    Example:
        >>> check_vector([1, 2], "scores")
        array([1., 2.])
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} must be numbers, got an array of {array.dtype}.")
    if array.ndim != 1 or not array.size:
        raise DataError(
            f"{name} must be a vector with at least one value, got shape {array.shape}; "
            "of values per image and class take the known ones, values[known]."
        )
    array = array.astype(np.float64, copy=False)
    if np.isnan(array).any():
        place = int(np.isnan(array).argmax())
        raise DataError(
            f"{name} must not be NaN, got one at position {place}; where NaN stands for what "
            "nobody knows, leave these positions out of both vectors."
        )
    return array


def _check(
    scores: npt.ArrayLike, errors: npt.ArrayLike
) -> tuple[Float[np.ndarray, " answers"], Float[np.ndarray, " answers"]]:
    doubts, losses = check_vector(scores, "scores"), check_vector(errors, "errors")
    if len(doubts) != len(losses):
        raise DataError(
            f"scores and errors must be of one length, got {len(doubts)} scores and "
            f"{len(losses)} errors; take both of the same images or pairs."
        )
    if losses.min() < 0 or losses.max() == np.inf:
        raise DataError(
            f"errors must be finite and not negative, got values from {losses.min()} to "
            f"{losses.max()}; 1 is wrong and 0 right, or give the share that is wrong."
        )
    return doubts, losses

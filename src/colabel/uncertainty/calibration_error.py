"""Whether a probability of 0.7 is right in 7 of 10 cases."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from colabel.errors import ConfigError
from colabel.metrics.decisions import UNKNOWN
from colabel.metrics.inputs import check_scores, check_targets
from colabel.uncertainty.bins import equal_mass_bins


def expected_calibration_error(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, bins: int = 15
) -> Float[np.ndarray, " classes"]:
    r"""Mean distance between probability and frequency over bins of equal mass, per class.

    .. math:: \mathrm{ECE}_k = \sum_b \frac{n_{kb}}{n_k} \left|\bar p_{kb} - \bar y_{kb}\right|

    with the mean probability and the share of present labels in bin b of class k.

    Source: Kull et al., Beyond Temperature Scaling (2019), for the calibration of each class on
    its own; Nixon et al., Measuring Calibration in Deep Learning (2019), for bins of equal mass.

    Deviation: equal probabilities stay in one bin, that of the middle of their places in the
    order, so bins are of equal size only as far as ties allow. With fewer known labels than bins
    each label has its own bin, and the value is the mean of ``|p - y|``.

    Args:
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the same shape; unknown labels count nowhere.
        bins: number of bins per class, >= 1.

    Returns:
        One value in [0, 1] per class, 0 for perfect calibration; NaN for a class without known
        labels. Noise alone makes it positive: the more bins and the fewer images, the more.

    Raises:
        DataError: on values other than these, or shapes that do not fit one another.
        ConfigError: if the number of bins is not positive.

    Example:
        >>> expected_calibration_error([[0.2], [0.2], [0.9], [0.9]], [[0], [1], [1], [1]], bins=2)
        array([0.2])
    """
    values = check_scores(probabilities, "probabilities").astype(np.float64, copy=False)
    truth = check_targets(targets, values.shape, "probabilities")
    cells = equal_mass_bins(values, truth, bins)
    total = cells.count.sum(axis=1)
    distance = np.abs(cells.probability - cells.present).sum(axis=1)
    return np.where(total > 0, distance / np.maximum(total, 1), np.nan)


def brier(probabilities: npt.ArrayLike, targets: npt.ArrayLike) -> Float[np.ndarray, " classes"]:
    r"""Mean squared distance between probability and truth, per class.

    .. math:: \mathrm{Brier}_k = \frac1{n_k} \sum_n (p_{nk} - y_{nk})^2

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability (1950), for one
    label; as ``sklearn.metrics.brier_score_loss``.

    Args:
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the same shape; unknown labels count nowhere.

    Returns:
        One value in [0, 1] per class; NaN for a class without known labels.

    Raises:
        DataError: on values other than these, or shapes that do not fit one another.

    Example:
        >>> brier([[0.5, 0.1], [1.0, 0.1]], [[1, -1], [1, -1]])
        array([0.125,   nan])
    """
    values = check_scores(probabilities, "probabilities").astype(np.float64, copy=False)
    truth = check_targets(targets, values.shape, "probabilities")
    known = truth != UNKNOWN
    total = np.count_nonzero(known, axis=0)
    squares = np.where(known, np.square(values - truth), 0.0).sum(axis=0)
    return np.where(total > 0, squares / np.maximum(total, 1), np.nan)


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, a row per bin that is not empty, in ascending order.

    Args:
        probability: mean probability in the bin.
        present: share of its labels that are present.
        low: lower end of the interval of this share.
        high: upper end.
        count: labels in the bin.
    """

    probability: Float[np.ndarray, " bins"]
    present: Float[np.ndarray, " bins"]
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]


def reliability(
    probabilities: npt.ArrayLike,
    targets: npt.ArrayLike,
    bins: int = 15,
    *,
    confidence: float = 0.95,
) -> Reliability:
    r"""Probabilities beside frequencies, in bins of equal mass over all classes together.

    .. math:: \frac{\bar y + \frac{z^2}{2n} \pm z
              \sqrt{\frac{\bar y (1 - \bar y)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}}

    is the interval of the share of present labels in a bin of n.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).

    Deviation: the interval takes the labels for independent. Those of one image are not, so it is
    somewhat too narrow.

    Args:
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the same shape; unknown labels count nowhere.
        bins: number of bins, >= 1; ties as in :func:`expected_calibration_error`.
        confidence: of the intervals, between 0 and 1.

    Returns:
        A row per bin; none where no label is known.

    Raises:
        DataError: on values other than these, or shapes that do not fit one another.
        ConfigError: if the number of bins is not positive or the confidence not between 0 and 1.

    Example:
        >>> rows = reliability([[0.1, 0.1], [0.9, 0.9]], [[0, 0], [1, 0]], bins=2)
        >>> rows.probability, rows.present, rows.count
        (array([0.1, 0.9]), array([0. , 0.5]), array([2, 2]))
        >>> rows.low.round(3), rows.high.round(3)
        (array([0.   , 0.095]), array([0.658, 0.905]))
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must lie between 0 and 1, got {confidence}.")
    values = check_scores(probabilities, "probabilities").astype(np.float64, copy=False)
    truth = check_targets(targets, values.shape, "probabilities")
    cells = equal_mass_bins(values.reshape(-1, 1), truth.reshape(-1, 1), bins)
    filled = cells.count[0] > 0
    count = cells.count[0, filled]
    share = cells.present[0, filled] / count
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    shrunk = quantile**2 / count
    centre = share + shrunk / 2
    half = quantile * np.sqrt(share * (1 - share) / count + shrunk / (4 * count))
    return Reliability(
        probability=cells.probability[0, filled] / count,
        present=share,
        low=np.maximum((centre - half) / (1 + shrunk), 0.0),
        high=np.minimum((centre + half) / (1 + shrunk), 1.0),
        count=count,
    )

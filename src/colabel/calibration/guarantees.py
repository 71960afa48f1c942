"""Thresholds of which something is guaranteed, whatever the model: recall, precision, misses."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrik

from colabel.calibration.thresholds import Descending, Thresholds, descend, is_number
from colabel.errors import ConfigError
from colabel.metrics.inputs import check_scores, check_targets

_ROUNDING = 1e-9

_MOST = 1e18
"""More cases than this are as good as none, and fit into an integer."""

_IMAGES_EACH = 10
"""Images for each that the last start of a test begins with: more starts find precision where
labels are frequent, fewer where they are rare."""


def recall_thresholds(
    probabilities: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    recall: float,
    confidence: float | None = None,
) -> Thresholds:
    r"""Choose the highest threshold of each label that keeps its recall, for images to come.

    The threshold is the ``k``-th smallest probability of the label's ``n`` positives. For new
    positives of the same kind, and with :math:`\alpha = 1 - recall`:

    .. math::
        k = \lfloor \alpha (n + 1) \rfloor
        \quad\text{or}\quad
        k = \max\{k : P(\mathrm{Binomial}(n, \alpha) \ge k) \ge confidence\}

    Source: split conformal prediction within a class (Vovk, Gammerman and Shafer 2005). The first
    keeps a new positive with a probability of at least ``recall``, over images and calibrations.
    The second has at least this recall with the given confidence over calibrations: the share of
    positives below the threshold follows Beta(k, n + 1 - k).

    The guarantee rests on images that were used for nothing else and are like those to come; it
    holds for each label on its own, not for all at once.

    Args:
        probabilities: in [0, 1], shape (images, classes); any rising map of them gives the same
            decisions.
        targets: 1 present, 0 absent, -1 unknown, the same shape. Only positives count.
        recall: in (0, 1).
        confidence: in (0, 1), or ``None`` for the guarantee on average.

    Returns:
        Thresholds, NaN where the positives are too few for any; ``found`` and ``needed`` count
        positives.

    Raises:
        DataError: on what does not fit.
        ConfigError: on a recall or a confidence outside (0, 1).

    Example:
        >>> probabilities = np.linspace(0.5, 1, 19)[:, None]
        >>> chosen = recall_thresholds(probabilities, np.ones((19, 1)), recall=0.95)
        >>> chosen.thresholds.tolist(), chosen.guaranteed.tolist(), chosen.needed.tolist()
        ([0.5], [True], [19])
    """
    check_share("recall", recall)
    scores = check_scores(probabilities, "probabilities").astype(np.float64)
    present = check_targets(targets, scores.shape, "probabilities") == 1
    found = present.sum(axis=0)
    missed = 1 - recall
    if confidence is None:
        place = np.floor(missed * (found + 1) + _ROUNDING).astype(np.int64)
        needed = math.ceil(1 / missed - 1 - _ROUNDING)
    else:
        check_share("confidence", confidence)
        place = 1 + largest_count(1 - confidence, found, missed)
        needed = math.ceil(math.log1p(-confidence) / math.log(recall) - _ROUNDING)
    # the k-th smallest; what is no positive lies behind all of them
    ranked = np.sort(np.where(present, scores, 2), axis=0)
    chosen = np.take_along_axis(ranked, (place - 1).clip(0)[None], axis=0)[0]
    guaranteed = place >= 1
    return Thresholds(
        thresholds=np.where(guaranteed, chosen, np.nan),
        guaranteed=guaranteed,
        found=found,
        needed=np.full(len(found), needed),
        unit="positives",
    )


def precision_thresholds(
    probabilities: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    precision: float,
    confidence: float,
) -> Thresholds:
    r"""Choose the lowest threshold of each label that keeps its precision, for images to come.

    Going down the known images from the highest probability, ``j`` of them with ``e`` errors are
    accepted while

    .. math:: P(\mathrm{Binomial}(j, 1 - precision) \le e) \le \delta / m,
              \qquad \delta = 1 - confidence

    Source: fixed-sequence testing of learn-then-test (Angelopoulos, Bates, Candès, Jordan and Lei
    2021, "Learn then test"), from the strictest threshold down, with ``m`` starts at ranks that
    are fixed by the number of images alone: the fewest errorless images that can be accepted, and
    twice, four times ... as many. One start alone would be stopped by a single error near the
    top.

    With the given confidence over calibrations, the share of right labels among those given out
    is at least ``precision``. This holds exactly where precision falls as the threshold does,
    and for each label on its own, on images used for nothing else.

    Args:
        probabilities: in [0, 1], shape (images, classes); any rising map of them gives the same
            decisions.
        targets: 1 present, 0 absent, -1 unknown, the same shape.
        precision: in (0, 1).
        confidence: in (0, 1).

    Returns:
        Thresholds, NaN where no threshold can be guaranteed; ``found`` counts positives, and
        ``needed`` is the fewest that can be accepted, without an error.

    Raises:
        DataError: on what does not fit.
        ConfigError: on a precision or a confidence outside (0, 1).

    Example:
        >>> probabilities = np.linspace(0, 1, 60)[:, None]
        >>> chosen = precision_thresholds(
        ...     probabilities, probabilities > 0.5, precision=0.9, confidence=0.9
        ... )
        >>> chosen.thresholds.round(2).tolist(), chosen.needed.tolist()
        ([0.51], [22])
    """
    return precision_of(
        descend(probabilities, targets), precision=precision, confidence=confidence
    )


def precision_of(ranked: Descending, *, precision: float, confidence: float) -> Thresholds:
    """Return the thresholds of :func:`precision_thresholds` for images that are ranked already.

    Args:
        ranked: the images of each label.
        precision: as there.
        confidence: as there.

    Raises:
        ConfigError: on a precision or a confidence outside (0, 1).
    """
    check_share("precision", precision)
    check_share("confidence", confidence)
    images = len(ranked.probabilities)
    level, starts = _starts(images, 1 - confidence, precision)
    errors = ranked.predicted - ranked.positives
    allowed = largest_count(level, np.arange(1, images + 1), 1 - precision)[:, None]
    refused = ranked.ends & (errors > allowed)
    # the last place at or before each where a threshold may lie
    end = np.maximum.accumulate(np.where(ranked.ends, ranked.predicted - 1, -1), axis=0)
    last = np.full(refused.shape[1], -1)
    for start in (place for place in starts if place <= images):
        tail = refused[start - 1 :]
        stop = np.where(tail.any(axis=0), tail.argmax(axis=0) + start - 1, images)
        accepted = np.take_along_axis(end, (stop - 1).clip(0)[None], axis=0)[0]
        last = np.maximum(last, np.where((stop > 0) & (accepted >= start - 1), accepted, -1))
    guaranteed = last >= 0
    chosen = np.take_along_axis(ranked.probabilities, last.clip(0)[None], axis=0)[0]
    return Thresholds(
        thresholds=np.where(guaranteed, chosen, np.nan),
        guaranteed=guaranteed,
        found=ranked.total_positives,
        needed=np.full(len(last), starts[0]),
        unit="positives",
    )


def missed_label_threshold(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, *, risk: float
) -> Thresholds:
    r"""Choose the highest common threshold that keeps the share of missed labels of an image.

    .. math::
        \lambda = \sup\Bigl\{t : \frac{n}{n + 1} R(t) + \frac{1}{n + 1} \le risk\Bigr\},
        \qquad R(t) = \frac1n \sum_i \frac{|\{k : y_{ik} = 1,\ p_{ik} < t\}|}{|\{k : y_{ik} = 1\}|}

    Source: Angelopoulos, Bates, Fisch, Lei and Schuster 2022, "Conformal risk control". The
    expected share of an image's labels that are missed is at most ``risk``, over images and
    calibrations.

    Deviation: images without a label have nothing to miss and are left out, so the guarantee is
    for images that have one; counting them as images without a miss would weaken it.

    Args:
        probabilities: in [0, 1], shape (images, classes); calibrated on other images, since one
            threshold serves all labels.
        targets: 1 present, 0 absent, -1 unknown, the same shape. Only positives count.
        risk: in (0, 1).

    Returns:
        The same threshold for every label, NaN where the images are too few; ``found`` and
        ``needed`` count images with a label.

    Raises:
        DataError: on what does not fit.
        ConfigError: on a risk outside (0, 1).

    Example:
        >>> probabilities = np.linspace(0.5, 1, 9)[:, None]
        >>> missed_label_threshold(probabilities, np.ones((9, 1)), risk=0.2).thresholds.tolist()
        [0.5625]
    """
    check_share("risk", risk)
    scores = check_scores(probabilities, "probabilities").astype(np.float64)
    present = check_targets(targets, scores.shape, "probabilities") == 1
    labels = present.sum(axis=1)
    images = int((labels > 0).sum())
    needed = math.ceil(min(1 / risk, _MOST) - 1 - _ROUNDING)
    threshold, guaranteed = math.nan, images >= max(needed, 1)
    if guaranteed:
        shares = np.broadcast_to(1 / labels.clip(1)[:, None], present.shape)[present]
        ascending = np.argsort(scores[present], kind="stable")
        values, first = np.unique(scores[present][ascending], return_index=True)
        before = np.concatenate([[0.0], np.cumsum(shares[ascending])])[first]
        kept = (before + 1) / (images + 1) <= risk + _ROUNDING
        threshold = float(values[np.flatnonzero(kept)[-1]])
    classes = scores.shape[1]
    return Thresholds(
        thresholds=np.full(classes, threshold),
        guaranteed=np.full(classes, guaranteed),
        found=np.full(classes, images),
        needed=np.full(classes, needed),
        unit="images",
    )


def check_share(name: str, value: float) -> None:
    """Refuse a share that is 0, 1 or beyond, or no number.

    Raises:
        ConfigError: naming it.

    Example:
        >>> check_share("recall", 95)
        Traceback (most recent call last):
        colabel.errors.ConfigError: recall must lie between 0 and 1, as in 0.95; got 95.
    """
    if not (is_number(value) and 0 < value < 1):
        raise ConfigError(f"{name} must lie between 0 and 1, as in 0.95; got {value!r}.")


def largest_count(
    level: float, trials: npt.NDArray[np.int64], chance: float
) -> npt.NDArray[np.int64]:
    """Return the largest number of successes whose lower tail is at most a level, -1 for none.

    Args:
        level: of the tail, P(Binomial(trials, chance) <= count).
        trials: at least 0.
        chance: of a success.

    Example:
        >>> largest_count(0.1, np.array([21, 22, 100]), 0.1).tolist()
        [-1, 0, 5]
    """
    with np.errstate(all="ignore"):
        guess = np.floor(np.nan_to_num(bdtrik(level, np.maximum(trials, 1), chance)))
    count = guess.astype(np.int64).clip(-1, trials) + 1
    for _ in range(3):  # the inverse is off by one here and there
        tail = np.where(count < 0, 0, bdtr(count.clip(0), trials, chance))
        count = np.where((count >= 0) & ((tail > level) | (count >= trials)), count - 1, count)
    return np.asarray(count)


def _starts(images: int, error: float, precision: float) -> tuple[float, list[int]]:
    """Return the level of each test and the ranks that tests start at."""
    number = 1
    while True:
        first = math.ceil(math.log(error / (number + 1)) / math.log(precision) - _ROUNDING)
        if _IMAGES_EACH * first * 2**number > images:
            break
        number += 1
    first = math.ceil(math.log(error / number) / math.log(precision) - _ROUNDING)
    return error / number, [first * 2**power for power in range(number)]

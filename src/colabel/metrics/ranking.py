"""Metrics of the order of the scores: average precision and the area under the ROC curve.

Every class is sorted once, and ties are counted together. For scores in [0, 1] the bits of a
float, read as an integer, grow with its value and leave the two highest bits empty. So score and
target fit into one integer, and a plain sort of integers takes the place of an ``argsort``.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt

from colabel.choices import APProtocol

PROTOCOLS: tuple[APProtocol, ...] = get_args(APProtocol)

_UNKNOWN_CODE = 3  # the two lowest bits of the target -1; present is 1 and absent 0
_BLOCK_ELEMENTS = 1 << 18  # scores that are sorted together; bounds the memory, keeps the caches


@dataclass(frozen=True)
class Ranking:
    """Counts down the ranking of every class, where its positives stand.

    Only groups of tied scores that hold a positive are kept, class after class and best score
    first: precision and recall at the other scores enter none of the metrics here.

    Args:
        class_index: class of the group.
        positives: images with the label down to the end of the group.
        known: images whose label is known down to the end of the group.
        tied_positives: images with the label in the group.
        tied_known: images whose label is known in the group.
        total_positives: images with the label, for every class.
        total_known: images whose label is known, for every class.
    """

    class_index: Int[np.ndarray, " groups"]
    positives: Int[np.ndarray, " groups"]
    known: Int[np.ndarray, " groups"]
    tied_positives: Int[np.ndarray, " groups"]
    tied_known: Int[np.ndarray, " groups"]
    total_positives: Int[np.ndarray, " classes"]
    total_known: Int[np.ndarray, " classes"]

    def sum_by_class(
        self, values: Float[np.ndarray, " groups"] | Int[np.ndarray, " groups"]
    ) -> Float[np.ndarray, " classes"]:
        """Add up one value per group within each class."""
        sums = np.bincount(self.class_index, weights=values, minlength=len(self.total_known))
        return sums.astype(np.float64, copy=False)  # whole numbers where there is no group


def in_order(
    logits: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, "images classes"]:
    """Return numbers in [0, 1) in the order of logits, equal only where those are.

    Args:
        logits: finite, of any size: their sigmoids would be equal far from 0.

    Example:
        >>> logits = np.array([[-800.0], [40.0], [41.0], [40.0]])
        >>> low, high, higher, tied = in_order(logits).ravel()
        >>> bool(0 <= low < high < higher < 1), bool(high == tied)
        (True, True)
    """
    single = logits.astype(np.float32)
    if not np.array_equal(single, logits):
        places = np.unique(logits, return_inverse=True)[1].reshape(logits.shape)
        return np.asarray(places / logits.size)
    # read as integers, the bits of positive floats grow with them, those of negative ones fall
    bits = single.view(np.int32).astype(np.int64)
    keys = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return np.asarray((keys + 2**31) / 2**32)


def rank(
    scores: Float[np.ndarray, "images classes"], targets: Int8[np.ndarray, "images classes"]
) -> Ranking:
    """Sort every class by score and count the targets down its ranking.

    Args:
        scores: float32 or float64 in [0, 1]; at least one image and one class.
        targets: 1 present, 0 absent, -1 unknown; unknown labels are counted nowhere.

    Returns:
        The counts at the groups of tied scores that hold a positive.

    Example:
        >>> scores = np.array([[0.9], [0.4], [0.4], [0.1]])
        >>> targets = np.array([[1], [0], [1], [-1]], dtype=np.int8)
        >>> ranking = rank(scores, targets)
        >>> ranking.positives.tolist(), ranking.known.tolist()
        ([1, 2], [1, 3])
    """
    images, classes = scores.shape
    width = max(1, _BLOCK_ELEMENTS // images)
    starts = range(0, classes, width)
    blocks = [_rank_block(scores[:, i : i + width], targets[:, i : i + width]) for i in starts]
    return Ranking(
        class_index=np.concatenate(
            [block.class_index + i for i, block in zip(starts, blocks, strict=True)]
        ),
        positives=np.concatenate([block.positives for block in blocks]),
        known=np.concatenate([block.known for block in blocks]),
        tied_positives=np.concatenate([block.tied_positives for block in blocks]),
        tied_known=np.concatenate([block.tied_known for block in blocks]),
        total_positives=np.concatenate([block.total_positives for block in blocks]),
        total_known=np.concatenate([block.total_known for block in blocks]),
    )


def _rank_block(
    scores: Float[np.ndarray, "images classes"], targets: Int8[np.ndarray, "images classes"]
) -> Ranking:
    images, classes = scores.shape
    unsigned = np.uint32 if scores.itemsize == 4 else np.uint64
    keys: UInt[np.ndarray, "classes images"] = np.array(scores.T, order="C").view(unsigned)
    keys <<= unsigned(2)  # drops the sign as well, so -0.0 is 0.0
    keys |= (targets.T & 3).view(np.uint8)
    keys.sort(axis=1)
    keys = keys[:, ::-1]
    last = np.ones(keys.shape, dtype=np.bool_)  # of its group of tied scores
    np.greater(keys[:, :-1] ^ keys[:, 1:], unsigned(3), out=last[:, :-1])
    codes = (keys & unsigned(3)).astype(np.uint8)
    positives, known = _counts_before(codes == 1), _counts_before(codes != _UNKNOWN_CODE)

    # from here on one flat array holds class after class
    borders = np.concatenate([[0], np.flatnonzero(last) + 1])
    holds_positive = np.flatnonzero(np.diff(positives[borders]))
    start, end = borders[holds_positive], borders[holds_positive + 1]
    class_index = start // images
    origin = class_index * images
    class_borders = np.arange(classes + 1) * images
    return Ranking(
        class_index=class_index,
        positives=positives[end] - positives[origin],
        known=known[end] - known[origin],
        tied_positives=positives[end] - positives[start],
        tied_known=known[end] - known[start],
        total_positives=np.diff(positives[class_borders]),
        total_known=np.diff(known[class_borders]),
    )


def _counts_before(flags: Bool[np.ndarray, "classes images"]) -> Int[np.ndarray, " places"]:
    counts = np.zeros(flags.size + 1, dtype=np.int64)
    np.cumsum(flags, out=counts[1:])
    return counts


def average_precision(
    ranking: Ranking, *, protocol: APProtocol = "noninterpolated"
) -> Float[np.ndarray, " classes"]:
    r"""Area under the precision-recall curve of every class.

    .. math:: \mathrm{AP} = \sum_g (R_g - R_{g-1}) P_g

    with precision ``P_g`` and recall ``R_g`` at the end of the g-th group of tied scores.

    Source: ``noninterpolated`` is the mean over the positives of the precision at their rank, as
    ``sklearn.metrics.average_precision_score`` computes it. ``voc11`` is the mean of the largest
    precision at recall >= 0, 0.1, ..., 1 (the VOC challenge of 2007). ``interpolated`` replaces
    ``P_g`` by the largest precision at the same or a higher recall (VOC from 2010 on).

    Deviation: the VOC protocols rank tied scores in the order of the files; here they are one
    group, so that the order of the images changes nothing. The recalls of ``voc11`` are compared
    as whole numbers, so a recall of exactly 0.3 counts as reaching 0.3.

    Args:
        ranking: the sorted classes.
        protocol: which of the three.

    Returns:
        One value in [0, 1] per class; NaN for a class without positives.

    Example:
        >>> scores = np.array([[0.9], [0.8], [0.7]])
        >>> ranking = rank(scores, np.array([[1], [0], [1]], dtype=np.int8))
        >>> average_precision(ranking).round(3).tolist()  # (1/1 + 2/3) / 2
        [0.833]
    """
    precision = ranking.positives / ranking.known
    if protocol == "noninterpolated":
        area = ranking.sum_by_class(ranking.tied_positives * precision)
        return _share(area, ranking.total_positives)
    values = np.full(len(ranking.total_positives), np.nan)
    ends = np.searchsorted(ranking.class_index, np.arange(len(values)), side="right")
    for index in np.flatnonzero(ranking.total_positives):
        groups = slice(ends[index - 1] if index else 0, ends[index])
        values[index] = _interpolate(precision[groups], ranking.positives[groups], protocol)
    return values


def _interpolate(
    precision: Float[np.ndarray, " groups"],
    positives: Int[np.ndarray, " groups"],
    protocol: APProtocol,
) -> float:
    from_here_on = np.maximum.accumulate(precision[::-1])[::-1]
    if protocol == "interpolated":
        return float(np.diff(positives, prepend=0) @ from_here_on / positives[-1])
    tenths = np.arange(11) * positives[-1]
    return float(from_here_on[np.searchsorted(10 * positives, tenths)].mean())


def roc_auc(ranking: Ranking) -> Float[np.ndarray, " classes"]:
    """Chance that a random positive outranks a random negative, ties counting half, per class.

    Source: the area under the ROC curve by trapezoids, as ``sklearn.metrics.roc_auc_score``.

    Args:
        ranking: the sorted classes.

    Returns:
        One value in [0, 1] per class; NaN for a class without positives or without negatives.

    Example:
        >>> scores = np.array([[0.9], [0.8], [0.7]])
        >>> roc_auc(rank(scores, np.array([[1], [0], [1]], dtype=np.int8))).tolist()
        [0.5]
    """
    total_negatives = ranking.total_known - ranking.total_positives
    negatives_below = total_negatives[ranking.class_index] - (ranking.known - ranking.positives)
    tied_negatives = ranking.tied_known - ranking.tied_positives
    twice = ranking.tied_positives * (2 * negatives_below + tied_negatives)
    return _share(ranking.sum_by_class(twice), 2 * ranking.total_positives * total_negatives)


def _share(
    part: Float[np.ndarray, " classes"], whole: Int[np.ndarray, " classes"]
) -> Float[np.ndarray, " classes"]:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)

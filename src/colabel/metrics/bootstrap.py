r"""Metrics of resampled images, the same resamples for every model.

A draw of the bootstrap takes as many images as there are, with replacement; how often it takes an
image is the weight :math:`w_n` of that image. Every metric is then one of weighted counts:

.. math::
    \mathrm{AP}_k = \frac{\sum_g p_g \, P_g / K_g}{\sum_g p_g}

where :math:`p_g` is the weight of the positives in the g-th group of tied scores, and :math:`P_g`
and :math:`K_g` are the weights of the positives and of all known labels down to its end. Scores
are sorted once; what a draw needs are sums of weights over stretches of that order, which for
many draws at once are a product of a sparse matrix and the weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int8, Int32
from scipy import sparse

from colabel.metrics.decisions import UNKNOWN

_BLOCK_ELEMENTS = 1 << 20  # weights at a time: 4 MB, which caches hold (three times as fast)
_EXACT = 1 << 24  # whole numbers that float32 adds up without rounding


@dataclass(frozen=True)
class Resamples:
    """Draws of images with replacement, the same ones whenever they are asked for.

    Source: the bootstrap (Efron 1979); whole clusters where images belong together (Davison and
    Hinkley 1997, Sec. 3.8).

    Args:
        images: how many there are, >= 1.
        draws: how many resamples.
        seed: of the draws.
        groups: the group of each image as a number from 0 on, ``None`` where every image stands
            for itself. A group is taken whole or not at all.

    Example:
        >>> resamples = Resamples(images=3, draws=2, seed=0, groups=np.array([0, 0, 1]))
        >>> next(resamples.blocks()).T.tolist()
        [[0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    """

    images: int
    draws: int
    seed: int
    groups: Int[np.ndarray, " images"] | None = None

    @property
    def units(self) -> int:
        """How many images or groups are drawn from."""
        return self.images if self.groups is None else int(self.groups.max()) + 1

    def blocks(self) -> Iterator[Float[np.ndarray, "images block"]]:
        """Give the weights of all draws, as many at a time as fit into a fixed memory."""
        generator = np.random.default_rng(self.seed)
        units = self.units
        largest = 1 if self.groups is None else int(np.bincount(self.groups).max())
        dtype = np.float32 if units * largest < _EXACT else np.float64
        size = max(1, _BLOCK_ELEMENTS // self.images)
        for start in range(0, self.draws, size):
            counts = np.empty((min(size, self.draws - start), units), dtype=dtype)
            for row in counts:
                row[:] = np.bincount(generator.integers(0, units, units), minlength=units)
            weights = counts if self.groups is None else counts[:, self.groups]
            yield np.ascontiguousarray(weights.T)


@dataclass(frozen=True)
class Ordered:
    """One class in the order of its scores, cut where average precision looks.

    A stretch ends with a group of tied scores that holds a positive; what comes after the last
    one matters to no precision.

    Args:
        known: the images of all stretches whose label is known, best score first.
        known_borders: where in ``known`` each stretch begins, and the end of the last.
        positive: the images with the label, in the same order.
        positive_borders: the same for ``positive``.
    """

    known: Int32[np.ndarray, " known"]
    known_borders: Int32[np.ndarray, " borders"]
    positive: Int32[np.ndarray, " positive"]
    positive_borders: Int32[np.ndarray, " borders"]

    def average_precision(
        self, weights: Float[np.ndarray, "images draws"]
    ) -> Float64[np.ndarray, " draws"]:
        """Return the average precision of every draw; NaN in a draw without a positive."""
        tied = _sums(self.positive, self.positive_borders, weights)
        positives = tied.cumsum(axis=0)
        known = _sums(self.known, self.known_borders, weights).cumsum(axis=0)
        area = (tied * positives / np.maximum(known, 1)).sum(axis=0)
        total = tied.sum(axis=0)
        return np.where(total > 0, area / np.maximum(total, 1), np.nan)


def order_class(
    scores: Float[np.ndarray, " images"], targets: Int8[np.ndarray, " images"]
) -> Ordered:
    """Sort a class by score and find the stretches of :class:`Ordered`.

    Args:
        scores: of one class, higher for surer.
        targets: 1 present, 0 absent, -1 unknown; unknown labels are left out.
    """
    known = np.flatnonzero(targets != UNKNOWN)
    known = known[np.argsort(-scores[known], kind="stable")].astype(np.int32)
    present = targets[known] == 1
    last = np.ones(len(known), dtype=np.bool_)  # of its group of tied scores
    np.not_equal(scores[known][1:], scores[known][:-1], out=last[:-1])
    ends = np.flatnonzero(last) + 1
    positives = np.concatenate([[0], np.cumsum(present)])[np.concatenate([[0], ends])]
    holds = np.diff(positives) > 0
    return Ordered(
        known[: ends[holds][-1]] if holds.any() else known[:0],
        np.concatenate([[0], ends[holds]]).astype(np.int32),
        known[present],
        np.concatenate([[0], positives[1:][holds]]).astype(np.int32),
    )


def _sums(
    images: Int32[np.ndarray, " places"],
    borders: Int32[np.ndarray, " borders"],
    weights: Float[np.ndarray, "images draws"],
) -> Float64[np.ndarray, "stretches draws"]:
    """Add up the weights of the images between each two borders."""
    ones = np.ones(len(images), dtype=weights.dtype)
    stretches = sparse.csr_matrix((ones, images, borders), shape=(len(borders) - 1, len(weights)))
    return np.asarray(stretches @ weights, dtype=np.float64)


def weighted_average_precision(
    scores: Float[np.ndarray, "images classes"],
    targets: Int8[np.ndarray, "images classes"],
    weights: Float[np.ndarray, "images draws"],
) -> Float64[np.ndarray, "classes draws"]:
    """Average precision of every class under weights of the images, many sets of them at once.

    Source: ``sklearn.metrics.average_precision_score`` with ``sample_weight``.

    Args:
        scores: of any size, higher for surer.
        targets: 1 present, 0 absent, -1 unknown; unknown labels are counted nowhere.
        weights: whole numbers >= 0, a column per draw.

    Returns:
        Values in [0, 1]; NaN for a class without a positive of weight above 0.

    Example:
        >>> scores = np.array([[0.9], [0.8], [0.7]])
        >>> targets = np.array([[1], [0], [1]], dtype=np.int8)
        >>> weights = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 2.0]])
        >>> weighted_average_precision(scores, targets, weights).round(3).tolist()
        [[0.833, 0.5]]
    """
    columns = zip(scores.T, targets.T, strict=True)
    return np.stack([order_class(*column).average_precision(weights) for column in columns])


@dataclass(frozen=True)
class Answers:
    """What one model says of the images.

    Args:
        scores: that rank the images of a class.
        given: the labels it gives out, under one or more rules; by the prefix that the names of
            their metrics get.
    """

    scores: Float[np.ndarray, "images classes"]
    given: Mapping[str, Bool[np.ndarray, "images classes"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resampled:
    """Metrics of every model in every draw.

    Args:
        values: by name, a row per model; NaN in a draw in which no class has a positive.
        skipped: how many classes had no positive in each draw and were left out of its means.
    """

    values: Mapping[str, Float64[np.ndarray, "models draws"]]
    skipped: Int[np.ndarray, " draws"]


def paired_bootstrap(
    models: Sequence[Answers], targets: Int8[np.ndarray, "images classes"], resamples: Resamples
) -> Resampled:
    """Compute mAP, and CF1 and OF1 of labels that are given out, in every draw for every model.

    The weights of a draw are the same for all models, so the difference of two models in a draw
    is one on the same images.

    Source: CF1 and OF1 as :func:`colabel.metrics.decisions.measure` has them, of weighted counts.

    Args:
        models: their answers for the same images, with the same rules.
        targets: 1 present, 0 absent, -1 unknown; unknown labels are counted nowhere.
        resamples: the draws.

    Returns:
        ``mAP``, and for every prefix of the rules ``<prefix>CF1`` and ``<prefix>OF1``.

    Example:
        >>> scores, targets = np.array([[0.9], [0.2]]), np.array([[1], [0]], dtype=np.int8)
        >>> models = [Answers(scores), Answers(1 - scores)]
        >>> drawn = paired_bootstrap(models, targets, Resamples(images=2, draws=4, seed=0))
        >>> drawn.values["mAP"].tolist(), drawn.skipped.tolist()
        ([[nan, 1.0, 1.0, 1.0], [nan, 0.5, 1.0, 1.0]], [1, 0, 0, 0])
    """
    ordered = [
        [order_class(*column) for column in zip(model.scores.T, targets.T, strict=True)]
        for model in models
    ]
    present, known = _counter(targets == 1), targets != UNKNOWN
    rules = [
        {
            prefix: (_counter(given & (targets == 1)), _counter(given & known))
            for prefix, given in model.given.items()
        }
        for model in models
    ]
    parts: dict[str, list[list[Float64[np.ndarray, " block"]]]] = {}
    skipped = []
    for weights in resamples.blocks():
        positives = present @ weights
        skipped.append((positives == 0).sum(axis=0))
        drawn: dict[str, list[Float64[np.ndarray, " block"]]] = {}
        for classes, counters in zip(ordered, rules, strict=True):
            precisions = np.stack([one.average_precision(weights) for one in classes])
            drawn.setdefault("mAP", []).append(_mean(precisions, positives > 0))
            for prefix, (correct, chosen) in counters.items():
                f1 = _f1(correct @ weights, chosen @ weights, positives)
                for name, values in f1.items():
                    drawn.setdefault(prefix + name, []).append(values)
        for name, rows in drawn.items():
            parts.setdefault(name, []).append(rows)
    every = {
        name: np.concatenate([np.stack(rows) for rows in blocks], axis=1)
        for name, blocks in parts.items()
    }
    return Resampled(every, np.concatenate(skipped))


def _counter(mask: Bool[np.ndarray, "images classes"]) -> Any:
    """Return what weights are multiplied with to count the marked images of every class."""
    return sparse.csr_matrix(mask.T, dtype=np.float32)


def _mean(
    values: Float[np.ndarray, "classes draws"], defined: Bool[np.ndarray, "classes draws"]
) -> Float64[np.ndarray, " draws"]:
    """Return the mean over the classes that are defined in a draw; NaN where none is."""
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _f1(
    correct: Float[np.ndarray, "classes draws"],
    chosen: Float[np.ndarray, "classes draws"],
    positives: Float[np.ndarray, "classes draws"],
) -> dict[str, Float64[np.ndarray, " draws"]]:
    """Return CF1 and OF1 of weighted counts."""
    correct, chosen, positives = (
        counts.astype(np.float64) for counts in (correct, chosen, positives)
    )
    defined = positives > 0
    precision = _mean(correct / np.maximum(chosen, 1), defined)
    recall = _mean(correct / np.maximum(positives, 1), defined)
    right, of_chosen, of_positives = (
        counts.sum(axis=0) for counts in (correct, chosen, positives)
    )
    overall = np.where(
        of_positives > 0, 2 * right / np.maximum(of_chosen + of_positives, 1), np.nan
    )
    total = precision + recall
    return {
        "CF1": 2 * precision * recall / np.where(total == 0, 1, total),
        "OF1": overall,
    }

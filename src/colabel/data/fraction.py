"""A part of the training images that stands for all of them, and lies in every larger part."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colabel.data.split import number_groups, stratified_split
from colabel.errors import DataError

_LEAF = 8
"""Groups that are not divided further: below it, halves can hardly be told from a draw."""

_Integers = npt.NDArray[np.int64]


def nested_part(
    targets: npt.NDArray[np.int8],
    fraction: float,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Choose a fraction of the images, spread over the labels as all of them are.

    The images are put in one order that depends on the seed alone, and the part is its beginning;
    so the part of a smaller fraction lies in that of a larger one. The order begins with a few
    images that carry every label between them, each the one that adds the most labels, so that no
    label that occurs is lost unless the part is smaller than these. The others are halved by
    :func:`~colabel.data.split.stratified_split`, each half again, and so on: the first half comes
    before the second.

    Groups are taken whole: the part holds at least the fraction of the images, and more by less
    than one group. Unknown labels (-1) count as not present.

    Args:
        targets: int8, shape (images, classes), in {1, 0, -1}.
        fraction: of the images, above 0, at most 1; rounded up to a whole image.
        groups: one name per image; images of one name stay together.
        seed: non-negative; the same seed gives the same order.

    Returns:
        Positions of the chosen images, rising.

    Raises:
        DataError: if the fraction is out of range, or there are not as many groups as images.

    Example:
        >>> targets = np.eye(4, dtype=np.int8).repeat(50, axis=0)
        >>> quarter, half = (nested_part(targets, share) for share in (0.25, 0.5))
        >>> targets[quarter].sum(axis=0).tolist(), set(quarter) <= set(half)
        ([13, 12, 12, 13], True)
    """
    if not 0 < fraction <= 1:
        raise DataError(f"the fraction must be above 0 and at most 1, got {fraction}.")
    images = len(targets)
    if fraction == 1 or not images:
        return np.arange(images)
    member = number_groups(groups, images)
    present = targets == 1
    wanted = max(1, math.ceil(round(fraction * images, 6)))
    rank = np.empty(int(member.max()) + 1, dtype=np.int64)
    rank[np.random.default_rng(seed).permutation(len(rank))] = np.arange(len(rank))

    chosen: list[_Integers] = []
    covering = _covering_groups(present, member, rank)
    for group in covering:
        if wanted <= 0:
            break
        chosen.append(np.flatnonzero(member == group))
        wanted -= len(chosen[-1])
    others = np.flatnonzero(~np.isin(member, covering))
    if wanted > 0 and len(others):
        chosen.append(_beginning(targets, member, rank, others, wanted, seed))
    return np.sort(np.concatenate(chosen))


def _covering_groups(
    present: npt.NDArray[np.bool_], member: _Integers, rank: _Integers
) -> list[int]:
    """Return groups that carry every label that occurs, the one that adds most first."""
    carried = np.zeros((len(rank), present.shape[1]), dtype=bool)
    np.logical_or.at(carried, member, present)
    in_order = np.argsort(rank)
    carried = carried[in_order]  # of equal ones the first of the order is taken
    missing = carried.any(axis=0)
    gains = carried.sum(axis=1)
    groups = []
    while missing.any():
        best = int(gains.argmax())
        groups.append(int(in_order[best]))
        added = carried[best] & missing
        gains = gains - carried[:, added].sum(axis=1)
        missing &= ~added
    return groups


def _beginning(
    targets: npt.NDArray[np.int8],
    member: _Integers,
    rank: _Integers,
    images: _Integers,
    wanted: int,
    seed: int,
) -> _Integers:
    """Return the first images of the halved order: whole groups, at least as many as wanted."""
    taken: list[_Integers] = []
    while len(np.unique(member[images])) > _LEAF:
        names = stratified_split(
            targets[images],
            fractions={"first": 0.5, "second": 0.5},
            groups=list(map(str, member[images])),
            seed=seed,
        )
        first = images[names == "first"]
        if wanted <= len(first):
            images = first
        else:
            taken.append(first)
            wanted -= len(first)
            images = images[names == "second"]
    for group in sorted(np.unique(member[images]), key=lambda group: int(rank[group])):
        if wanted <= 0:
            break
        taken.append(images[member[images] == group])
        wanted -= len(taken[-1])
    return np.concatenate(taken)

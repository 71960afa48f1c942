"""Images in folds, so that every label can be judged by a classifier that has not seen it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colabel.data.split import stratified_split


def assign_folds(
    targets: npt.NDArray[np.int8],
    folds: int,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Assign every image to a fold so that each label is spread evenly.

    Args:
        targets: 1 present, 0 absent, -1 unknown, shape (images, classes).
        folds: at least 2.
        groups: one name per image; images of one name stay together.
        seed: non-negative; the same seed gives the same folds.

    Returns:
        A number from 0 to ``folds - 1`` per image.

    Raises:
        DataError: if there are fewer images or groups than folds.

    Example:
        >>> targets = np.eye(2, dtype=np.int8).repeat(3, axis=0)
        >>> folds = assign_folds(targets, 3)
        >>> sorted(folds[:3].tolist()), sorted(folds[3:].tolist())
        ([0, 1, 2], [0, 1, 2])
    """
    names = [f"fold {number}" for number in range(1, folds + 1)]
    fractions = dict.fromkeys(names, 1 / folds)
    split = stratified_split(targets, fractions=fractions, groups=groups, seed=seed)
    return np.array([names.index(name) for name in split.tolist()], dtype=np.int64)


def has_enough(
    targets: npt.NDArray[np.int8], folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell which labels can be judged: as many images with and without them as there are folds.

    Whatever fold is left out, the others must hold both an image with the label and one without.

    Args:
        targets: 1 present, 0 absent, -1 unknown.
        folds: of each image, from :func:`assign_folds`.

    Returns:
        Shape (classes,).

    Example:
        >>> targets = np.array([[1, 1], [0, 1], [1, 0], [0, 1]], dtype=np.int8)
        >>> has_enough(targets, np.array([0, 0, 1, 1]))
        array([ True, False])
    """
    count = int(folds.max()) + 1
    in_fold = np.eye(count, dtype=np.int64)[folds]
    enough = np.ones(targets.shape[1], dtype=np.bool_)
    for value in (0, 1):
        of_fold = in_fold.T @ (targets == value)
        total = of_fold.sum(axis=0)
        enough &= (total >= count) & (of_fold < total).all(axis=0)
    return enough

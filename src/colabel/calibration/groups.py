"""One image of each patient: what a guarantee may count where several images belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colabel.metrics.decisions import UNKNOWN


def one_of_each_group(
    targets: npt.NDArray[np.int8],
    groups: Sequence[str],
    order: npt.NDArray[np.int64],
    *,
    positives: bool,
) -> npt.NDArray[np.int8]:
    """Return targets in which each label is known of one image of each group at the most.

    Images of a patient are alike, so a guarantee that counts them as if each were a patient of
    its own promises too much. One image of each is like one image of each patient to come.

    Args:
        targets: 1 present, 0 absent, -1 unknown, shape (images, classes).
        groups: one name per image.
        order: a rank per image, by which the one of a group is chosen; it must know nothing of
            the images.
        positives: whether to choose among the images that have the label, which a recall is
            about, or among all those of which it is known.

    Returns:
        The targets, -1 for what was not chosen.

    Example:
        >>> targets = np.array([[1, 0], [1, 1], [0, -1]], dtype=np.int8)
        >>> one_of_each_group(targets, ["a", "a", "b"], np.array([1, 0, 2]), positives=False)
        array([[-1, -1],
               [ 1,  1],
               [ 0, -1]], dtype=int8)
    """
    _, codes = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    eligible = targets == 1 if positives else targets != UNKNOWN
    ranks = np.where(eligible, order[:, None], len(order))
    rows = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[rows], prepend=-1))
    first = np.minimum.reduceat(ranks[rows], starts, axis=0)
    return np.where(eligible & (ranks == first[codes]), targets, UNKNOWN).astype(np.int8)

"""Whether a validation split is large enough to choose an epoch by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TOLERABLE = 0.05
"""Standard error of the mean average precision, from 0 to 1, that is passed over in silence."""


def told_uncertainty(targets: npt.NDArray[np.int8]) -> float:
    r"""Return the standard error of the mean average precision, if it is worth a word.

    That of an average precision over n positives is taken as that of a share of one half, and
    labels as independent:

    .. math:: \frac{1}{K} \sqrt{\sum_k \frac{0.25}{n_k}}

    over the K labels that have positives. It is a rule of thumb, on the safe side where labels
    are easy.

    Args:
        targets: of the validation split, 1 present, 0 absent, -1 unknown, (images, classes).

    Returns:
        From 0 to 1; 0 where it is passed over in silence, or no label has positives.

    Example:
        >>> round(told_uncertainty(np.eye(2, dtype=np.int8).repeat(10, axis=0)), 3)
        0.112
    """
    positives = (targets == 1).sum(axis=0)
    counted = positives[positives > 0]
    if not len(counted):
        return 0.0
    error = float(np.sqrt((0.25 / counted).sum()) / len(counted))
    return error if round(error, 2) > TOLERABLE else 0.0  # as it would be told


def too_small_to_choose_by(targets: npt.NDArray[np.int8]) -> tuple[str, ...]:
    """Return a sentence where validation scores are mostly chance, else nothing.

    Args:
        targets: of the validation split, 1 present, 0 absent, -1 unknown, (images, classes).

    Example:
        >>> too_small_to_choose_by(np.eye(2, dtype=np.int8).repeat(10, axis=0))
        ('val: 20 images are few to choose an epoch by: mAP on them is uncertain by about 11
        points; about 100 such images would bring that to 5',)
        >>> too_small_to_choose_by(np.eye(2, dtype=np.int8).repeat(1000, axis=0))
        ()
    """
    error = told_uncertainty(targets)
    if not error:
        return ()
    needed = round(len(targets) * (error / TOLERABLE) ** 2)
    return (
        f"val: {len(targets)} images are few to choose an epoch by: mAP on them is uncertain by "
        f"about {100 * error:.0f} points; about {needed} such images would bring that to "
        f"{100 * TOLERABLE:.0f}",
    )

"""Bins of equal mass: what an equal number of answers per bin says of probabilities."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8

from colabel.errors import ConfigError

_UNKNOWN_CODE = 3  # the two lowest bits of the target -1; present is 1 and absent 0


@dataclass(frozen=True)
class Bins:
    """Sums over the bins of every class; a bin may be empty.

    Args:
        count: known labels in the bin.
        present: how many of them are present.
        probability: sum of their probabilities.
    """

    count: Int[np.ndarray, "classes bins"]
    present: Int[np.ndarray, "classes bins"]
    probability: Float[np.ndarray, "classes bins"]


def equal_mass_bins(
    probabilities: Float[np.ndarray, "images classes"],
    targets: Int8[np.ndarray, "images classes"],
    bins: int,
) -> Bins:
    r"""Divide the known labels of every class into bins of equal numbers, in order.

    Equal probabilities stay together: of n known labels, those that stand on the places a + 1 to
    b of the order are in bin

    .. math:: \left\lfloor \frac{a + b}{2} \cdot \frac{\text{bins}}{n} \right\rfloor

    counted from 0, which is where the middle of the group lies. So the order of the images
    changes nothing. With fewer labels than bins each one is alone and the other bins are empty.

    Args:
        probabilities: in [0, 1].
        targets: 1 present, 0 absent, -1 unknown; unknown labels are in no bin.
        bins: number of bins per class, >= 1.

    Returns:
        Number, present ones and sum of the probabilities in each bin.

    Raises:
        ConfigError: if the number of bins is not positive.

    Example:
        >>> values = np.array([[0.1], [0.2], [0.2], [0.9]])
        >>> equal_mass_bins(values, np.array([[0], [0], [1], [1]], dtype=np.int8), 2).count
        array([[1, 3]])
    """
    if bins < 1:
        raise ConfigError(f"the number of bins must be at least 1, got {bins}.")
    classes = targets.shape[1]
    # Of a float in [0, 1] the two highest bits are 0, and its bits as an integer grow with it.
    keys = np.array(probabilities.T, dtype=np.float64, order="C").view(np.uint64)
    keys <<= np.uint64(2)
    keys |= (targets.T & 3).view(np.uint8)
    keys.sort(axis=1)
    codes = (keys & np.uint64(3)).astype(np.uint8)
    known = codes != _UNKNOWN_CODE
    total = np.count_nonzero(known, axis=1)
    origin = np.cumsum(total) - total
    # from here on one flat array holds class after class
    values = (keys[known] >> np.uint64(2)).view(np.float64)
    present = codes[known] == 1
    class_index = np.repeat(np.arange(classes), total)

    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = (values[1:] != values[:-1]) | (class_index[1:] != class_index[:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(values))
    group_class = class_index[starts]
    twice_the_middle = 2 * (starts - origin[group_class]) + sizes
    bin_of_group = twice_the_middle * bins // (2 * total[group_class])
    place = np.repeat(group_class * bins + bin_of_group, sizes)

    cells = classes * bins
    shape = (classes, bins)
    return Bins(
        count=np.bincount(place, minlength=cells).reshape(shape),
        present=np.bincount(place[present], minlength=cells).reshape(shape),
        probability=np.bincount(place, weights=values, minlength=cells)
        .astype(np.float64, copy=False)  # whole numbers where there is no label
        .reshape(shape),
    )

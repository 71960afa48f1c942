"""The mean kernel of every class, and how far an image's kernels are from it (KMCL)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Prototypes:
    """One isotropic kernel per class, N(mean 1, variance I) in ``dim`` dimensions.

    Args:
        mean: one per class; NaN for a class of which no image was seen.
        variance: positive; NaN likewise.
        dim: number of feature dimensions M.
    """

    mean: Float[np.ndarray, " classes"]
    variance: Float[np.ndarray, " classes"]
    dim: int


def kernel_prototypes(
    mean: Float[np.ndarray, "images classes"],
    variance: Float[np.ndarray, "images classes"],
    targets: Shaped[np.ndarray, "images classes"],
    *,
    dim: int,
) -> Prototypes:
    """Mean of the kernels of every class over the images that carry its label.

    Deviation: KMCL compares images with one another and has no prototypes. These have the mean of
    the means and the mean of the variances, so they are as wide as the kernel of one image.

    Args:
        mean: means of the kernels of training or validation images.
        variance: their variances, positive.
        targets: 1 present, 0 absent, -1 unknown; only present labels count.
        dim: number of feature dimensions M.

    Returns:
        One kernel per class, NaN for a class that is never present.

    Example:
        >>> means, variances = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 1.0]] * 2)
        >>> kernel_prototypes(means, variances, np.array([[1, 0], [1, 0]]), dim=4)
        Prototypes(mean=array([ 2., nan]), variance=array([ 1., nan]), dim=4)
    """
    present = targets == 1
    total = present.sum(axis=0)
    seen = np.maximum(total, 1)
    averages = [
        np.where(total > 0, np.where(present, values, 0.0).sum(axis=0, dtype=float) / seen, np.nan)
        for values in (mean, variance)
    ]
    return Prototypes(averages[0], averages[1], dim)


def distance_to_prototypes(
    mean: Float[np.ndarray, "images classes"],
    variance: Float[np.ndarray, "images classes"],
    prototypes: Prototypes,
) -> Float[np.ndarray, "images classes"]:
    r"""Bhattacharyya distance, minus the log of the overlap, to the prototype of each class.

    .. math:: -\log\rho = \frac M4 \log\Big(1 + \frac{(\sigma_p^2-\sigma_q^2)^2}
              {4\sigma_p^2\sigma_q^2}\Big)
              + \frac M4\,\frac{(\mu_p-\mu_q)^2}{\sigma_p^2+\sigma_q^2}

    Source: KMCL, Eq. 3b (Corollary 2 ii), as
    :func:`colabel.mixtures.log_bhattacharyya_isotropic`.

    Args:
        mean: means of the kernels.
        variance: their variances, positive.
        prototypes: the kernels to compare with.

    Returns:
        At least 0, and 0 only where the kernels are the same; infinite for a class without a
        prototype.

    Example:
        >>> prototypes = Prototypes(np.array([0.0, np.nan]), np.array([1.0, np.nan]), dim=8)
        >>> distance_to_prototypes(np.ones((1, 2)), np.ones((1, 2)), prototypes)
        array([[ 1., inf]])
    """
    mean, variance = mean.astype(np.float64), variance.astype(np.float64)
    difference = variance - prototypes.variance
    ratio = (difference / variance) * (difference / prototypes.variance)
    exponent = np.square(mean - prototypes.mean) / (variance + prototypes.variance)
    distance = prototypes.dim / 4 * (np.log1p(ratio / 4) + exponent)
    return np.where(np.isnan(prototypes.mean), np.inf, distance)

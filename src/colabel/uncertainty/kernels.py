"""Kernel mixtures at an image's features, in numpy and without a tensor per class."""

import math

import numpy as np
from jaxtyping import Float

from colabel.uncertainty.centres import by_blocks


def kernel_distances(
    features: Float[np.ndarray, "images width"],
    mean: Float[np.ndarray, "images classes"],
    variance: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, "images classes"]:
    r"""Minus the log of each isotropic kernel at the features.

    .. math:: -\log g_k(f) = \frac{\sum_i (f_i-\bar f)^2 + M(\bar f-\mu_k)^2}{2\sigma_k^2}

    Source: KMCL, Eq. 4, as :func:`colabel.losses.log_kernels`.

    Args:
        features: shape (images, M).
        mean: means of the kernels.
        variance: their variances, positive.

    Returns:
        At least 0.

    Example:
        >>> kernel_distances(np.ones((1, 4)), np.zeros((1, 1)), np.ones((1, 1)))
        array([[2.]])
    """

    def moments(block: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows 2"]:
        average = block.mean(axis=1)
        spread = np.square(block - average[:, None]).sum(axis=1)
        return np.stack([average, spread], axis=1)

    average, spread = by_blocks(moments, features).T[..., None]
    distance = spread + features.shape[1] * np.square(average - mean.astype(np.float64))
    return np.asarray(distance / (2 * variance.astype(np.float64)))


def kernel_mixture(
    features: Float[np.ndarray, "images width"],
    log_weights: Float[np.ndarray, "images classes"],
    mean: Float[np.ndarray, "images classes"],
    variance: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, " images"]:
    r"""Minus the log of the kernel mixture at the image's own features.

    .. math:: -\log\sum_k \pi_k\, g_k(f)^{1/M}

    Source: KMCL, Eq. 4: the denominator of Eq. 5.

    Deviation: every kernel's exponent is divided by M, as in the loss that trains the kernels.

    Args:
        features: shape (images, M).
        log_weights: logs of the coefficients, at most 0.
        mean: means of the kernels.
        variance: their variances, positive.

    Returns:
        One number per image; negative where several kernels explain the features.

    Example:
        >>> zero, one = np.zeros((1, 1)), np.ones((1, 1))
        >>> kernel_mixture(np.ones((1, 4)), zero, zero, one)
        array([0.5])
    """
    distances = kernel_distances(features, mean, variance) / features.shape[1]
    return -np.asarray(np.logaddexp.reduce(log_weights.astype(np.float64) - distances, axis=1))


def mixture_likelihood(
    features: Float[np.ndarray, "images width"],
    log_weights: Float[np.ndarray, "images classes"],
    mean: Float[np.ndarray, "images classes"],
    variance: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, " images"]:
    r"""Negative log density of the image's features under its own mixture of Gaussians.

    .. math:: -\frac1n \log\sum_k \pi_k\,(2\pi\sigma_k^2)^{-n/2}\, g_k(z)

    Source: ProbMCL, Eq. 2, as :func:`colabel.losses.mixture_likelihood_loss`.

    Deviation: divided by the number of dimensions n, as the loss is by default.

    Args:
        features: z, shape (images, n).
        log_weights: logs of the coefficients; they sum to one for a density.
        mean: means of the components.
        variance: their variances, positive.

    Returns:
        One real number per image.

    Example:
        >>> zero, one = np.zeros((1, 1)), np.ones((1, 1))
        >>> mixture_likelihood(np.zeros((1, 4)), zero, zero, one).round(4)  # log(2 pi) / 2
        array([0.9189])
    """
    dim = features.shape[1]
    log_volume = dim / 2 * np.log(variance.astype(np.float64))
    exponent = -kernel_distances(features, mean, variance) - log_volume
    log_density = np.logaddexp.reduce(log_weights.astype(np.float64) + exponent, axis=1)
    return np.asarray(math.log(2 * math.pi) / 2 - log_density / dim)

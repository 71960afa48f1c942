"""ProbMCL's densities and how alike they are, as loops over Python floats.

Nothing here is fast, clever or safe against underflow: each function is the printed formula.
A mixture is three lists, one number per component: its weight, the number its mean vector
repeats, and its variance. The losses, Eq. 2 to 4, are beside this file.
"""

import math
from collections.abc import Sequence

Vector = Sequence[float]
Mixture = tuple[Vector, Vector, Vector]  # weights, means, variances


def normal(z: Vector, mean: Vector, variance: float) -> float:
    """N(z; mean, variance I): the density of an isotropic normal distribution."""
    value = 1.0
    for coordinate, centre in zip(z, mean, strict=True):
        value /= math.sqrt(2 * math.pi * variance)
        value *= math.exp(-((coordinate - centre) ** 2) / (2 * variance))
    return value


def density(z: Vector, mixture: Mixture) -> float:
    """ProbMCL Eq. 1: p(z | x), the mean vector of a component being one number times ones."""
    total = 0.0
    for weight, mean, variance in zip(*mixture, strict=True):
        total += weight * normal(z, [mean] * len(z), variance)
    return total


def integral_of_product(p: Mixture, q: Mixture, *, dim: int) -> float:
    """The integral of p(z) q(z) over R^n, the sums multiplied out.

    That of two normal densities is the density of one, taken at the distance of their means and
    with the sum of their variances.
    """
    total = 0.0
    for weight_p, mean_p, variance_p in zip(*p, strict=True):
        for weight_q, mean_q, variance_q in zip(*q, strict=True):
            overlap = normal([mean_p] * dim, [mean_q] * dim, variance_p + variance_q)
            total += weight_p * weight_q * overlap
    return total


def correlation_coefficient(p: Mixture, q: Mixture, *, dim: int) -> float:
    """ProbMCL Sec. 2.2, below Eq. 3: Sim(p_i, p_j)."""
    return integral_of_product(p, q, dim=dim) / (
        math.sqrt(integral_of_product(p, p, dim=dim))
        * math.sqrt(integral_of_product(q, q, dim=dim))
    )


def bhattacharyya_bound(p: Mixture, q: Mixture, *, dim: int) -> float:
    """Sum over the classes of the integral of the root of both weighted components.

    The paper names the Bhattacharyya coefficient, the integral of sqrt(p(z) q(z)), which no
    formula gives for mixtures; this is what components of the same class contribute at least.
    """
    total = 0.0
    for weight_p, mean_p, variance_p, weight_q, mean_q, variance_q in zip(*p, *q, strict=True):
        ratio = (variance_p + variance_q) / (2 * math.sqrt(variance_p) * math.sqrt(variance_q))
        distance = dim * (mean_p - mean_q) ** 2
        coefficient = ratio ** (-dim / 2) * math.exp(-distance / (4 * (variance_p + variance_q)))
        total += math.sqrt(weight_p * weight_q) * coefficient
    return total

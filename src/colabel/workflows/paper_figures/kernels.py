"""Three similarities of two kernels (KMCL, Fig. 1), from the mathematics alone."""

from __future__ import annotations

from pathlib import Path

import torch

from colabel.figures.kernels import KernelScene, KernelSurface, kernels_figure
from colabel.mixtures import (
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)

_DEVIATION = 2.0  # of both kernels where their difference is 0
_MEANS, _DEVIATIONS = 8.0, 3.0  # largest differences
_POINTS = 81
_NAMES = ("Bhattacharyya", "Mahalanobis", "Gaussian")

_SCENES = (
    ("different means, different covariances",
     (-1.2, -0.4), ((1.5, 0.6), (0.6, 0.8)), (1.2, 0.6), ((0.6, -0.3), (-0.3, 1.4))),
    ("the same mean, different covariances",
     (0.0, 0.0), ((2.0, 0.9), (0.9, 0.7)), (0.0, 0.0), ((0.5, -0.3), (-0.3, 1.6))),
    ("different means, the same covariance",
     (-1.2, -0.4), ((1.2, 0.5), (0.5, 0.8)), (1.2, 0.6), ((1.2, 0.5), (0.5, 0.8))),
)  # fmt: skip
"""What it shows, then mean and covariance of both kernels."""


def draw_similarities(png: Path) -> None:
    r"""Draw three similarities over the differences of two kernels, and in three scenes.

    The surfaces are of kernels on a line with the standard deviations
    :math:`2 \mp \Delta\sigma / 2`. The Mahalanobis similarity has their average variance, as the
    exponent of the Bhattacharyya coefficient has; the Gaussian one the variance 4, as one
    constant is all it has. In the scenes it has the mean of the average covariance's diagonal.

    Source: KMCL, Fig. 1, with Eq. 1, 2a and 2b.

    Deviation: the paper does not say which means and covariances it drew.

    Args:
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    kernels_figure(surfaces(), scenes(), png)


def surfaces() -> tuple[KernelSurface, ...]:
    """Return each similarity over differences of mean and standard deviation."""
    means = torch.linspace(-_MEANS, _MEANS, _POINTS, dtype=torch.float64)
    deviations = torch.linspace(-_DEVIATIONS, _DEVIATIONS, _POINTS, dtype=torch.float64)
    difference, spread = torch.meshgrid(means, deviations, indexing="ij")
    zero = torch.zeros_like(difference)
    first, second = (_DEVIATION - spread / 2).square(), (_DEVIATION + spread / 2).square()
    average = (first + second) / 2
    logs = (
        log_bhattacharyya_isotropic(zero, first, difference, second, dim=1),
        log_mahalanobis_similarity(
            zero[..., None], difference[..., None], average[..., None, None]
        ),
        log_gaussian_similarity(
            zero[..., None], difference[..., None], torch.full_like(average, _DEVIATION**2)
        ),
    )
    return tuple(
        KernelSurface(name, means.numpy(), deviations.numpy(), values.exp().numpy())
        for name, values in zip(_NAMES, logs, strict=True)
    )


def scenes() -> tuple[KernelScene, ...]:
    """Return pairs of kernels in the plane with their similarities."""
    answer = []
    for title, *numbers in _SCENES:
        mean_p, covariance_p, mean_q, covariance_q = (
            torch.tensor(number, dtype=torch.float64) for number in numbers
        )
        average = (covariance_p + covariance_q) / 2
        logs = (
            log_bhattacharyya_full(mean_p, covariance_p, mean_q, covariance_q),
            log_mahalanobis_similarity(mean_p, mean_q, average),
            log_gaussian_similarity(mean_p, mean_q, average.diagonal().mean()),
        )
        answer.append(
            KernelScene(
                title,
                (mean_p.numpy(), mean_q.numpy()),
                (covariance_p.numpy(), covariance_q.numpy()),
                {name: float(value.exp()) for name, value in zip(_NAMES, logs, strict=True)},
            )
        )
    return tuple(answer)

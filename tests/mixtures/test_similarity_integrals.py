"""The similarities against their definition: the integral of the root of two densities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import scalar

from colabel.mixtures import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)

means = st.floats(-5, 5, allow_nan=False)
variances = st.floats(0.05, 20)


def integrate(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Trapezoid rule over the first axis."""
    return ((values[1:] + values[:-1]) / 2).T @ np.diff(x)


def density_1d(mean: float, variance: float, x: np.ndarray) -> np.ndarray:
    kernel = np.exp(-((x - mean) ** 2) / (2 * variance))
    return kernel / integrate(kernel, x)


@given(means, variances, means, variances)
def test_one_dimension_equals_the_integral(mp, vp, mq, vq):
    reach = 12 * math.sqrt(max(vp, vq))
    x = np.linspace(min(mp, mq) - reach, max(mp, mq) + reach, 20_001)
    integral = integrate(np.sqrt(density_1d(mp, vp, x) * density_1d(mq, vq, x)), x)
    isotropic = log_bhattacharyya_isotropic(scalar(mp), scalar(vp), scalar(mq), scalar(vq), dim=1)
    diagonal = log_bhattacharyya_diagonal(scalar([mp]), scalar([vp]), scalar([mq]), scalar([vq]))
    assert math.exp(isotropic.item()) == pytest.approx(integral, abs=1e-9)
    assert math.exp(diagonal.item()) == pytest.approx(integral, abs=1e-9)


def integral_2d(mean_p, covariance_p, mean_q, covariance_q):
    reach = 10 * math.sqrt(max(np.linalg.eigvalsh(c).max() for c in (covariance_p, covariance_q)))
    axes = [
        np.linspace(min(p, q) - reach, max(p, q) + reach, 601)
        for p, q in zip(mean_p, mean_q, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def over_plane(values):
        return integrate(integrate(values, axes[0]), axes[1])

    def density(mean, covariance):
        difference = points - mean
        form = np.einsum("xyi,ij,xyj->xy", difference, np.linalg.inv(covariance), difference)
        kernel = np.exp(-form / 2)
        return kernel / over_plane(kernel)

    return over_plane(np.sqrt(density(mean_p, covariance_p) * density(mean_q, covariance_q)))


MEANS_2D = np.array([0.3, -0.8]), np.array([1.1, 0.4])


def test_two_dimensions_full_covariance():
    (mp, mq) = MEANS_2D
    cp, cq = np.array([[1.5, 0.7], [0.7, 0.9]]), np.array([[0.6, -0.3], [-0.3, 2.0]])
    got = log_bhattacharyya_full(*(torch.from_numpy(part) for part in (mp, cp, mq, cq)))
    assert math.exp(got.item()) == pytest.approx(integral_2d(mp, cp, mq, cq), abs=1e-9)


def test_two_dimensions_diagonal_covariance():
    (mp, mq), (vp, vq) = MEANS_2D, (np.array([1.5, 0.4]), np.array([0.6, 2.0]))
    got = log_bhattacharyya_diagonal(*(torch.from_numpy(part) for part in (mp, vp, mq, vq)))
    expected = integral_2d(mp, np.diag(vp), mq, np.diag(vq))
    assert math.exp(got.item()) == pytest.approx(expected, abs=1e-9)


def test_two_dimensions_isotropic():
    mp, vp, mq, vq = 0.3, 1.5, -0.9, 0.6
    got = log_bhattacharyya_isotropic(scalar(mp), scalar(vp), scalar(mq), scalar(vq), dim=2)
    ones, eye = np.ones(2), np.eye(2)
    expected = integral_2d(mp * ones, vp * eye, mq * ones, vq * eye)
    assert math.exp(got.item()) == pytest.approx(expected, abs=1e-9)


def test_two_dimensions_one_covariance():
    (mp, mq), covariance = MEANS_2D, np.array([[1.5, 0.7], [0.7, 0.9]])
    got = log_mahalanobis_similarity(*(torch.from_numpy(p) for p in (mp, mq, covariance)))
    expected = integral_2d(mp, covariance, mq, covariance)
    assert math.exp(got.item()) == pytest.approx(expected, abs=1e-9)


def test_two_dimensions_one_isotropic_covariance():
    (mp, mq), variance = MEANS_2D, 1.3
    got = log_gaussian_similarity(torch.from_numpy(mp), torch.from_numpy(mq), scalar(variance))
    expected = integral_2d(mp, variance * np.eye(2), mq, variance * np.eye(2))
    assert math.exp(got.item()) == pytest.approx(expected, abs=1e-9)

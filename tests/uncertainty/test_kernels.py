"""Kernels and overlaps in numpy against the papers' loops and against the losses in torch."""

import math

import numpy as np
import pytest
import torch
from mixture_cases import mixture
from reference import kmcl, probmcl_losses

from colabel.losses import log_kernels, mixture_likelihood_loss, reconstruction_loss
from colabel.mixtures import log_bhattacharyya_isotropic
from colabel.uncertainty import Outputs, Prototypes, compute_score, distance_to_prototypes
from colabel.uncertainty.kernels import kernel_distances, kernel_mixture, mixture_likelihood

BATCH, CLASSES, DIM = 6, 4, 5


def draw(*, seed=0, batch=BATCH, classes=CLASSES, dim=DIM, dtype=torch.float64):
    """A mixture, features, and the arrays of both in the order of the functions."""
    kernels, _ = mixture("isotropic", batch, classes, dim, seed=seed, dtype=dtype)
    generator = torch.Generator().manual_seed(seed + 1)
    features = torch.randn(batch, dim, generator=generator, dtype=dtype) + 0.5
    parts = (features, kernels.log_weights, kernels.mean, kernels.variance)
    return kernels, features, [part.numpy() for part in parts]


@pytest.mark.parametrize(("batch", "classes"), [(BATCH, CLASSES), (1, CLASSES), (BATCH, 1)])
def test_equals_the_papers_loops(batch, classes):
    _, _, arrays = draw(batch=batch, classes=classes)
    everything = range(classes)
    for row, value, density in zip(
        zip(*(array.tolist() for array in arrays), strict=True),
        kernel_mixture(*arrays),
        mixture_likelihood(*arrays),
        strict=True,
    ):
        features, log_weights, means, variances = row
        weights = [math.exp(weight) for weight in log_weights]
        of_kernels = kmcl.mixture_value(
            features, weights, means, variances, everything, per_dimension=True
        )
        assert value == pytest.approx(-math.log(of_kernels))
        expected = probmcl_losses.likelihood(
            features, weights, means, variances, per_dimension=True
        )
        assert density == pytest.approx(expected)


@pytest.mark.parametrize("dim", [1, DIM, 2432])
def test_equals_the_losses(dim):
    kernels, features, arrays = draw(dim=dim)
    vectors, _, mean, variance = arrays
    np.testing.assert_allclose(
        kernel_distances(vectors, mean, variance), -log_kernels(kernels, features), rtol=1e-10
    )
    np.testing.assert_allclose(
        mixture_likelihood(*arrays), mixture_likelihood_loss(kernels, features), rtol=1e-10
    )
    components = kernels.log_weights + log_kernels(kernels, features, per_dimension=True)
    np.testing.assert_allclose(
        kernel_mixture(*arrays), -components.logsumexp(dim=1), rtol=1e-10, atol=1e-12
    )


def test_it_is_the_denominator_of_the_reconstruction_loss():
    kernels, features, arrays = draw(seed=2)
    targets = torch.zeros(BATCH, CLASSES, dtype=torch.int8)
    targets[:, 0] = 1
    first = [array if array is arrays[0] else array[:, :1] for array in arrays]
    np.testing.assert_allclose(
        kernel_mixture(*first) - kernel_mixture(*arrays),
        reconstruction_loss(kernels, features, targets),
        rtol=1e-10,
    )


def test_float32_arrays_lose_nothing_but_their_own_rounding():
    _, _, arrays = draw(seed=3, dim=2432, dtype=torch.float32)
    doubles = [array.astype(np.float64) for array in arrays]
    for function in (kernel_mixture, mixture_likelihood):
        np.testing.assert_array_equal(function(*arrays), function(*doubles))


def test_features_far_from_every_kernel_are_finite():
    _, _, arrays = draw(seed=4)
    far = [arrays[0] + 1e6, *arrays[1:]]
    assert np.isfinite(kernel_mixture(*far)).all()
    assert (kernel_mixture(*far) > kernel_mixture(*arrays)).all()
    assert (mixture_likelihood(*far) > mixture_likelihood(*arrays)).all()


@pytest.mark.parametrize("dim", [1, DIM, 2432])
def test_prototype_distances_equal_the_overlap(dim):
    kernels, _, arrays = draw(seed=5, dim=dim)
    *_, mean, variance = arrays
    prototypes = Prototypes(mean[0], variance[0], dim)
    distances = distance_to_prototypes(mean, variance, prototypes)
    expected = log_bhattacharyya_isotropic(
        kernels.mean, kernels.variance, kernels.mean[0], kernels.variance[0], dim=dim
    )
    np.testing.assert_allclose(distances, -expected, rtol=1e-12)
    assert (distances[0] == 0).all()
    assert (distances[1:] > 0).all()
    if dim == DIM:
        loops = [
            [
                -math.log(kmcl.bhattacharyya_isotropic(*cells, dim=dim))
                for cells in zip(*row, mean[0].tolist(), variance[0].tolist(), strict=True)
            ]
            for row in zip(mean.tolist(), variance.tolist(), strict=True)
        ]
        np.testing.assert_allclose(distances, loops, rtol=1e-9, atol=1e-12)


def test_the_scores_are_these_functions():
    _, _, arrays = draw(seed=6)
    features, log_weights, mean, variance = arrays
    prototypes = Prototypes(mean[0], variance[0], DIM)
    outputs = Outputs(
        log_weights,
        np.exp(log_weights),
        np.full(CLASSES, 0.5),
        kernel_mean=mean,
        kernel_variance=variance,
        log_weights=log_weights,
        features=features,
        prototypes=prototypes,
    )
    for name, expected in (
        ("kernel_mixture", kernel_mixture(*arrays)),
        ("mixture_likelihood", mixture_likelihood(*arrays)),
        ("prototype_distance", distance_to_prototypes(mean, variance, prototypes)),
    ):
        np.testing.assert_array_equal(compute_score(name, outputs), expected)

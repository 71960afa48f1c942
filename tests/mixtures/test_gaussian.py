"""GaussianMixture: what it accepts, what it says when it refuses."""

import dataclasses

import pytest
import torch
from mixture_cases import mixture

from colabel.mixtures import GaussianMixture

ones = torch.ones


def test_isotropic_parameters_have_two_axes():
    made = GaussianMixture(-ones(2, 3), ones(2, 3), ones(2, 3), dim=5)
    assert (made.batch, made.classes, made.dim, made.isotropic) == (2, 3, 5, True)


def test_diagonal_parameters_have_three_axes():
    made = GaussianMixture(-ones(2, 3), ones(2, 3, 5), ones(2, 3, 5), dim=5)
    assert (made.batch, made.classes, made.dim, made.isotropic) == (2, 3, 5, False)


def test_it_is_frozen():
    made = GaussianMixture(-ones(2, 3), ones(2, 3), ones(2, 3), dim=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.dim = 6


def test_a_shared_variance_may_be_an_expanded_view():
    made, leaves = mixture("shared_diagonal", 2, 3, 5)
    assert made.variance.shape == (2, 3, 5)
    assert made.variance.data_ptr() == leaves["variance"].data_ptr()


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        (((3,), (3,), (3,)), ["(3,)"]),
        (((2, 3, 5), (2, 3, 5), (2, 3, 5)), ["(2, 3, 5)"]),
        (((2, 3), (3, 2), (3, 2)), ["(2, 3)", "(2, 3, 5)", "(3, 2)"]),
        (((2, 3), (2, 3, 4), (2, 3, 4)), ["(2, 3, 5)", "(2, 3, 4)"]),
        (((2, 3), (2, 3), (2, 3, 5)), ["(2, 3)", "(2, 3, 5)"]),
        (((2, 3), (2, 3, 5), (2, 1, 5)), ["(2, 3, 5)", "(2, 1, 5)"]),
        (((2, 3), (2, 3), (2, 1)), ["(2, 3)", "(2, 1)"]),
    ],
)
def test_parts_that_do_not_fit_are_named(shapes, named, unchecked_shapes):
    weights, mean, variance = (ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="must have") as raised:
        GaussianMixture(weights, mean, variance, dim=5)
    for shape in named:
        assert shape in str(raised.value)


def test_logits_of_another_shape_are_named(unchecked_shapes):
    with pytest.raises(ValueError, match="logits must have") as raised:
        GaussianMixture(-ones(2, 3), ones(2, 3), ones(2, 3), dim=5, logits=ones(3, 2))
    assert "(2, 3)" in str(raised.value)
    assert "(3, 2)" in str(raised.value)


def test_targets_of_another_shape_are_named():
    made, _ = mixture("isotropic", 8, 4, 5)
    made.check_targets(torch.zeros(8, 4, dtype=torch.int8))
    with pytest.raises(ValueError, match="targets must have") as raised:
        made.check_targets(torch.zeros(4, 8))
    assert "(8, 4)" in str(raised.value)
    assert "(4, 8)" in str(raised.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
def test_float_widens_half_precision_without_changing_a_value(kind, dtype):
    half, _ = mixture(kind, 2, 3, 5, dtype=dtype)
    wide = half.float()
    assert wide.dim == half.dim
    for name in ("log_weights", "mean", "variance", "logits"):
        assert getattr(wide, name).dtype is torch.float32
        assert torch.equal(getattr(wide, name), getattr(half, name).float())


def test_float_keeps_absent_logits_absent():
    half = GaussianMixture(-ones(2, 3).half(), ones(2, 3).half(), ones(2, 3).half(), dim=5)
    assert half.float().logits is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_float_leaves_full_precision_alone(dtype):
    made, _ = mixture("isotropic", 2, 3, 5, dtype=dtype)
    assert made.float() is made

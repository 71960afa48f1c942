"""The similarity of two mixtures against the paper as loops, integrals, and what must hold."""

import itertools
import math

import numpy as np
import pytest
import torch
from correlation_cases import density, leaves, naive_log_correlation, slopes
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import convert, draw, mixture, take
from reference import probmcl

from colabel.mixtures import (
    GaussianMixture,
    log_bhattacharyya_isotropic,
    pairwise_log_bhattacharyya_bound,
    pairwise_log_correlation,
)

FUNCTIONS = [pairwise_log_correlation, pairwise_log_bhattacharyya_bound]
BOTH = pytest.mark.parametrize("function", FUNCTIONS)
# one element, less than a row of components, a row, an image, several, all at once, by the device
BLOCKS = pytest.mark.parametrize("block_elements", [1, 2, 4, 5, 11, 25, 60, 10**9, None])

seeds = st.integers(0, 2**20)


def as_loops(whole):
    """Each image as the lists of the reference."""
    parts = whole.log_weights.exp(), whole.mean, whole.variance
    return list(zip(*(part.tolist() for part in parts), strict=True))


def over_pairs(function, whole):
    images = as_loops(whole)
    return torch.tensor([[function(p, q) for q in images] for p in images], dtype=torch.float64)


# --- the paper as loops


@pytest.mark.parametrize("dim", [1, 2, 7])
@pytest.mark.parametrize("classes", [1, 4])
def test_correlation_equals_section_2_2(dim, classes):
    made = density(leaves(5, classes, seed=dim), dim)
    expected = over_pairs(lambda p, q: probmcl.correlation_coefficient(p, q, dim=dim), made)
    assert expected.min() < 0.9
    got = pairwise_log_correlation(made)
    torch.testing.assert_close(got.exp(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dim", [1, 2, 7])
@pytest.mark.parametrize("classes", [1, 4])
def test_bound_equals_the_sum_over_classes(dim, classes):
    made = density(leaves(5, classes, seed=dim), dim)
    expected = over_pairs(lambda p, q: probmcl.bhattacharyya_bound(p, q, dim=dim), made)
    assert expected.min() < 0.9
    got = pairwise_log_bhattacharyya_bound(made)
    torch.testing.assert_close(got.exp(), expected, rtol=1e-12, atol=0)


# --- numerical integrals


def grid_densities(whole, points, step):
    """Values of each image's density on a grid, beyond whose edges there is nothing of it."""
    axes = itertools.product(*[points] * whole.dim)
    values = np.array([[probmcl.density(z, image) for image in as_loops(whole)] for z in axes])
    assert np.allclose(values.sum(axis=0) * step**whole.dim, 1, rtol=1e-10)
    return values


def integrals(whole, reach, count):
    """Correlation and Bhattacharyya coefficient of all pairs; sums are exact for smooth bells."""
    points, step = np.linspace(-reach, reach, count, retstep=True)
    values = grid_densities(whole, points.tolist(), step)
    volume = step**whole.dim
    product = values.T @ values * volume
    own = np.sqrt(np.diag(product))
    roots = np.sqrt(values)
    return torch.from_numpy(product / np.outer(own, own)), torch.from_numpy(
        roots.T @ roots * volume
    )


@pytest.mark.parametrize(("dim", "reach", "count"), [(1, 18.0, 601), (2, 14.0, 121)])
def test_correlation_equals_the_integrals(dim, reach, count):
    made = density(leaves(3, 3, seed=3, spread=2.0), dim)
    correlation, coefficient = integrals(made, reach, count)
    assert correlation.min() < 0.9
    got = pairwise_log_correlation(made).exp()
    torch.testing.assert_close(got, correlation, rtol=1e-10, atol=1e-10)
    bound = pairwise_log_bhattacharyya_bound(made).exp()
    apart = ~torch.eye(3, dtype=torch.bool)
    assert (bound <= coefficient + 1e-10).all()
    assert (bound < coefficient - 1e-3)[apart].any(), "a bound that is the coefficient is no test"


@pytest.mark.parametrize(("dim", "reach", "count"), [(1, 18.0, 601), (2, 14.0, 121)])
def test_bound_is_the_coefficient_of_one_component(dim, reach, count):
    made = density(leaves(3, 1, seed=4), dim)
    _, coefficient = integrals(made, reach, count)
    assert coefficient.min() < 0.99
    bound = pairwise_log_bhattacharyya_bound(made).exp()
    torch.testing.assert_close(bound, coefficient, rtol=1e-10, atol=0)


def test_bound_is_the_coefficient_where_classes_do_not_overlap():
    parts = leaves(3, 3, seed=5, spread=0.5, variances=(1.0, 1.5))
    parts["mean"] = parts["mean"] + 30 * torch.arange(3) - 30
    made = density(parts, 1)
    _, coefficient = integrals(made, 48.0, 1601)
    assert coefficient.min() < 0.9
    bound = pairwise_log_bhattacharyya_bound(made).exp()
    torch.testing.assert_close(bound, coefficient, rtol=1e-10, atol=0)


# --- gradients and blocks


@pytest.mark.parametrize("dim", [1, 6])
@pytest.mark.parametrize("block_elements", [1, 5, None])
def test_gradcheck_of_the_correlation(dim, block_elements):
    parts = leaves(4, 3, seed=6)
    inputs = [part.requires_grad_() for part in parts.values()]

    def function(log_weights, mean, variance):
        made = GaussianMixture(log_weights, mean, variance, dim=dim)
        return pairwise_log_correlation(made, block_elements=block_elements)

    assert torch.autograd.gradcheck(function, inputs)


def test_gradcheck_of_the_bound():
    inputs = [part.requires_grad_() for part in leaves(4, 3, seed=6).values()]
    assert torch.autograd.gradcheck(
        lambda *parts: pairwise_log_bhattacharyya_bound(GaussianMixture(*parts, dim=6)), inputs
    )


@pytest.mark.parametrize("only", ["logits", "mean", "variance"])
def test_gradient_of_one_part_alone(only):
    parts, weight = leaves(4, 3, seed=6), draw(4, 4, seed=1)
    every = dict(zip(parts, slopes(pairwise_log_correlation, parts, 6, weight), strict=True))
    parts[only].requires_grad_()
    (pairwise_log_correlation(density(parts, 6)) * weight).sum().backward()
    torch.testing.assert_close(parts[only].grad, every[only], rtol=1e-12, atol=1e-14)


@BLOCKS
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_blocks_change_nothing(block_elements, batch):
    parts, weight = leaves(batch, 5, seed=7), draw(batch, batch, seed=2)

    def ours(whole):
        return pairwise_log_correlation(whole, block_elements=block_elements)

    made = density(parts, 20)
    torch.testing.assert_close(ours(made), naive_log_correlation(made), rtol=1e-12, atol=1e-13)
    for got, expected in zip(
        slopes(ours, parts, 20, weight),
        slopes(naive_log_correlation, parts, 20, weight),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block_elements", [0, -1])
def test_empty_blocks_are_refused(block_elements):
    with pytest.raises(ValueError, match="block_elements must be at least 1, got"):
        pairwise_log_correlation(density(leaves(2, 2), 3), block_elements=block_elements)


@BOTH
def test_diagonal_kernels_are_refused(function):
    made, _ = mixture("diagonal", 3, 2, 4)
    with pytest.raises(ValueError, match=r"isotropic kernels.*got diagonal ones of shape \(3, 2"):
        function(made)


# --- what must hold


@BOTH
@given(seed=seeds)
def test_properties(function, seed):
    made = density(leaves(5, 4, seed=seed), 12)
    got = function(made)
    assert torch.equal(got, got.T)
    assert (got <= 1e-12).all()
    torch.testing.assert_close(got.diagonal(), torch.zeros_like(got[0]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 2048])
def test_an_image_correlates_with_itself_exactly(dtype, dim):
    made = density(leaves(6, 5, seed=8, dtype=dtype), dim)
    assert (pairwise_log_correlation(made).diagonal() == 0).all()


@BOTH
def test_equal_images_are_alike(function):
    once = leaves(3, 4, seed=9)
    made = density({name: part.repeat(2, 1) for name, part in once.items()}, 2048)
    got = function(made)
    torch.testing.assert_close(got[:3, 3:].diagonal(), torch.zeros(3, dtype=got.dtype))
    assert (got[~torch.eye(3, dtype=torch.bool).repeat(2, 2)] < -1).all()


@BOTH
def test_order_of_images_and_of_classes(function):
    made = density(leaves(5, 4, seed=10), 12)
    images, classes = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 3, 0, 1])
    got = function(made)
    torch.testing.assert_close(function(take(made, images)), got[images][:, images])
    torch.testing.assert_close(function(take(made, classes=classes)), got)


def test_classes_have_no_meaning_for_the_correlation_but_for_the_bound():
    """Both sides of a pair may name their components as they like; the bound pairs the names."""
    made = density(leaves(4, 3, seed=11), 12)
    order = torch.stack(
        [torch.randperm(3, generator=torch.Generator().manual_seed(s)) for s in range(4)]
    )
    shuffled = GaussianMixture(
        *(part.gather(1, order) for part in (made.log_weights, made.mean, made.variance)), dim=12
    )
    before, after = (pairwise_log_correlation(whole) for whole in (made, shuffled))
    torch.testing.assert_close(after, before)
    before, after = (pairwise_log_bhattacharyya_bound(whole) for whole in (made, shuffled))
    assert (after - before).abs().max() > 0.1


def test_a_factor_of_all_weights():
    """It cancels in the correlation; in the bound the root of both images' factors stays."""
    made = density(leaves(4, 3, seed=12), 12)
    shift = torch.tensor([-800.0, 0.0, 3.0, 250.0], dtype=torch.float64)
    scaled = GaussianMixture(made.log_weights + shift[:, None], made.mean, made.variance, dim=12)
    torch.testing.assert_close(pairwise_log_correlation(scaled), pairwise_log_correlation(made))
    torch.testing.assert_close(
        pairwise_log_bhattacharyya_bound(scaled),
        pairwise_log_bhattacharyya_bound(made) + (shift[:, None] + shift) / 2,
    )


def test_the_unit_of_length_has_no_influence():
    """A thousand times longer lengths stretch all densities alike."""
    parts = leaves(4, 3, seed=13)
    long = parts | {"mean": parts["mean"] * 1e3, "variance": parts["variance"] * 1e6}
    for function in FUNCTIONS:
        torch.testing.assert_close(function(density(long, 12)), function(density(parts, 12)))


@pytest.mark.parametrize("dim", [1, 2048])
def test_correlation_of_one_component(dim):
    """It is rho with the squared distance of the means doubled."""
    parts = leaves(5, 1, seed=14, spread=0.05)
    got = pairwise_log_correlation(density(parts, dim))
    mean, variance = parts["mean"] * math.sqrt(2), parts["variance"]
    expected = log_bhattacharyya_isotropic(mean, variance, mean.T, variance.T, dim=dim)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-11)


@BOTH
@pytest.mark.parametrize("classes", [1, 4])
def test_batch_of_one(function, classes):
    parts = leaves(1, classes, seed=15)
    assert function(density(parts, 2048)).abs().max() < 1e-12
    for slope in slopes(function, parts, 2048, torch.ones(1, 1, dtype=torch.float64)):
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-11)


# --- weights of 0 and 1


def with_zeros(parts, absent, dtype):
    """The logits -inf where absent: these weights are exactly 0."""
    gone = parts | {"logits": parts["logits"].masked_fill(absent, -torch.inf)}
    return {name: part.to(dtype) for name, part in gone.items()}


@pytest.mark.parametrize("block_elements", [1, 3, 4, None])
def test_weights_of_exactly_zero(block_elements):
    """As if the component were not there; nothing of the gradient goes to it."""
    parts = with_zeros(leaves(4, 4, seed=16), torch.arange(4) == 1, torch.float64)
    rest = {name: part[:, [0, 2, 3]] for name, part in parts.items()}
    weight = draw(4, 4, seed=3)

    def ours(whole):
        return pairwise_log_correlation(whole, block_elements=block_elements)

    torch.testing.assert_close(ours(density(parts, 30)), ours(density(rest, 30)))
    every = zip(slopes(ours, parts, 30, weight), slopes(ours, rest, 30, weight), strict=True)
    for got, expected in every:
        torch.testing.assert_close(got[:, [0, 2, 3]], expected)
        assert got[:, 1].abs().max() < 1e-22


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block_elements", [1, 3, None])
def test_weights_of_exactly_one(dtype, block_elements):
    """Each image has a component of its own: no two share a class with a weight."""
    alone = torch.eye(3, dtype=torch.bool)
    raw = leaves(3, 3, seed=17)
    parts = with_zeros(raw, ~alone, dtype)
    single = {name: part[alone][:, None].to(dtype) for name, part in raw.items()}
    weight = draw(3, 3, seed=4).to(dtype)

    def ours(whole):
        return pairwise_log_correlation(whole, block_elements=block_elements)

    torch.testing.assert_close(ours(density(parts, 9)), ours(density(single, 9)))
    _, *got = slopes(ours, parts, 9, weight)
    _, *expected = slopes(ours, single, 9, weight)
    for whole, one in zip(got, expected, strict=True):
        torch.testing.assert_close(whole[alone][:, None], one)
        assert whole[~alone].abs().max() < 1e-22


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bound_with_weights_of_zero(dtype):
    parts = with_zeros(leaves(3, 4, seed=18), torch.arange(4) == 1, dtype)
    rest = {name: part[:, [0, 2, 3]] for name, part in parts.items()}
    weight = draw(3, 3, seed=5).to(dtype)
    function = pairwise_log_bhattacharyya_bound
    torch.testing.assert_close(function(density(parts, 9)), function(density(rest, 9)))
    every = zip(slopes(function, parts, 9, weight), slopes(function, rest, 9, weight), strict=True)
    for got, expected in every:
        torch.testing.assert_close(got[:, [0, 2, 3]], expected)
        assert (got[:, 1] == 0).all()


# --- types and layouts


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(function, dtype):
    half = convert(density(leaves(4, 3, seed=19), 2048), dtype)
    for part in (half.log_weights, half.mean, half.variance):
        part.requires_grad_()
    got = function(half)
    assert got.dtype is torch.float32
    assert torch.equal(got, function(convert(half, torch.float32)))
    got.sum().backward()
    for part in (half.log_weights, half.mean, half.variance):
        assert part.grad.dtype is dtype
        assert part.grad.isfinite().all()


@BOTH
def test_any_layout_and_no_change_of_the_inputs(function):
    """A variance all classes share is an expanded view; a head may return transposed parts."""
    parts, weight = leaves(4, 3, seed=20), draw(4, 4, seed=6)
    parts["variance"] = parts["variance"][:, :1].expand(4, 3)
    plain = {
        name: part.clone(memory_format=torch.contiguous_format) for name, part in parts.items()
    }
    odd = {name: part.T.contiguous().T for name, part in parts.items()}
    expected = slopes(function, plain, 12, weight)
    for version in (parts, odd):
        torch.testing.assert_close(function(density(version, 12)), function(density(plain, 12)))
        for got, slope in zip(slopes(function, version, 12, weight), expected, strict=True):
            torch.testing.assert_close(got, slope)
        for name, part in plain.items():
            assert torch.equal(version[name], part)


def test_images_without_a_common_class_get_no_gradient_from_the_bound():
    log_weights = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], requires_grad=True)
    mean = torch.zeros(2, 2, requires_grad=True)
    shared = pairwise_log_bhattacharyya_bound(
        GaussianMixture(log_weights, mean, torch.ones(2, 2), dim=3)
    )
    assert shared.exp().tolist() == [[1, 0], [0, 1]]
    for gradient in torch.autograd.grad(shared.sum(), (log_weights, mean)):
        assert torch.isfinite(gradient).all()


def test_gradients_are_not_coarsened_by_autocast_around_the_backward_pass():
    leaf = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))

    def gradient(enabled):
        mixture = GaussianMixture(leaf.log_softmax(1), leaf, 1 + leaf.exp(), dim=64)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = (pairwise_log_correlation(mixture).exp() * weights).sum()
            return torch.autograd.grad(value, leaf)[0]

    torch.testing.assert_close(gradient(True), gradient(False), rtol=1e-5, atol=1e-6)

"""MixtureLikelihoodLoss against ProbMCL Eq. 2 as loops, integrals and many digits."""

import math

import mpmath
import pytest
import torch
from density_cases import densities, density_of, likelihood_loop
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import convert, draw, generator, take

from colabel.losses import MixtureLikelihoodLoss, mixture_likelihood_loss
from colabel.mixtures import GaussianMixture

KINDS = ["isotropic", "diagonal", "shared_isotropic", "shared_diagonal"]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
BOTH_KINDS = pytest.mark.parametrize("kind", KINDS[:2])
BOTH = pytest.mark.parametrize("per_dimension", [True, False])
WIDTH = 2048


# --- the paper


@EVERY_KIND
@BOTH
def test_equals_eq_2(kind, per_dimension):
    made, _ = densities(kind, 6, 10, 4, seed=1)
    features = draw(6, 4, seed=2)
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    assert got.shape == (6,)
    expected = likelihood_loop(made, features, per_dimension=per_dimension)
    assert got.tolist() == pytest.approx(expected, rel=1e-11)


@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.integers(0, 99),
    st.sampled_from(KINDS), st.booleans(),
)  # fmt: skip
def test_any_sizes_equal_eq_2(batch, classes, dim, seed, kind, per_dimension):
    made, _ = densities(kind, batch, classes, dim, seed=seed, spread=3.0)
    features = 3 * draw(batch, dim, seed=seed + 1)
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    expected = likelihood_loop(made, features, per_dimension=per_dimension)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-12)


@EVERY_KIND
def test_the_density_integrates_to_one_in_one_dimension(kind):
    made, _ = densities(kind, 1, 3, 1, seed=1, spread=4.0)
    grid = torch.linspace(-60, 60, 12_001, dtype=torch.float64)
    everywhere = take(made, torch.zeros(len(grid), dtype=torch.long))
    loss = mixture_likelihood_loss(everywhere, grid[:, None], per_dimension=False)
    assert torch.trapezoid((-loss).exp(), grid).item() == pytest.approx(1, abs=1e-10)


@BOTH_KINDS
def test_the_density_integrates_to_one_in_two_dimensions(kind):
    made, _ = densities(kind, 1, 3, 2, seed=2)
    line = torch.linspace(-16, 16, 161, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    everywhere = take(made, torch.zeros(len(grid), dtype=torch.long))
    loss = mixture_likelihood_loss(everywhere, grid, per_dimension=False)
    density = (-loss).exp().view(len(line), len(line))
    volume = torch.trapezoid(torch.trapezoid(density, line), line)
    assert volume.item() == pytest.approx(1, abs=1e-8)


def test_by_hand():
    """Weights 1/4 and 3/4, means 0 and 1, variances 1 and 4, at z = (0, 2) in two dimensions."""
    weights = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    made = GaussianMixture(
        weights.log(), torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[1.0, 4.0]]).double(), 2
    )
    first = math.exp(-(0 + 4) / 2) / (2 * math.pi)
    second = math.exp(-(1 + 1) / 8) / (2 * math.pi * 4)
    expected = -math.log(0.25 * first + 0.75 * second)
    z = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    got = mixture_likelihood_loss(made, z, per_dimension=False)
    assert got.item() == pytest.approx(expected)
    assert mixture_likelihood_loss(made, z).item() == pytest.approx(expected / 2)


@BOTH_KINDS
@BOTH
def test_float64_at_real_width_against_50_digits(kind, per_dimension):
    """At width 2048 the density is below 1e-1000: the loops of the reference would say log 0."""
    made, _ = densities(kind, 2, 4, WIDTH, seed=1)
    features = draw(2, WIDTH, seed=2)
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    with mpmath.workdps(50):
        for n in range(2):
            density = mpmath.mpf(0)
            for k in range(4):
                mean = made.mean[n, k].expand(WIDTH).tolist()
                variance = made.variance[n, k].expand(WIDTH).tolist()
                exponent = log_volume = mpmath.mpf(0)
                for z, m, v in zip(features[n].tolist(), mean, variance, strict=True):
                    exponent -= (mpmath.mpf(z) - m) ** 2 / (2 * mpmath.mpf(v))
                    log_volume += mpmath.log(2 * mpmath.pi * v) / 2
                weight = mpmath.mpf(made.log_weights[n, k].item())
                density += mpmath.exp(weight + exponent - log_volume)
            expected = float(-mpmath.log(density) / (WIDTH if per_dimension else 1))
            assert expected > (1 if per_dimension else 1000)
            assert got[n].item() == pytest.approx(expected, rel=1e-12)


# --- the module


@EVERY_KIND
@BOTH
def test_the_module_is_the_mean_over_the_images(kind, per_dimension):
    made, _ = densities(kind, 6, 5, 4, seed=1)
    features = draw(6, 4, seed=2)
    expected = sum(likelihood_loop(made, features, per_dimension=per_dimension)) / 6
    loss = MixtureLikelihoodLoss(per_dimension)(made, features)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-11)


def test_by_default_the_value_is_divided_by_the_dimensions():
    made, _ = densities("isotropic", 6, 5, 4, seed=1)
    features = draw(6, 4, seed=2)
    expected = likelihood_loop(made, features)
    assert mixture_likelihood_loss(made, features).tolist() == pytest.approx(
        [value / 4 for value in expected]
    )
    loss = MixtureLikelihoodLoss()(made, features)
    assert loss.item() == pytest.approx(sum(expected) / 6 / 4)


# --- properties


@EVERY_KIND
def test_the_order_of_classes_and_images_does_not_matter(kind):
    made, _ = densities(kind, 7, 5, 3, seed=1)
    features = draw(7, 3, seed=2)
    images = torch.randperm(7, generator=generator(3))
    classes = torch.randperm(5, generator=generator(4))
    moved = mixture_likelihood_loss(take(made, images, classes), features[images])
    torch.testing.assert_close(moved, mixture_likelihood_loss(made, features)[images])


@BOTH
def test_isotropic_is_diagonal_with_equal_dimensions(per_dimension):
    made, _ = densities("isotropic", 6, 5, 3, seed=1)
    spread = GaussianMixture(
        made.log_weights,
        made.mean[..., None].expand(6, 5, 3),
        made.variance[..., None].expand(6, 5, 3),
        3,
    )
    features = draw(6, 3, seed=2)
    torch.testing.assert_close(
        mixture_likelihood_loss(spread, features, per_dimension=per_dimension),
        mixture_likelihood_loss(made, features, per_dimension=per_dimension),
    )


def test_one_component_fits_best_with_the_mean_and_the_variance_of_the_features():
    """The closed form of the most likely isotropic Gaussian: there the gradient is 0."""
    features = draw(1, 64, seed=2)
    mean = features.mean().view(1, 1).requires_grad_()
    variance = features.var(correction=0).detach().view(1, 1).requires_grad_()
    made = GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), mean, variance, 64)
    loss = MixtureLikelihoodLoss(per_dimension=False)(made, features)
    loss.backward()
    expected = 32 * (math.log(2 * math.pi * variance.item()) + 1)
    assert loss.item() == pytest.approx(expected)
    assert abs(mean.grad.item()) < 1e-10
    assert abs(variance.grad.item()) < 1e-10


@given(st.floats(-3, 3), st.floats(0.2, 5), st.sampled_from(KINDS))
def test_another_unit_adds_its_logarithm_per_dimension(shift, unit, kind):
    made, _ = densities(kind, 4, 3, 5, seed=1)
    moved = GaussianMixture(made.log_weights, shift + unit * made.mean, unit**2 * made.variance, 5)
    features = draw(4, 5, seed=2)
    torch.testing.assert_close(
        mixture_likelihood_loss(moved, shift + unit * features),
        mixture_likelihood_loss(made, features) + math.log(unit),
    )


# --- gradients


@BOTH_KINDS
@BOTH
def test_gradcheck(kind, per_dimension):
    _, leaves = densities(kind, 3, 4, 3, seed=1, grad=True)
    features = draw(3, 3, seed=2).requires_grad_()

    def value(logits, mean, variance, features):
        made = density_of({"logits": logits, "mean": mean, "variance": variance}, 3)
        return mixture_likelihood_loss(made, features, per_dimension=per_dimension)

    torch.autograd.gradcheck(value, (*leaves.values(), features))


# --- edges


@BOTH_KINDS
@pytest.mark.parametrize(("batch", "classes"), [(1, 1), (1, 4), (3, 1)])
def test_one_image_and_one_class(kind, batch, classes):
    made, _ = densities(kind, batch, classes, 3, seed=1)
    features = draw(batch, 3, seed=2)
    got = mixture_likelihood_loss(made, features, per_dimension=False)
    assert got.tolist() == pytest.approx(likelihood_loop(made, features))


@BOTH_KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_of_exactly_0_and_1(kind, dtype):
    _, leaves = densities(kind, 4, 3, 5, seed=1, dtype=dtype, grad=True)
    weights = torch.tensor([[0.0, 1.0, 0.0]], dtype=dtype).expand(4, 3)
    features = draw(4, 5, seed=2).to(dtype)
    made = GaussianMixture(weights.log(), leaves["mean"], leaves["variance"], 5)
    got = mixture_likelihood_loss(made, features, per_dimension=False)
    assert got.tolist() == pytest.approx(likelihood_loop(made, features), rel=1e-5)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        got.sum().backward()
    for name in ("mean", "variance"):
        slopes = leaves[name].grad
        assert slopes.isfinite().all()
        assert (slopes[:, [0, 2]] == 0).all()
        assert (slopes[:, 1] != 0).any()


@BOTH_KINDS
@BOTH
@pytest.mark.parametrize("variance", [1.0, 1e4])
def test_float32_with_the_smallest_and_a_large_variance(kind, per_dimension, variance):
    made, _ = densities(kind, 4, 3, WIDTH, seed=1, dtype=torch.float32, spread=0.1)
    made = GaussianMixture(
        made.log_weights, made.mean, torch.full_like(made.variance, variance), WIDTH
    )
    features = draw(4, WIDTH, seed=2).float()
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    wide = convert(made, torch.float64)
    expected = mixture_likelihood_loss(wide, features.double(), per_dimension=per_dimension)
    least = WIDTH / 2 * math.log(2 * math.pi * variance) / (WIDTH if per_dimension else 1)
    assert (expected > least).all()
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)


# --- precision


@EVERY_KIND
@BOTH
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_float32_at_real_width(kind, per_dimension, offset):
    """The value is a sum of some thousand, good to a few units of 6e-8 of it."""
    made, _ = densities(kind, 8, 20, WIDTH, seed=1, dtype=torch.float32, offset=offset)
    features = (offset + draw(8, WIDTH, seed=2)).float()
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    assert got.dtype is torch.float32
    wide = convert(made, torch.float64)
    expected = mixture_likelihood_loss(wide, features.double(), per_dimension=per_dimension)
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)


@BOTH_KINDS
@BOTH
def test_float32_gradients_at_real_width(kind, per_dimension):
    """Each gradient to 1e-3 of its largest entry: the choice of a component is exp of exponents
    of some thousand, each good to 1e-4."""
    gradients = []
    for dtype in (torch.float32, torch.float64):
        _, leaves = densities(kind, 4, 6, WIDTH, seed=1, dtype=torch.float32, spread=0.05)
        leaves = {name: leaf.to(dtype).requires_grad_() for name, leaf in leaves.items()}
        features = draw(4, WIDTH, seed=2).float().to(dtype).requires_grad_()
        made = density_of(leaves, WIDTH)
        mixture_likelihood_loss(made, features, per_dimension=per_dimension).sum().backward()
        gradients.append([leaf.grad for leaf in (*leaves.values(), features)])
    for narrow, wide in zip(*gradients, strict=True):
        size = wide.abs().max().item()
        assert size > 0
        torch.testing.assert_close(narrow.double(), wide, rtol=0, atol=1e-3 * size)


@BOTH_KINDS
@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, kind, per_dimension):
    made, _ = densities(kind, 4, 9, WIDTH, seed=1, dtype=dtype, offset=1.0)
    features = (1 + 8 * draw(4, WIDTH, seed=2)).to(dtype).requires_grad_()
    got = mixture_likelihood_loss(made, features, per_dimension=per_dimension)
    got.sum().backward()
    assert features.grad.dtype is dtype
    assert features.grad.isfinite().all()
    wide = convert(made, torch.float32)
    expected = mixture_likelihood_loss(wide, features.float(), per_dimension=per_dimension)
    torch.testing.assert_close(got, expected)  # the same type, too
    mixed = mixture_likelihood_loss(wide, features, per_dimension=per_dimension)
    torch.testing.assert_close(mixed, expected)


@BOTH_KINDS
def test_autocast_does_not_coarsen_it(kind):
    made, _ = densities(kind, 8, 9, 512, seed=1, dtype=torch.float32)
    features = draw(8, 512, seed=2).float()
    expected = mixture_likelihood_loss(made, features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = mixture_likelihood_loss(made, features)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)


# --- input


@EVERY_KIND
def test_the_inputs_are_left_as_they_were(kind):
    made, leaves = densities(kind, 4, 5, 3)
    features = draw(4, 3, seed=2)
    inputs = [*leaves.values(), made.log_weights, features]
    before = [part.clone() for part in inputs]
    MixtureLikelihoodLoss()(made, features)
    for part, copy in zip(inputs, before, strict=True):
        assert torch.equal(part, copy)


@BOTH_KINDS
@pytest.mark.parametrize("shape", [(4, 5), (3, 3), (3,), (1, 3), (4, 1)])
def test_features_of_another_shape_are_named(kind, shape, unchecked_shapes):
    made, _ = densities(kind, 4, 5, 3)
    with pytest.raises(ValueError, match="features must have the mixture's shape") as raised:
        MixtureLikelihoodLoss()(made, torch.zeros(shape))
    assert "(4, 3)" in str(raised.value)
    assert str(shape) in str(raised.value)

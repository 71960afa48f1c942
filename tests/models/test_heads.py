"""Heads against the paper's formulas written as loops, and their initialisation and counts."""

import math

import pytest
import torch

from colabel.errors import ConfigError
from colabel.mixtures import GaussianMixture
from colabel.models import KernelMixtureHead, LinearHead

COVARIANCES = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")
WIDTH, CLASSES, BATCH = 5, 3, 4


def activation(layer, row, features):
    """Return one value of W f + b, as a loop."""
    weights = layer.weight[row].tolist()
    return sum(w * f for w, f in zip(weights, features, strict=True)) + layer.bias[row].item()


def expected_kernel(head, features, k, m):
    """Return coefficient, mean and variance of class k in dimension m: Eq. 16 and 17."""
    per_feature = head.covariance in ("diagonal", "shared_diagonal")
    mean_row = k * WIDTH + m if per_feature else k
    variance_row = {
        "isotropic": k,
        "diagonal": k * WIDTH + m,
        "shared_diagonal": m,
        "shared_isotropic": 0,
    }[head.covariance]
    a_pi = activation(head.weight_layer, k, features)
    a_variance = activation(head.variance_layer, variance_row, features)
    elu = a_variance if a_variance > 0 else math.expm1(a_variance)
    return (
        1 / (1 + math.exp(-a_pi)),
        activation(head.mean_layer, mean_row, features),
        elu + 2 + 1e-7,
    )


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_mixture_is_the_papers(covariance):
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance).double()
    features = 4 * torch.randn(BATCH, WIDTH, dtype=torch.float64)
    mixture = head(features)
    assert mixture.dim == WIDTH
    assert mixture.isotropic == ("diagonal" not in covariance)
    for n in range(BATCH):
        for k in range(CLASSES):
            for m in range(WIDTH):
                weight, mean, variance = expected_kernel(head, features[n].tolist(), k, m)
                at = (n, k) if mixture.isotropic else (n, k, m)
                assert mixture.log_weights[n, k].exp().item() == pytest.approx(weight, abs=1e-12)
                assert mixture.mean[at].item() == pytest.approx(mean, abs=1e-12)
                assert mixture.variance[at].item() == pytest.approx(variance, abs=1e-12)
                assert mixture.logits[n, k].item() == pytest.approx(
                    math.log(weight / (1 - weight)), abs=1e-9
                )


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_every_parameter_gets_a_gradient(covariance):
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance)
    features = torch.randn(BATCH, WIDTH, requires_grad=True)
    mixture = head(features)
    (mixture.log_weights.sum() + mixture.mean.square().sum() + mixture.variance.sum()).backward()
    assert features.grad.abs().min() > 0
    assert all(parameter.grad.abs().max() > 0 for parameter in head.parameters())


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_parameters_are_those_of_table_4(covariance):
    h, k = 7, 3
    expected = {
        "isotropic": 3 * k * (h + 1),
        "diagonal": 2 * k * h * (h + 1) + k * (h + 1),
        "shared_diagonal": k * h * (h + 1) + h * (h + 1) + k * (h + 1),
        "shared_isotropic": (2 * k + 1) * (h + 1),
    }[covariance]
    head = KernelMixtureHead(h, k, covariance)
    assert sum(parameter.numel() for parameter in head.parameters()) == expected


def test_shared_variances_are_views_and_equal_across_classes():
    features = torch.randn(BATCH, WIDTH)
    scalar = KernelMixtureHead(WIDTH, CLASSES, "shared_isotropic")(features).variance
    assert scalar.stride(1) == 0
    assert (scalar == scalar[:, :1]).all()
    diagonal = KernelMixtureHead(WIDTH, CLASSES, "shared_diagonal")(features).variance
    assert diagonal.stride(1) == 0
    assert (diagonal == diagonal[:, :1]).all()
    assert (diagonal[:, 0, 0] != diagonal[:, 0, 1]).any()


def test_variance_is_positive_and_finite_for_extreme_features():
    head = KernelMixtureHead(WIDTH, CLASSES)
    mixture = head(torch.tensor([[1e4], [-1e4], [0.0]]).expand(3, WIDTH))
    assert mixture.variance.min() >= 1
    for values in (mixture.variance, mixture.log_weights, mixture.mean):
        assert values.isfinite().all()


@pytest.mark.parametrize("init", ["paper", "paper_mean_variance"])
def test_initialisation_of_the_paper(init):
    torch.manual_seed(0)
    head = KernelMixtureHead(256, 32, init=init)
    assert head.mean_layer.weight.min() >= 0
    assert head.mean_layer.weight.max() <= 0.1
    assert head.mean_layer.weight.mean().item() == pytest.approx(0.05, abs=0.002)
    assert (head.variance_layer.weight == 1).all()
    assert (head.mean_layer.bias == 0).all()
    assert (head.variance_layer.bias == 0).all()
    coefficient = head.weight_layer
    assert (coefficient.weight.min() >= 0) == (init == "paper")
    assert (coefficient.bias == 0).all() == (init == "paper")
    if init == "paper":
        assert coefficient.weight.max() <= 0.1
        assert coefficient.weight.mean().item() == pytest.approx(0.05, abs=0.002)


def test_linear_initialisation_is_that_of_linear_layers():
    torch.manual_seed(0)
    head = KernelMixtureHead(256, 32)
    for layer in (head.weight_layer, head.mean_layer, head.variance_layer):
        bound = 1 / math.sqrt(256)
        assert layer.weight.abs().max() <= bound
        assert layer.weight.min() < -0.9 * bound
        assert layer.weight.max() > 0.9 * bound


def test_papers_coefficients_saturate_at_features_that_are_not_negative():
    features = torch.rand(8, 2048)
    torch.manual_seed(0)
    assert (KernelMixtureHead(2048, 4, init="paper")(features).logits > 40).all()
    linear = KernelMixtureHead(2048, 4, init="paper_mean_variance")(features)
    assert (linear.logits.abs() < 5).all()


@pytest.mark.parametrize("make", [KernelMixtureHead, LinearHead])
def test_heads_compute_in_float32_under_autocast(make):
    torch.manual_seed(0)
    head = make(512, 4)
    features = torch.randn(8, 512)
    expected = head(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = head(features)
        from_half = head(features.to(torch.bfloat16))
    if isinstance(expected, GaussianMixture):
        assert from_half.mean.dtype == from_half.variance.dtype == torch.float32
        assert torch.equal(under.mean, expected.mean)
        assert torch.equal(under.variance, expected.variance)
        expected, under, from_half = expected.logits, under.logits, from_half.logits
    assert under.dtype == from_half.dtype == torch.float32
    assert torch.equal(under, expected)


def test_head_stored_in_half_precision_answers_in_float32():
    head = KernelMixtureHead(16, 4).to(torch.bfloat16)
    assert head(torch.randn(2, 16, dtype=torch.bfloat16)).log_weights.dtype == torch.float32


def test_deployment_path_gives_the_same_logits():
    head = KernelMixtureHead(WIDTH, CLASSES, "diagonal")
    features = torch.randn(BATCH, WIDTH)
    assert torch.equal(head.weight_logits(features), head(features).logits)


def test_linear_head_is_linear():
    head = LinearHead(WIDTH, CLASSES)
    features = torch.randn(BATCH, WIDTH)
    for n in range(BATCH):
        for k in range(CLASSES):
            expected = activation(head.weight_layer, k, features[n].tolist())
            assert head(features)[n, k].item() == pytest.approx(expected, abs=1e-5)


def test_batch_of_none_and_of_one():
    for size in (0, 1):
        mixture = KernelMixtureHead(WIDTH, CLASSES, "shared_diagonal")(torch.randn(size, WIDTH))
        assert mixture.variance.shape == (size, CLASSES, WIDTH)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"covariance": "diagnoal"}, "no covariance 'diagnoal'; did you mean 'diagonal'"),
        ({"init": "xavier"}, "no init 'xavier'; expected one of: linear, paper"),
        ({"classes": 0}, "at least 1, got width 5 and classes 0"),
        ({"epsilon": -1.0}, "epsilon must not be negative, got -1.0"),
        ({"epsilon": math.nan}, "epsilon must not be negative, got nan"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        KernelMixtureHead(**{"width": WIDTH, "classes": CLASSES, **arguments})


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("make", [KernelMixtureHead, LinearHead])
@pytest.mark.parametrize(
    "shape", [(2, WIDTH + 1), (WIDTH,), (1, 2, WIDTH), (1, CLASSES, WIDTH + 1)]
)
def test_features_of_another_shape_are_refused(make, shape):
    with pytest.raises(ValueError, match=r"must have shape \(batch, width\) = \(batch, 5\)"):
        make(WIDTH, CLASSES)(torch.zeros(shape))


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_the_feature_length_replaces_the_length_of_the_features_for_the_kernels_only(covariance):
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance, feature_length=3.0)
    features = torch.rand(5, WIDTH)
    free = KernelMixtureHead(WIDTH, CLASSES, covariance)
    free.load_state_dict(head.state_dict())
    mixture, long = head(features), head(7 * features)
    expected = free(3 * features / features.square().sum(dim=1, keepdim=True).sqrt())
    torch.testing.assert_close(mixture.mean, expected.mean)
    torch.testing.assert_close(mixture.variance, expected.variance)
    torch.testing.assert_close(long.mean, mixture.mean)
    torch.testing.assert_close(mixture.logits, free(features).logits)
    assert not torch.allclose(long.logits, mixture.logits)


def test_the_length_for_the_logits_replaces_that_of_the_features_for_them_only():
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, feature_length=3.0, logit_feature_length=2.0)
    features = torch.rand(5, WIDTH)
    free = KernelMixtureHead(WIDTH, CLASSES, feature_length=3.0)
    free.load_state_dict(head.state_dict())
    mixture, long = head(features), head(7 * features)
    unit = features / features.square().sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(mixture.logits, free(2 * unit).logits)
    torch.testing.assert_close(long.logits, mixture.logits)
    torch.testing.assert_close(head.weight_logits(features), mixture.logits)
    torch.testing.assert_close(mixture.mean, free(features).mean)
    torch.testing.assert_close(mixture.variance, free(features).variance)
    with pytest.raises(ConfigError, match=r"feature_length must be positive, got 0\.0"):
        KernelMixtureHead(WIDTH, CLASSES, logit_feature_length=0.0)


def test_the_expected_exponent_of_an_overlap_is_as_documented():
    torch.manual_seed(0)
    features = torch.rand(64, 2048)
    head = KernelMixtureHead(2048, 400, feature_length=8.0)
    mixture = head(features)
    exponent = 2048 / 4 * (mixture.mean[:, None] - mixture.mean[None]).square() / 4
    unit = features / features.norm(dim=1, keepdim=True)
    expected = 8.0**2 * (1 - unit @ unit.T) / 24
    away = ~torch.eye(64, dtype=torch.bool)
    torch.testing.assert_close(
        exponent.mean(dim=2)[away].mean(), expected[away].mean(), rtol=0.1, atol=0
    )


# --- features of each class


def features_of_classes():
    generator = torch.Generator().manual_seed(3)
    shape = (BATCH, CLASSES, WIDTH)
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64)


def mixture_parts(mixture):
    return {name: getattr(mixture, name) for name in ("log_weights", "mean", "variance", "logits")}


@pytest.mark.parametrize("length", [None, 3.0])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_kernel_is_read_off_the_features_of_its_class(covariance, length):
    """A variance that classes share is read off the mean of their features."""
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance, feature_length=length).double()
    features = features_of_classes()
    mixture = head(features)
    shared = "shared" in covariance
    for n in range(BATCH):
        rows = features[n].tolist()
        scaled = [
            [x if length is None else length * x / math.sqrt(sum(y * y for y in row)) for x in row]
            for row in rows
        ]
        mean_row = [sum(row[m] for row in scaled) / CLASSES for m in range(WIDTH)]
        for k in range(CLASSES):
            for m in range(WIDTH):
                at = (n, k) if mixture.isotropic else (n, k, m)
                weight, _, _ = expected_kernel(head, rows[k], k, m)
                _, mean, variance = expected_kernel(head, scaled[k], k, m)
                if shared:
                    _, _, variance = expected_kernel(head, mean_row, k, m)
                assert mixture.logits[n, k].sigmoid().item() == pytest.approx(weight, abs=1e-12)
                assert mixture.log_weights[n, k].exp().item() == pytest.approx(weight, abs=1e-12)
                assert mixture.mean[at].item() == pytest.approx(mean, abs=1e-12)
                assert mixture.variance[at].item() == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_features_of_one_class_reach_no_other_but_through_a_shared_variance(covariance):
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance).double()
    features = features_of_classes()
    before = mixture_parts(head(features))
    features[:, 1] += 1
    for name, after in mixture_parts(head(features)).items():
        changed = (
            (after != before[name]).flatten(2).any(dim=2)
            if after.ndim == 3
            else (after != before[name])
        )
        everywhere = name == "variance" and "shared" in covariance
        expected = [True] * 3 if everywhere else [False, True, False]
        assert changed.tolist() == [expected] * BATCH, name


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_classes_with_equal_features_have_the_kernels_of_shared_ones(covariance):
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES, covariance, feature_length=2.0).double()
    shared = features_of_classes()[:, 0]
    repeated = shared[:, None].expand(-1, CLASSES, -1)
    found, expected = mixture_parts(head(repeated)), mixture_parts(head(shared))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-12, atol=1e-12)


def test_a_linear_head_reads_each_class_off_its_own_features():
    head = LinearHead(WIDTH, CLASSES).double()
    features = features_of_classes()
    logits = head(features)
    for n in range(BATCH):
        for k in range(CLASSES):
            expected = activation(head.weight_layer, k, features[n, k].tolist())
            assert logits[n, k].item() == pytest.approx(expected, abs=1e-12)
    shared = features[:, 0]
    torch.testing.assert_close(head(shared[:, None].expand(-1, CLASSES, -1)), head(shared))
    features[:, 1] += 1
    assert (head(features) != logits).tolist() == [[False, True, False]] * BATCH

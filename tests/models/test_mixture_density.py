"""MixtureDensityHead against its formula written as matrix products, its start and its size."""

import math

import pytest
import torch

from colabel.errors import ConfigError
from colabel.models import MixtureDensityHead
from colabel.models.heads import bring_to_length

WIDTH, CLASSES, BATCH = 5, 3, 4
HIDDEN = (7, 6)
FORMULAS = {
    "gelu": lambda x: x * (1 + torch.special.erf(x / math.sqrt(2))) / 2,
    "relu": lambda x: torch.where(x > 0, x, 0.0),
    "silu": lambda x: x / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
}
OUTPUT_LAYERS = ("weight_layer", "mean_layer", "variance_layer")


def head_of(seed=0, **options):
    torch.manual_seed(seed)
    return MixtureDensityHead(WIDTH, CLASSES, **{"hidden": HIDDEN, **options})


def draw_features(seed=1, length=4.0):
    generator = torch.Generator().manual_seed(seed)
    return length * torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.float64)


def by_hand(head, features, activate):
    """Weights, means and variances of every image, from the entries of the state."""
    state = head.state_dict()
    values = features
    for number in range(len(head.hidden_layers)):
        name = f"hidden_layers.{number}"
        values = activate(values @ state[f"{name}.weight"].T + state[f"{name}.bias"])
    outputs = [values @ state[f"{n}.weight"].T + state[f"{n}.bias"] for n in OUTPUT_LAYERS]
    weights = outputs[0].exp() / outputs[0].exp().sum(dim=1, keepdim=True)
    elu = torch.where(outputs[2] > 0, outputs[2], outputs[2].exp() - 1)
    return weights, outputs[1], elu + 2


@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("hidden", [HIDDEN, (4,), (), (3, 4, 5)])
def test_mixture_is_the_papers(activation, hidden):
    head = head_of(activation=activation, hidden=hidden).double()
    features = draw_features()
    mixture = head(features)
    weights, mean, variance = by_hand(head, features, FORMULAS[activation])
    assert mixture.isotropic
    assert mixture.dim == WIDTH
    assert mixture.logits is None
    torch.testing.assert_close(mixture.log_weights.exp(), weights)
    torch.testing.assert_close(mixture.mean, mean)
    torch.testing.assert_close(mixture.variance, variance)
    assert (variance < 2).any()  # both branches of ELU were seen
    assert (variance > 2).any()


def test_the_weights_of_an_image_sum_to_one():
    for length in (0.0, 1.0, 1e3):
        mixture = head_of()(draw_features(length=length).float())
        torch.testing.assert_close(mixture.log_weights.exp().sum(dim=1), torch.ones(BATCH))
        assert mixture.log_weights.isfinite().all()


def test_the_variance_is_at_least_1_and_finite_for_extreme_features():
    mixture = head_of()(torch.tensor([[1e4], [-1e4], [0.0]]).expand(3, WIDTH))
    assert mixture.variance.min() >= 1
    assert mixture.variance.max() > 100
    for values in (mixture.variance, mixture.log_weights, mixture.mean):
        assert values.isfinite().all()


def test_the_default_is_the_papers_network():
    """Two hidden layers of 2048 and 128 nodes and 3C outputs."""
    head = MixtureDensityHead(512, 20)
    assert [(one.in_features, one.out_features) for one in head.hidden_layers] == [
        (512, 2048),
        (2048, 128),
    ]
    expected = 513 * 2048 + 2049 * 128 + 129 * 3 * 20
    assert sum(parameter.numel() for parameter in head.parameters()) == expected
    assert head.activation == "gelu"
    assert head.feature_length is None
    bound = 1 / math.sqrt(128)
    for name in OUTPUT_LAYERS:
        weight = getattr(head, name).weight
        assert 0.9 * bound < weight.max() <= bound
        assert -bound <= weight.min() < -0.9 * bound


def test_the_parameters_are_counted():
    head = head_of()
    expected = (WIDTH + 1) * 7 + (7 + 1) * 6 + (6 + 1) * 3 * CLASSES
    assert sum(parameter.numel() for parameter in head.parameters()) == expected
    assert (head.width, head.classes) == (WIDTH, CLASSES)


@pytest.mark.parametrize("init", ["paper", "paper_mean_variance"])
def test_the_papers_start_is_of_the_output_layers_alone(init):
    torch.manual_seed(0)
    head = MixtureDensityHead(16, 32, hidden=(64, 256), init=init)
    assert 0 <= head.mean_layer.weight.min() < head.mean_layer.weight.max() <= 0.1
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
    for layer in head.hidden_layers:
        bound = 1 / math.sqrt(layer.in_features)
        assert 0.9 * bound < layer.weight.max() <= bound
        assert layer.weight.min() < -0.9 * bound


def test_every_parameter_gets_a_gradient():
    head = head_of()
    features = draw_features().float().requires_grad_()
    mixture = head(features)
    (mixture.log_weights[:, 0].sum() + mixture.mean.sum() + mixture.variance.sum()).backward()
    assert features.grad.abs().min() > 0
    assert all(parameter.grad.abs().max() > 0 for parameter in head.parameters())


@pytest.mark.parametrize("length", [0.5, 8])
def test_the_feature_length_replaces_the_length_of_the_features(length):
    head, free = head_of(feature_length=length).double(), head_of().double()
    features = draw_features()
    norm = torch.tensor([math.sqrt(sum(x * x for x in row)) for row in features.tolist()])
    scaled = length * features / norm.double()[:, None]
    expected = free(scaled)
    for rows in (features, 7 * features):
        mixture = head(rows)
        torch.testing.assert_close(mixture.log_weights, expected.log_weights, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(mixture.mean, expected.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(mixture.variance, expected.variance, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(free(features).mean, expected.mean)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_features_are_brought_to_a_length_in_full_precision(dtype):
    features = torch.tensor([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]], dtype=dtype)
    brought = bring_to_length(features, 10)
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    expected = torch.tensor([[6.0, 8.0], [0.0, -10.0], [0.0, 0.0]], dtype=wide)
    torch.testing.assert_close(brought, expected)
    assert bring_to_length(features, None) is features


def test_it_computes_in_float32_under_autocast():
    torch.manual_seed(0)
    head = MixtureDensityHead(512, 4, hidden=(64, 32), feature_length=8)
    features = torch.randn(8, 512)
    expected = head(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under, from_half = head(features), head(features.to(torch.bfloat16))
    for name in ("log_weights", "mean", "variance"):
        assert torch.equal(getattr(under, name), getattr(expected, name))
        assert getattr(from_half, name).dtype == torch.float32


def test_stored_in_half_precision_it_answers_in_float32():
    mixture = head_of().to(torch.bfloat16)(draw_features().to(torch.bfloat16))
    assert mixture.mean.dtype == mixture.variance.dtype == torch.float32
    assert mixture.log_weights.dtype == torch.float32


def test_batch_of_none_and_of_one():
    for size in (0, 1):
        assert head_of()(torch.randn(size, WIDTH)).variance.shape == (size, CLASSES)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "gleu"}, "no activation 'gleu'; did you mean 'gelu'"),
        ({"init": "xavier"}, "no init 'xavier'; expected one of: linear, paper"),
        ({"classes": 0}, "at least 1, got width 5 and classes 0"),
        ({"width": 0}, "at least 1, got width 0 and classes 3"),
        ({"hidden": (4, 0)}, r"a hidden layer needs at least 1 node, got \(4, 0\)"),
        ({"feature_length": 0.0}, "feature_length must be positive, got 0.0"),
        ({"feature_length": math.nan}, "feature_length must be positive, got nan"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        MixtureDensityHead(**{"width": WIDTH, "classes": CLASSES, **arguments})


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(2, WIDTH + 1), (WIDTH,), (1, 2, WIDTH)])
@pytest.mark.parametrize("feature_length", [None, 2.0])
def test_features_of_another_shape_are_refused(shape, feature_length):
    with pytest.raises(ValueError, match=r"must have shape \(batch, width\) = \(batch, 5\)"):
        head_of(feature_length=feature_length)(torch.zeros(shape))

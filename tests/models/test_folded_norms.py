"""Folding frozen batch norms changes neither features nor gradients, nor what is saved."""

import copy

import pytest
import torch
from torch import nn

from colabel.models import build_encoder
from colabel.models.folded_norms import fold_frozen_norms


def pair(name, seed=0):
    """Return an encoder as timm makes it and a folded one, in float64, with odd statistics."""
    generator = torch.Generator().manual_seed(seed)
    plain = build_encoder(name).double().eval()
    folded = build_encoder(name, freeze_batch_norm=True).double().eval()
    state = plain.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        elif key.endswith("running_var") or (value.ndim == 1 and value.is_floating_point()):
            value.uniform_(0.5, 1.5, generator=generator)
    folded.load_state_dict(state)
    return plain, folded


def folded_layers(module):
    return [layer for layer in module.modules() if hasattr(layer, "folded_norm")]


def norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


def images(seed=1, size=64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, size, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("mobilenetv2_100", 1.0),  # an activation inside its batch norm
        ("resnet18", 1.0),  # one beside it
        ("test_efficientnet", 1.0),
        ("densenet121", 0.4),  # half of its norms come before the convolution
        ("repvgg_a0", 0.5),  # norms of what is no convolution's
    ],
)
def test_features_and_gradients_are_those_of_the_layers_one_by_one(name, share):
    plain, folded = pair(name)
    assert len(folded_layers(folded)) >= share * len(norms(folded)) > 0
    before, after = plain(images()).vector, folded(images()).vector
    assert torch.allclose(
        before, after, rtol=1e-10, atol=1e-12 * float(before.detach().abs().max())
    )
    before.square().mean().backward()
    after.square().mean().backward()
    for (name, one), (_, other) in zip(
        plain.named_parameters(), folded.named_parameters(), strict=True
    ):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            error = (one.grad - other.grad).norm()
            assert error <= 1e-9 * one.grad.norm() + 1e-300, name


def test_padding_that_depends_on_the_image_is_kept():
    plain = build_encoder("mobilenetv2_100", options={"pad_type": "same"}).double().eval()
    folded = build_encoder(
        "mobilenetv2_100", options={"pad_type": "same"}, freeze_batch_norm=True
    ).double()
    folded.load_state_dict(plain.state_dict())
    assert len(folded_layers(folded)) == len(norms(folded))
    for size in (64, 65, 71):
        before = plain(images(size=size)).vector
        assert torch.allclose(before, folded(images(size=size)).vector, rtol=1e-10, atol=1e-12)


def test_saved_models_have_the_same_names_and_a_parameter_once():
    plain, folded = pair("resnet18")
    assert list(plain.state_dict()) == list(folded.state_dict())
    assert len(list(plain.parameters())) == len(list(folded.parameters()))


def test_a_copy_reads_its_own_layers():
    _, folded = pair("test_efficientnet")
    averaged = copy.deepcopy(folded)
    before = folded(images()).vector
    for norm in norms(averaged):
        norm.weight.data.mul_(2)
    assert torch.equal(folded(images()).vector, before)
    assert not torch.allclose(averaged(images()).vector, before)


def test_layers_that_train_on_the_batch_are_left_alone():
    assert not folded_layers(build_encoder("resnet18"))


class Branching(nn.Module):
    """A convolution whose result is also used without its batch norm."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 1)
        self.last = nn.BatchNorm2d(4)

    def forward(self, given):
        seen = self.first(given)
        return self.last(self.second(seen + self.norm(seen))).mean((2, 3))


class Twice(nn.Module):
    """A convolution that two batch norms follow in turn."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(3, 3, 1)
        self.one = nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)

    def forward(self, given):
        return self.other(self.shared(self.one(self.shared(given))))


class WithoutStatistics(nn.Module):
    """A batch norm that stores nothing and looks at each batch."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, given):
        return self.norm(self.convolution(given))


@pytest.mark.parametrize(
    ("network", "count"), [(Branching, 1), (Twice, 0), (WithoutStatistics, 0)]
)
def test_only_a_norm_that_alone_reads_its_convolution_is_folded(network, count):
    torch.manual_seed(0)
    net = network().double().eval()
    for norm in norms(net):
        if norm.running_var is not None:
            norm.running_var.uniform_(0.5, 1.5)
            norm.running_mean.normal_()
    before = net(images(size=8))
    assert fold_frozen_norms(net, 8) == count
    assert torch.allclose(net(images(size=8)), before, rtol=1e-12, atol=1e-12)


def test_a_convolution_under_a_parametrisation_is_left_alone():
    convolution = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 1))
    net = nn.Sequential(convolution, nn.BatchNorm2d(4)).eval()
    assert fold_frozen_norms(net, 8) == 0


def test_a_norm_without_scale_and_a_convolution_with_bias_are_folded():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4, affine=False))
    net = net.double().eval()
    net[1].running_var.uniform_(0.5, 1.5)
    net[1].running_mean.normal_()
    before = net(images(size=8))
    assert fold_frozen_norms(net, 8) == 1
    assert torch.allclose(net(images(size=8)), before, rtol=1e-12, atol=1e-12)

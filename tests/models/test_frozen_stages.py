"""The first stages of a backbone stay as they came, and the others train."""

import copy

import pytest
import torch
from torch import nn

from colabel.config import load_config
from colabel.errors import ConfigError
from colabel.models import build_encoder
from colabel.models.frozen_stages import freeze_first_stages


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "vit_tiny_patch16_224"])
def test_a_step_changes_the_later_stages_alone(name):
    torch.manual_seed(0)
    encoder = build_encoder(name, freeze_stages=2).train()
    before = copy.deepcopy(encoder.state_dict())
    trained = {name for name, value in encoder.named_parameters() if value.requires_grad}
    assert 0 < len(trained) < len(list(encoder.parameters()))
    images = torch.rand(2, 3, encoder.image_size, encoder.image_size)
    encoder(images).vector.square().sum().backward()
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=0.1)
    optimiser.step()
    changed = {key for key, value in encoder.state_dict().items() if not before[key].equal(value)}
    assert changed & trained
    parameters = {name for name, _ in encoder.named_parameters()}
    assert changed & parameters <= trained


def test_statistics_and_dropout_of_frozen_stages_stay_still():
    encoder = build_encoder("resnet18", freeze_stages=2).train()
    assert not encoder.backbone.bn1.training
    assert not encoder.backbone.layer1[0].bn1.training
    assert encoder.backbone.layer2[0].bn1.training
    before = encoder.backbone.layer1[0].bn1.running_mean.clone()
    encoder(torch.rand(2, 3, 64, 64))
    assert encoder.backbone.layer1[0].bn1.running_mean.equal(before)


def test_stages_are_counted_from_the_image_on():
    encoder = build_encoder("resnet18", freeze_stages=3)
    still = {name.split(".")[1] for name, p in encoder.named_parameters() if not p.requires_grad}
    assert still == {"conv1", "bn1", "layer1", "layer2"}


def test_no_stage_is_frozen_by_default():
    assert all(parameter.requires_grad for parameter in build_encoder("resnet18").parameters())


def test_frozen_stages_that_leave_nothing_are_refused():
    with pytest.raises(
        ConfigError, match=r"below 5, the number of stages that resnet18 has, got 5"
    ):
        build_encoder("resnet18", freeze_stages=5)


def test_a_backbone_without_known_stages_is_refused():
    with pytest.raises(ConfigError, match="does not say what the stages of plain are"):
        freeze_first_stages(nn.Sequential(nn.Linear(2, 2)), "plain", 1)


@pytest.mark.parametrize(("name", "stages"), [("mobilenetv2_100", 5), ("resnet18", 3)])
def test_a_share_is_rounded_down(name, stages):
    def trained(count):
        encoder = build_encoder(name, freeze_stages=count)
        return [key for key, value in encoder.named_parameters() if value.requires_grad]

    assert trained(0.65) == trained(stages) != trained(0)
    assert trained(0.1) == trained(0)


@pytest.mark.parametrize("given", [1.5, -1, 2.7, "true", "yes", "false"])
def test_what_is_no_number_and_no_share_is_refused(given):
    with pytest.raises(ConfigError, match="freeze_stages"):
        load_config("laptop-bce", [f"encoder.freeze_stages={given}"])
    assert load_config("laptop-bce", ["encoder.freeze_stages=2.0"]).encoder.freeze_stages == 2

"""Counts against the papers' tables and against closed forms."""

import json

import pytest
import torch
from torch import nn

from colabel.errors import ConfigError
from colabel.models import (
    ClassAttentionPooling,
    Classifier,
    Cost,
    Head,
    KernelMixtureHead,
    LinearHead,
    build_encoder,
    cost,
    cost_of_model,
)


@pytest.mark.parametrize(
    ("encoder", "size", "covariance", "millions", "giga"),
    [
        ("tresnet_m", 224, "isotropic", 29.41, 5.74),
        ("tresnet_m", 224, "diagonal", 104.91, 5.81),
        ("tresnet_m", 224, "shared_diagonal", 71.34, 5.78),
        ("tresnet_m", 224, "shared_isotropic", 29.40, 5.74),
        ("tresnet_v2_l", 448, "isotropic", 44.20, 35.28),
        ("tresnet_v2_l", 448, "linear", 44.14, 35.28),
    ],
)
def test_published_numbers_are_reproduced(encoder, size, covariance, millions, giga):
    counted = cost(encoder, image_size=size, classes=9, covariance=covariance)
    assert round(counted.paper_parameters / 1e6, 2) == millions
    assert round(counted.paper_macs / 1e9, 2) == giga


def test_convolutional_counts_are_the_sum_over_layers():
    classes, size = 5, 64
    encoder = build_encoder("resnet18d")
    head = LinearHead(encoder.width, classes)
    macs, elements = [], []

    def count_macs(layer, _inputs, output):
        macs.append(output.numel() * layer.weight[0].numel())

    def count_elements(_layer, inputs, _output):
        elements.append(inputs[0].numel())

    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count_macs)
        if isinstance(layer, (nn.ReLU, nn.AvgPool2d)):
            layer.register_forward_hook(count_elements)
    assert any(isinstance(layer, nn.AvgPool2d) for layer in encoder.modules())
    encoder.eval()(torch.zeros(1, 3, size, size))
    parameters = sum(p.numel() for m in (encoder, head) for p in m.parameters())
    counted = cost("resnet18d", image_size=size, classes=classes, covariance="linear")
    assert counted.macs == sum(macs) + encoder.width * classes
    assert counted.paper_macs - counted.macs == sum(elements)
    assert counted.parameters == counted.paper_parameters == parameters
    assert counted.head_parameters == classes * (encoder.width + 1)


def test_attention_is_counted():
    size, classes = 64, 4
    encoder = build_encoder("test_vit", options={"img_size": size}).backbone
    tokens, width = encoder.pos_embed.shape[1:]
    patches = encoder.patch_embed.num_patches
    block = encoder.blocks[0]
    hidden = block.mlp.fc1.out_features
    per_block = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden
    patch = encoder.patch_embed.proj.weight[0].numel()
    expected = patches * patch * width + len(encoder.blocks) * per_block + width * classes
    counted = cost(
        "test_vit",
        image_size=size,
        classes=classes,
        covariance="linear",
        options={"img_size": size},
    )
    assert counted.macs == expected


def test_published_counts_carry_the_unused_classifier():
    counted = cost("test_efficientnet", image_size=64, classes=6)
    width = build_encoder("test_efficientnet").width
    assert counted.paper_parameters - counted.parameters == 6 * (width + 1)
    linear = cost("test_efficientnet", image_size=64, classes=6, covariance="linear")
    assert counted.parameters - linear.parameters == 2 * 6 * (width + 1)


def test_numbers_are_plain_and_counting_draws_no_random_numbers():
    state = torch.get_rng_state()
    counted = cost("test_efficientnet", image_size=64, classes=6)
    assert torch.equal(state, torch.get_rng_state())
    numbers = json.loads(json.dumps(counted.to_dict()))
    assert list(numbers) == [
        "parameters",
        "head_parameters",
        "macs",
        "paper_parameters",
        "paper_macs",
    ]
    assert Cost(**numbers) == counted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder_name": "tresnet_x"}, "no encoder named 'tresnet_x'; did you mean"),
        ({"image_size": 0}, "at least 1 pixel, got 0"),
        ({"image_size": 97}, "cannot encode images of 97 x 97"),
        ({"classes": 0}, "classes 0"),
        ({"options": {"no_such": 1}}, "no_such"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    given = {
        "encoder_name": "test_vit",
        "image_size": 64,
        "classes": 3,
        "options": {"img_size": 64},
        **arguments,
    }
    with pytest.raises(ConfigError, match=message):
        cost(given.pop("encoder_name"), **given)


@pytest.mark.usefixtures("unchecked_shapes")
def test_unknown_covariance_is_refused():
    with pytest.raises(ConfigError, match="no covariance 'full'"):
        cost("test_efficientnet", image_size=64, classes=3, covariance="full")


@pytest.mark.parametrize("covariance", ["linear", "isotropic", "diagonal"])
def test_a_model_that_is_built_costs_what_its_description_says(covariance):
    encoder = build_encoder("test_efficientnet")
    head = (
        LinearHead(encoder.width, 6)
        if covariance == "linear"
        else KernelMixtureHead(encoder.width, 6, covariance)
    )
    model = Classifier(encoder, Head(head))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    counted = cost_of_model(model, image_size=64)
    assert counted == cost("test_efficientnet", image_size=64, classes=6, covariance=covariance)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_pooling_for_each_class_costs_its_queries_and_its_products():
    """Per class and position two products of d: with the query, and in the average."""
    classes, size = 3, 64
    encoder = build_encoder("test_efficientnet")
    channels = encoder.map_channels
    head = Head(LinearHead(channels, classes), ClassAttentionPooling(channels, classes))
    counted = cost_of_model(Classifier(encoder, head), image_size=size)
    positions = (size // 32) ** 2
    assert encoder.eval()(torch.zeros(1, 3, size, size)).map.shape[2:].numel() == positions
    linear = cost("test_efficientnet", image_size=size, classes=classes, covariance="linear")
    assert counted.head_parameters == linear.head_parameters + classes * channels
    assert counted.macs == linear.macs + 2 * classes * positions * channels


def test_a_model_is_counted_at_a_size_that_it_takes():
    encoder = build_encoder("test_vit", options={"img_size": 64})
    model = Classifier(encoder, Head(LinearHead(encoder.width, 2)))
    with pytest.raises(ConfigError, match="cannot encode images of 97 x 97"):
        cost_of_model(model, image_size=97)

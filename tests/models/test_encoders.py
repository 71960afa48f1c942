"""Encoders against plain timm, against the formula of the normalisation, and on bad input."""

import logging

import pytest
import timm
import torch
from torch import nn

from colabel.errors import ConfigError, WeightsError
from colabel.models import Encoder, build_encoder, list_encoders
from colabel.models.encoders import FeatureMap


class Flatten(nn.Module):
    """A backbone that returns its input, to see what the encoder feeds it."""

    def forward(self, images):
        return images.flatten(1)


def transparent_encoder(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0)):
    return Encoder(
        Flatten(),
        name="flatten",
        width=12,
        feature_map=FeatureMap(None, "nothing is pooled"),
        mean=mean,
        std=std,
        image_size=2,
    )


def pixels(seed=0, batch=2, size=32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)


def batch_norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("test_efficientnet", {}, 64),
        ("test_vit", {"img_size": 64}, 64),
        ("mobilenetv3_small_050", {}, 64),  # its last layer is wider than its num_features
        ("resnet10t", {}, 40),
        ("mobilenetv2_050", {"pad_type": "same"}, 33),
        ("tresnet_m", {}, 32),
    ],
)
def test_features_are_those_of_timm(name, options, size):
    torch.manual_seed(1)
    encoder = build_encoder(name, options=options).eval()
    torch.manual_seed(1)
    plain = timm.create_model(name, num_classes=0, **options).eval()
    mean = torch.tensor(plain.pretrained_cfg["mean"]).view(3, 1, 1)
    std = torch.tensor(plain.pretrained_cfg["std"]).view(3, 1, 1)
    images = pixels(size=size)
    with torch.no_grad():
        expected = plain((images.double() / 255 - mean).div(std).float())
        features = encoder(images).vector
    assert features.shape == (2, encoder.width)
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)


def test_integer_and_floating_images_are_normalised_alike():
    images = pixels(size=2)
    expected = [
        (images[n, c, i, j].item() / 255 - (0.1, 0.2, 0.3)[c]) / (0.5, 0.25, 2.0)[c]
        for n in range(2)
        for c in range(3)
        for i in range(2)
        for j in range(2)
    ]
    encoder = transparent_encoder()
    torch.testing.assert_close(encoder(images).vector.flatten(), torch.tensor(expected))
    torch.testing.assert_close(encoder(images / 255).vector.flatten(), torch.tensor(expected))
    torch.testing.assert_close(
        encoder.double()(images).vector.flatten(),
        torch.tensor(expected).double(),
        rtol=1e-5,
        atol=1e-6,
    )


def test_half_precision_model_takes_integer_images():
    features = transparent_encoder().to(torch.bfloat16)(pixels(size=2)).vector
    assert features.dtype == torch.bfloat16
    torch.testing.assert_close(
        features.float(), transparent_encoder()(pixels(size=2)).vector, rtol=0.03, atol=0.03
    )


def test_normalisation_is_the_one_of_the_named_weights_and_is_saved():
    torchvision_tag = build_encoder("resnet18.tv_in1k")
    assert torchvision_tag.pixel_mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    tresnet = build_encoder("tresnet_m")
    assert tresnet.pixel_mean.flatten().tolist() == [0, 0, 0]
    assert tresnet.pixel_std.flatten().tolist() == [1, 1, 1]
    other = transparent_encoder(mean=(0, 0, 0), std=(1, 1, 1))
    other.load_state_dict(transparent_encoder().state_dict())
    assert other.pixel_mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_frozen_batch_norm_keeps_its_statistics_and_trains_its_affine_parameters():
    encoder = build_encoder("test_efficientnet", freeze_batch_norm=True)
    assert encoder.training
    encoder.eval()
    encoder.train()
    layers = batch_norms(encoder)
    assert layers
    assert not any(layer.training for layer in layers)
    before = [layer.running_mean.clone() for layer in layers]
    encoder(pixels()).vector.square().sum().backward()
    assert all(
        torch.equal(old, layer.running_mean) for old, layer in zip(before, layers, strict=True)
    )
    assert all(layer.weight.grad is not None for layer in layers)
    assert all(layer.weight.requires_grad for layer in layers)


def test_batch_norm_trains_unless_frozen():
    encoder = build_encoder("test_efficientnet")
    layer = batch_norms(encoder)[0]
    before = layer.running_mean.clone()
    encoder(pixels())
    assert not torch.equal(before, layer.running_mean)


@pytest.mark.parametrize(
    ("name", "channels_last"),
    [("test_efficientnet", True), ("tresnet_m", False), ("mobileone_s0", False)],
)
def test_memory_layout_is_decided_by_backbone(name, channels_last):
    encoder = build_encoder(name)
    weights = [
        module.weight
        for module in encoder.modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1 and module.groups == 1
    ]
    assert weights
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert all(weight.is_contiguous(memory_format=layout) for weight in weights)
    seen = []
    first = next(module for module in encoder.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for images in (pixels(), pixels().contiguous(memory_format=torch.channels_last)):
        encoder.eval()(images)
        assert seen[-1].is_contiguous(memory_format=layout)


def test_channels_last_is_refused_where_it_corrupts_memory():
    with pytest.raises(ConfigError, match=r"mobileone_s0 cannot run in channels_last.*leave"):
        build_encoder("mobileone_s0", channels_last=True)


@pytest.mark.parametrize("name", ["mobileone_s0", "test_efficientnet"])
def test_gradients_in_the_chosen_layout_are_those_of_float64(name):
    torch.manual_seed(0)
    encoder = build_encoder(name).eval()
    torch.manual_seed(0)
    reference = build_encoder(name, channels_last=False).double().eval()
    images = pixels(batch=4, size=64)
    encoder(images).vector.square().sum().backward()
    reference(images).vector.square().sum().backward()
    for (key, parameter), truth in zip(
        encoder.named_parameters(), reference.parameters(), strict=True
    ):
        if truth.grad is None:
            assert parameter.grad is None
            continue
        error = (parameter.grad - truth.grad).norm() / (truth.grad.norm() + 1e-6)
        assert error < 1e-3, key


def test_layouts_agree():
    images = pixels()
    torch.manual_seed(0)
    first = build_encoder("test_efficientnet", channels_last=True).eval()
    torch.manual_seed(0)
    second = build_encoder("test_efficientnet", channels_last=False).eval()
    torch.testing.assert_close(first(images).vector, second(images).vector, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", "no encoder named 'resnet5O'; did you mean 'resnet50'"),
        ("Resnet50", "did you mean 'resnet50'"),
        ("hf-hub:timm/resnet18", "no encoder named 'hf-hub:timm/resnet18'"),
        ("local-dir:/tmp/x", "no encoder named"),
        ("", "no encoder named ''"),
        ("resnet18.no_such_tag", "no_such_tag"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message) as raised:
        build_encoder(name)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 5}, "num_classes cannot be set: the head gives the classes"),
        ({"in_chans": 1}, "in_chans cannot be set"),
        ({"checkpoint_path": "x.pth"}, "checkpoint_path cannot be set"),
        ({"pad_typ": "same"}, "(?s)cannot be built with the options.*pad_typ.*leave out"),
        ({"act_layer": "no_such"}, "no_such"),
        ({"img_size": [0, 0]}, "img_size must be a positive integer, got 0"),
        ({"global_pool": ""}, "one feature vector per image"),
        ({"img_size": "big"}, "img_size must be a positive integer, got 'big'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_encoder("test_vit", options=options)


def test_two_sources_of_weights_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected one of them"):
        build_encoder("test_vit", pretrained=True, weights=tmp_path / "a.pth")


def test_unreachable_hub_says_what_to_do(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match=r"(?s)no route to host.*give its path as weights"):
        build_encoder("resnet18", pretrained=True)


def test_a_network_that_does_not_answer_is_told_once(monkeypatch, caplog):
    client = logging.getLogger("huggingface_hub.utils._http")

    def fetch(*_, **__):
        for number in range(3):
            client.warning(f"'no name {number}' thrown while requesting HEAD https://somewhere")
        raise OSError("offline")

    monkeypatch.setattr(timm, "create_model", fetch)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    with pytest.raises(WeightsError, match="of resnet18 cannot be had: offline"):
        build_encoder("resnet18", pretrained=True)
    (told,) = caplog.messages
    assert "weights of resnet18 are not on this machine" in told
    assert "does not answer ('no name 0'): trying again" in told
    client.warning("as it is")
    assert caplog.messages[-1] == "as it is"


def test_backbone_of_fixed_size_says_which_option_sets_it():
    encoder = build_encoder("test_vit", options={"img_size": [64, 64], "dynamic_img_size": False})
    assert encoder.image_size == 64
    encoder.check_image_size(64)
    with pytest.raises(ConfigError, match=r"test_vit cannot encode images of 96 x 96.*img_size"):
        encoder.check_image_size(96)
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        encoder.check_image_size(0)


def test_checking_leaves_the_encoder_as_it_was():
    encoder = build_encoder("test_efficientnet")
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder.check_image_size(64)
    assert encoder.training
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 8, 8), r"must have shape \(batch, 3, height, width\), got \(3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8), r"got \(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 2, 2, dtype=torch.int64), "uint8 in 0 to 255 or floating"),
    ],
)
def test_images_of_another_kind_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        transparent_encoder()(images)


def test_encoders_are_listed_by_pattern():
    assert list_encoders("tresnet_v2_?") == ["tresnet_v2_l"]
    assert "resnet50" in list_encoders()

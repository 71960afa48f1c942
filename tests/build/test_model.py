"""Heads and encoders from their settings."""

from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from safetensors.torch import save_file

from colabel.build.graph_heads import GRAPH_HEADS
from colabel.build.model import POOLINGS, READOUTS, build_classifier, build_head
from colabel.config import check_config
from colabel.errors import ConfigError, WeightsError
from colabel.models import (
    ClassAttentionPooling,
    EncoderPooling,
    Features,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    build_encoder,
)
from colabel.settings import (
    ClassAttention,
    EncoderSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
    PoolingSettings,
)

ENCODER = EncoderSettings(name="test_efficientnet")
LINEAR = LinearSettings()
WIDTH, CHANNELS, CLASSES = 6, 5, 3
SIZES = SimpleNamespace(
    width=WIDTH, map_channels=CHANNELS, give_previous_stage=lambda: CHANNELS - 1
)


def head_of(settings):
    return build_head(settings, SIZES, CLASSES)


def features_of(rows=2):
    torch.manual_seed(0)
    vector, last = torch.randn(rows, WIDTH), torch.randn(rows, CHANNELS, 3, 4)
    return Features(vector, last, previous=torch.randn(rows, CHANNELS - 1, 6, 8))


def test_every_head_of_the_settings_can_be_built():
    kinds = get_args(get_args(HeadSettings)[0])
    names = {kind.model_fields["name"].default for kind in kinds}
    assert names == {*READOUTS, *GRAPH_HEADS, "csra"}
    poolings = get_args(get_args(PoolingSettings)[0])
    assert {kind.model_fields["name"].default for kind in poolings} == {*POOLINGS, "encoder"}
    for kind in kinds:
        output = head_of(kind())(features_of())
        parts = ("features", "logits", "mixture", "auxiliary")
        given = {name for name in parts if getattr(output, name) is not None}
        assert given == set(kind.gives)


def test_a_linear_head_brings_its_features_to_a_length():
    assert head_of(LINEAR).feature_length is None
    head = head_of(LinearSettings(feature_length=6.5))
    assert isinstance(head.readout, LinearHead)
    features = features_of()
    output = head(features)
    expected = 6.5 * features.vector / features.vector.norm(dim=1, keepdim=True)
    torch.testing.assert_close(output.features, expected)
    layer = head.readout.weight_layer
    torch.testing.assert_close(output.logits, expected @ layer.weight.T + layer.bias)
    assert output.mixture is None


def test_every_setting_reaches_the_kernel_mixture():
    settings = KernelMixtureSettings(
        covariance="diagonal", initialisation="paper", feature_length=3, logit_feature_length=2
    )
    readout = head_of(settings).readout
    assert isinstance(readout, KernelMixtureHead)
    assert (readout.width, readout.classes, readout.covariance) == (WIDTH, CLASSES, "diagonal")
    assert (readout.init, readout.feature_length) == ("paper", 3)
    assert readout.logit_feature_length == 2
    assert head_of(KernelMixtureSettings(feature_length=None)).readout.feature_length is None


def test_every_setting_reaches_the_mixture_density_network():
    settings = MixtureDensitySettings(
        hidden=(4, 9), activation="tanh", initialisation="paper", feature_length=8
    )
    head = head_of(settings)
    readout = head.readout
    assert isinstance(readout, MixtureDensityHead)
    assert [layer.out_features for layer in readout.hidden_layers] == [4, 9]
    assert (readout.activation, readout.feature_length) == ("tanh", 8)
    assert (readout.variance_layer.weight == 1).all()
    assert (readout.weight_layer.bias == 0).all()
    assert (head.feature_length, head.projection) == (1, None)
    plain = head_of(MixtureDensitySettings(projection=4))
    assert (plain.readout.activation, plain.readout.feature_length) == ("gelu", None)
    assert (plain.readout.variance_layer.weight != 1).all()
    assert (plain.projection.in_features, plain.projection.out_features) == (WIDTH, 4)
    assert plain.readout.width == 4


@pytest.mark.parametrize("settings", [LinearSettings, KernelMixtureSettings])
def test_class_attention_gives_each_class_features_of_its_own(settings):
    head = head_of(settings(pooling=ClassAttention()))
    assert isinstance(head.pooling, ClassAttentionPooling)
    assert (head.reads, head.readout.width) == ("map", CHANNELS)
    assert head(features_of()).features.shape == (2, CLASSES, CHANNELS)
    plain = head_of(settings())
    assert isinstance(plain.pooling, EncoderPooling)
    assert (plain.reads, plain.readout.width) == ("vector", WIDTH)
    assert plain(features_of()).features.shape == (2, WIDTH)


@pytest.mark.parametrize("pooling", ["encoder", "class_attention"])
def test_a_classifier_takes_images(pooling):
    head = KernelMixtureSettings.model_validate({"pooling": {"name": pooling}})
    model = build_classifier(ENCODER, head, 4, image_size=64)
    output = model(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    assert output.logits.shape == (2, 4)
    assert output.mixture.classes == 4


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ({"name": "test_eficientnet"}, ConfigError, "did you mean 'test_efficientnet"),
        ({"weights": "~/nowhere.safetensors"}, WeightsError, r"nowhere\.safetensors"),
        ({"name": "vit_tiny_patch16_224"}, ConfigError, "cannot encode images of 32 x 32"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_named(encoder, error, message):
    settings = EncoderSettings(**({"name": "test_efficientnet"} | encoder))
    with pytest.raises(error, match=message) as caught:
        build_classifier(settings, LINEAR, 3, image_size=32)
    assert "~" not in str(caught.value)


def test_an_option_that_the_head_decides_is_refused_by_recipes_and_by_encoders():
    name, options = "test_efficientnet", {"num_classes": 3}
    with pytest.raises(ConfigError, match="the head gives the classes"):
        check_config({"encoder": {"name": name, "options": options}})
    with pytest.raises(ConfigError, match="the head gives the classes"):
        build_encoder(name, options=options)


def test_attention_needs_more_than_one_position():
    head = KernelMixtureSettings(pooling=ClassAttention())
    model = build_classifier(ENCODER, head, 3, image_size=64)
    assert model.encoder(torch.zeros(1, 3, 64, 64)).map.shape[2:] == (2, 2)
    with pytest.raises(ConfigError, match="one position for images of 32 x 32 pixels"):
        build_classifier(ENCODER, head, 3, image_size=32)
    build_classifier(ENCODER, KernelMixtureSettings(), 3, image_size=32)


def test_weights_of_another_encoder_are_refused_and_fitting_ones_taken(tmp_path):
    model = build_classifier(ENCODER, LINEAR, 3, image_size=32)
    state = {
        name: tensor.contiguous() for name, tensor in model.encoder.backbone.state_dict().items()
    }
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    taken = build_classifier(
        ENCODER.model_copy(update={"weights": str(path)}), LINEAR, 3, image_size=32
    )
    assert all(
        torch.equal(tensor, state[name])
        for name, tensor in taken.encoder.backbone.state_dict().items()
    )
    other = EncoderSettings(name="test_resnet", weights=str(path))
    with pytest.raises(WeightsError, match="missing"):
        build_classifier(other, LINEAR, 3, image_size=32)

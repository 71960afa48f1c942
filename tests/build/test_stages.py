"""The stages of a run: which model each trains, and what is deployed."""

import pytest
import torch
from probmcl_cases import CLASSES, WIDTH, config_of
from scaling_encoder import Scaling, images_of

from colabel.build.model import build_head
from colabel.build.stages import build_model, build_stages
from colabel.config import check_config
from colabel.models import (
    Classifier,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
)

LINEAR = {"encoder.scale", "head.readout.weight_layer.weight", "head.readout.weight_layer.bias"}


def stages_of(config):
    """Return the deployed model and the stages that train it, on an encoder of five numbers."""
    encoder = Scaling()
    head = build_head(config.stages()[-1].head, encoder, CLASSES)
    model = Classifier(encoder, head)
    return model, *build_stages(model, config)


# --- methods of one stage


def small(method, **more):
    encoder = {"name": "test_efficientnet"}
    return check_config({"method": method, "encoder": encoder, "data": {"image_size": 32}} | more)


@pytest.mark.parametrize("method", ["kmcl", "asl", "bce"])
def test_one_stage_trains_the_model_that_is_deployed(method):
    config = small(method, training={"epochs": 9, "learning_rate": 0.5})
    model = build_model(config, 4)
    kind = KernelMixtureHead if method == "kmcl" else LinearHead
    assert isinstance(model.head.readout, kind)
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).logits.shape == (2, 4)
    (stage,) = build_stages(model, config)
    assert stage.model is model
    assert (stage.name, stage.epochs, stage.learning_rate) == (method, 9, 0.5)
    assert (stage.head_learning_rate, stage.views, stage.validated) == (0.5, 1, True)
    assert (stage.frozen, stage.encoder) == ((), None)


def test_a_frozen_encoder_is_one_of_the_frozen_modules():
    config = small("asl", training={"freeze_encoder": True, "head_learning_rate": 0.01})
    model = build_model(config, 4)
    (stage,) = build_stages(model, config)
    assert stage.frozen == (model.encoder,)
    assert stage.encoder is model.encoder
    assert stage.head_learning_rate == 0.01


@pytest.mark.parametrize("method", ["kmcl", "bce"])
def test_a_warm_start_trains_the_head_of_the_same_model(method):
    config = small(method, training={"warm_start": {"epochs": 2}, "epochs": 5})
    model = build_model(config, 4)
    warm, main = build_stages(model, config)
    assert warm.model is main.model is model
    assert (warm.name, warm.epochs, main.epochs) == ("warm_start", 2, 5)
    assert warm.frozen == (model.encoder,)
    assert warm.encoder is model.encoder
    assert (warm.augmented, main.augmented) == (False, True)
    assert (main.frozen, main.encoder) == ((), None)
    assert warm.objective.weights == main.objective.weights


# --- ProbMCL


def test_the_stages_share_the_encoder_and_the_second_freezes_it():
    model, first, second = stages_of(config_of())
    assert (first.name, second.name) == ("contrastive", "classification")
    assert (first.views, second.views) == (2, 1)
    assert (first.validated, second.validated) == (False, True)
    assert first.model.encoder is second.model.encoder is second.encoder
    assert second.model is model
    assert first.frozen == ()
    assert first.encoder is None
    (frozen,) = second.frozen
    assert frozen is model.encoder


def test_the_model_of_the_first_stage_has_a_mixture_of_features_of_length_1():
    model, first, _ = stages_of(config_of())
    images = 3 * images_of(4)
    with torch.no_grad():
        model.encoder.scale.mul_(2)
    output = first.model(images)
    flat = 2 * images.flatten(1)
    torch.testing.assert_close(
        output.features, flat / flat.square().sum(dim=1, keepdim=True).sqrt()
    )
    expected = first.model.head.readout(output.features)
    assert output.logits is None
    assert torch.equal(output.mixture.mean, expected.mean)
    assert output.mixture.dim == WIDTH
    assert output.mixture.classes == CLASSES


def test_a_projection_is_another_width_in_the_first_stage_alone():
    model, first, second = stages_of(config_of(head={"projection": 4}))
    assert first.model.encoder is model.encoder is second.encoder
    projection = first.model.head.projection
    output = first.model(images_of(6))
    assert output.features.shape == (6, 4)
    torch.testing.assert_close(output.features.norm(dim=1), torch.ones(6))
    assert output.mixture.dim == first.model.head.readout.width == 4
    flat = images_of(6).flatten(1) @ projection.weight.T + projection.bias
    torch.testing.assert_close(output.features, flat / flat.norm(dim=1, keepdim=True))
    assert model(images_of(6)).features.shape == (6, WIDTH)
    assert set(model.state_dict()) == LINEAR


def test_what_is_deployed_is_the_encoder_and_a_linear_classifier():
    model, first, _ = stages_of(config_of())
    assert isinstance(model.head.readout, LinearHead)
    assert isinstance(first.model.head.readout, MixtureDensityHead)
    assert set(model.state_dict()) == LINEAR
    assert any("hidden_layers" in name for name in first.model.state_dict())
    assert model(images_of(2)).mixture is None


@pytest.mark.parametrize("length", [1, 6.5, None])
def test_the_classifier_sees_features_of_the_length_asked_for(length):
    model, _, _ = stages_of(config_of(classification={"head": {"feature_length": length}}))
    features = images_of(4).flatten(1)
    if length is not None:
        features = length * features / features.norm(dim=1, keepdim=True)
    layer = model.head.readout.weight_layer
    torch.testing.assert_close(model(images_of(4)).logits, features @ layer.weight.T + layer.bias)


def test_a_second_stage_with_kernels_deploys_them():
    config = config_of(classification={"head": {"name": "kernel_mixture"}})
    model, first, second = stages_of(config)
    assert isinstance(model.head.readout, KernelMixtureHead)
    assert isinstance(first.model.head.readout, MixtureDensityHead)
    assert second.model is model

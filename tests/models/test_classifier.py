"""The whole model: what it returns with either head, in which precision, with which gradients."""

import pytest
import torch

from colabel.errors import ConfigError
from colabel.models import (
    ClassAttentionPooling,
    Classifier,
    Features,
    Head,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    build_encoder,
)


def model_with(make, length=None):
    torch.manual_seed(0)
    encoder = build_encoder("test_efficientnet")
    return Classifier(encoder, Head(make(encoder.width, 3), feature_length=length)).eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)


def test_linear_head_gives_logits_without_mixture(images):
    output = model_with(LinearHead)(images)
    assert output.logits.shape == (4, 3)
    assert output.features.shape == (4, 256)
    assert output.mixture is None


def test_mixture_head_gives_both_and_they_agree(images):
    output = model_with(KernelMixtureHead)(images)
    assert output.logits is output.mixture.logits
    torch.testing.assert_close(output.mixture.log_weights.exp(), output.logits.sigmoid())


@pytest.mark.parametrize("make", [LinearHead, KernelMixtureHead])
def test_answers_are_float32_under_autocast_and_every_parameter_trains(images, make):
    model = model_with(make).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(images)
    assert output.features.dtype == output.logits.dtype == torch.float32
    total = output.logits.square().sum()
    if output.mixture is not None:
        assert output.mixture.variance.dtype == torch.float32
        total = total + output.mixture.mean.sum() + output.mixture.variance.sum()
    total.backward()
    without = [key for key, value in model.named_parameters() if value.grad is None]
    assert without == []
    assert all(value.grad.isfinite().all() for value in model.parameters())


def test_an_encoder_may_return_plain_vectors(images):
    encoder = torch.nn.Sequential(torch.nn.AvgPool2d(64), torch.nn.Flatten())
    head = Head(LinearHead(3, 2))
    output = Classifier(encoder, head)(images.float())
    assert torch.equal(output.features, encoder(images.float()))
    assert torch.equal(output.logits, head.readout(output.features))


def test_the_projection_comes_before_the_length(images):
    torch.manual_seed(0)
    encoder = build_encoder("test_efficientnet").eval()
    projection = torch.nn.Linear(encoder.width, 5)
    head = Head(LinearHead(5, 3), projection=projection, feature_length=2)
    output = Classifier(encoder, head)(images)
    projected = encoder(images).vector @ projection.weight.T + projection.bias
    expected = 2 * projected / projected.square().sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(output.features, expected)
    torch.testing.assert_close(output.logits, head.readout(expected))


def test_a_network_of_densities_does_not_take_features_of_each_class():
    with pytest.raises(ConfigError, match=r"takes one feature vector per image; choose"):
        Head(MixtureDensityHead(8, 3, hidden=(4,)), ClassAttentionPooling(8, 3))


def test_one_image_alone_is_encoded_as_in_a_batch(images):
    model = model_with(KernelMixtureHead)
    torch.testing.assert_close(
        model(images[:1]).logits, model(images).logits[:1], rtol=1e-3, atol=1e-4
    )


def test_a_mixture_of_densities_comes_without_logits(images):
    output = model_with(MixtureDensityHead)(images)
    assert output.logits is None
    torch.testing.assert_close(output.mixture.log_weights.exp().sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("make", [LinearHead, KernelMixtureHead])
@pytest.mark.parametrize("length", [None, 1, 5.0])
def test_features_in_place_of_images_are_not_encoded_again(images, make, length):
    model = model_with(make, length)
    expected = model(images)
    with torch.no_grad():
        features = model.encoder(images)
    model.encoder = None  # must not be needed
    output = model(features)
    assert torch.equal(output.features, expected.features)
    assert torch.equal(output.logits, expected.logits)
    if length is None:
        assert torch.equal(output.features, features.vector)
    alone = model(Features(features.vector))
    assert torch.equal(alone.logits, expected.logits)


@pytest.mark.parametrize("length", [1, 5.0])
def test_the_feature_length_is_that_of_what_the_head_sees(images, length):
    free, model = model_with(LinearHead), model_with(LinearHead, length)
    output, features = model(images), free(images).features
    assert free.head.feature_length is None
    lengths = features.square().sum(dim=1, keepdim=True).sqrt()
    assert lengths.max() / lengths.min() > 1.001
    torch.testing.assert_close(output.features, length * features / lengths)
    torch.testing.assert_close(output.logits, free.head.readout(length * features / lengths))

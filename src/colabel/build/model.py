"""From settings to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import expanduser
from pathlib import Path
from typing import Any

import torch
from torch import nn

from colabel.errors import ConfigError
from colabel.methods.plan import Embeddings
from colabel.models import (
    ClassAttentionPooling,
    Classifier,
    Encoder,
    EncoderPooling,
    FeaturesHead,
    Head,
    HeadWithEmbeddings,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    Projection,
    build_encoder,
)
from colabel.models.feature_maps import copy_to_meta
from colabel.models.pooling import Pooling
from colabel.settings import (
    PRETRAINED,
    EncoderSettings,
    FeaturesSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
)

POOLINGS: Mapping[str, Callable[[Encoder, int], tuple[Pooling, int]]] = {
    "encoder": lambda encoder, _: (EncoderPooling(), encoder.width),
    "class_attention": lambda encoder, classes: (
        ClassAttentionPooling(encoder.map_channels, classes),
        encoder.map_channels,
    ),
}
"""(encoder, classes) to the pooling called ``head.pooling.name``, and the width of its vectors."""


def linear(settings: LinearSettings, pooling: Pooling, width: int, classes: int) -> Head:
    """Return a linear head."""
    return Head(LinearHead(width, classes), pooling, feature_length=settings.feature_length)


def kernel_mixture(
    settings: KernelMixtureSettings, pooling: Pooling, width: int, classes: int
) -> Head:
    """Return a kernel mixture module (KMCL, Fig. 3)."""
    readout = KernelMixtureHead(
        width,
        classes,
        covariance=settings.covariance,
        init=settings.initialisation,
        feature_length=settings.feature_length,
    )
    return Head(readout, pooling)


def mixture_density(
    settings: MixtureDensitySettings, pooling: Pooling, width: int, classes: int
) -> Head:
    """Return a mixture density network on features of length 1 (ProbMCL, Fig. 1 a)."""
    projection = None
    if settings.projection is not None:
        projection = nn.Linear(width, settings.projection)
        width = settings.projection
    readout = MixtureDensityHead(
        width,
        classes,
        hidden=settings.hidden,
        activation=settings.activation,
        init=settings.initialisation,
        feature_length=settings.feature_length,
    )
    return Head(readout, pooling, projection=projection, feature_length=1)


def features(settings: FeaturesSettings, pooling: Pooling, width: int, classes: int) -> Head:
    """Return a head that hands on what was pooled."""
    return Head(FeaturesHead(width, classes), pooling, feature_length=settings.feature_length)


HEADS: Mapping[str, Callable[[Any, Pooling, int, int], Head]] = {
    "linear": linear,
    "kernel_mixture": kernel_mixture,
    "mixture_density": mixture_density,
    "features": features,
}
"""(settings, pooling, width, classes) to the head called ``head.name``."""


def build_classifier(
    encoder: EncoderSettings, head: HeadSettings, classes: int, *, image_size: int
) -> Classifier:
    """Return an initialised model.

    Args:
        encoder: the backbone and its weights.
        head: what is read off its features.
        classes: number of labels.
        image_size: side of the images it will see, in pixels.

    Raises:
        ConfigError: if the backbone or an option of it is unknown, it takes no such images, or
            has no feature map, or one of a single position, where the head needs one.
        WeightsError: if the weights do not fit.
    """
    built = encoder_of(encoder, image_size=image_size)
    classifier = Classifier(built, build_head(head, built, classes))
    if classifier.head.reads == "map":
        _check_positions(built, image_size)
    return classifier


def encoder_of(encoder: EncoderSettings, *, image_size: int) -> Encoder:
    """Return an encoder with its weights.

    Args:
        encoder: the backbone and its weights.
        image_size: side of the images it will see, in pixels.

    Raises:
        ConfigError: if the backbone or an option of it is unknown, or it takes no such images.
        WeightsError: if the weights do not fit.
    """
    built = build_encoder(
        encoder.name,
        pretrained=encoder.weights == PRETRAINED,
        weights=None
        if encoder.weights in (None, PRETRAINED)
        else Path(expanduser(encoder.weights)),
        options=encoder.options,
        freeze_batch_norm=encoder.freeze_batch_norm,
        channels_last=encoder.channels_last,
        freeze_stages=encoder.freeze_stages,
    )
    built.check_image_size(image_size)
    return built


def _check_positions(encoder: Encoder, image_size: int) -> None:
    """Refuse a feature map of one position, of which attention can choose nothing."""
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    with torch.no_grad():
        positions = copy_to_meta(encoder)(images).map[0, 0].numel()
    if positions == 1:
        raise ConfigError(
            f"head.pooling.name class_attention: the feature map of {encoder.name} has one "
            f"position for images of {image_size} x {image_size} pixels, so that no label could "
            "look elsewhere than another; take a larger data.image_size, or head.pooling.name "
            "encoder."
        )


def build_head(settings: HeadSettings, encoder: Encoder, classes: int) -> Head:
    """Return an initialised head for an encoder.

    Args:
        settings: of the head.
        encoder: whose features it takes.
        classes: number of labels.

    Raises:
        ConfigError: if the head needs a feature map and the encoder has none.
    """
    pooling, width = POOLINGS[settings.pooling.name](encoder, classes)
    return HEADS[settings.name](settings, pooling, width, classes)


def add_embeddings(head: Head, embeddings: Embeddings | None) -> Head | HeadWithEmbeddings:
    """Return a head as the terms of a stage train it: with embeddings, where one compares them.

    Args:
        head: which stays as it is, and is part of the result.
        embeddings: that the terms ask for; ``None`` for none.
    """
    if embeddings is None:
        return head
    if embeddings.projection is None:
        return HeadWithEmbeddings(head, None)
    return HeadWithEmbeddings(
        head, Projection(head.width, embeddings.width, embeddings.projection)
    )

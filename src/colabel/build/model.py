"""From settings to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import expanduser
from pathlib import Path
from typing import Any

import torch
from torch import nn

from colabel.build.graph_heads import GRAPH_HEADS
from colabel.data import Records
from colabel.errors import ConfigError
from colabel.models import (
    ClassAttentionPooling,
    Classifier,
    Encoder,
    EncoderPooling,
    GraphHead,
    Head,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    build_encoder,
)
from colabel.models.feature_maps import copy_to_meta
from colabel.models.heads.tdrg import check_positions
from colabel.models.pooling import Pooling
from colabel.settings import (
    PRETRAINED,
    EncoderSettings,
    GraphSettings,
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


HEADS: Mapping[str, Callable[[Any, Pooling, int, int], Head]] = {
    "linear": linear,
    "kernel_mixture": kernel_mixture,
    "mixture_density": mixture_density,
}
"""(settings, pooling, width, classes) to the head called ``head.name``."""


def build_classifier(
    encoder: EncoderSettings,
    head: HeadSettings,
    classes: int,
    *,
    image_size: int,
    train: Records | None = None,
) -> Classifier:
    """Return an initialised model.

    Args:
        encoder: the backbone and its weights.
        head: what is read off its features.
        classes: number of labels.
        image_size: side of the images it will see, in pixels.
        train: the images it will learn from, of whose labels some heads make a graph; ``None``
            where weights bring it.

    Raises:
        ConfigError: if the backbone or an option of it is unknown, it takes no such images, or
            has no feature map, or one of too few positions, where the head needs one.
        WeightsError: if the weights do not fit.
    """
    built = encoder_of(encoder, image_size=image_size)
    classifier = Classifier(built, build_head(head, built, classes, train=train))
    if classifier.head.reads == "maps":
        check_positions(_positions(built, image_size))
    elif classifier.head.reads == "map" and isinstance(classifier.head, Head):
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
    if _positions(encoder, image_size) == (1, 1):
        raise ConfigError(
            f"head.pooling.name class_attention: the feature map of {encoder.name} has one "
            f"position for images of {image_size} x {image_size} pixels, so that no label could "
            "look elsewhere than another; take a larger data.image_size, or head.pooling.name "
            "encoder."
        )


def _positions(encoder: Encoder, image_size: int) -> tuple[int, ...]:
    """Return the sides of the last feature map."""
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    with torch.no_grad():
        return tuple(copy_to_meta(encoder)(images).map.shape[2:])


def build_head(
    settings: HeadSettings, encoder: Encoder, classes: int, *, train: Records | None = None
) -> Head | GraphHead:
    """Return an initialised head for an encoder.

    Args:
        settings: of the head.
        encoder: whose features it takes; it is told if the head reads more of it than it gives.
        classes: number of labels.
        train: as for :func:`build_classifier`.

    Raises:
        ConfigError: if the head needs a feature map and the encoder has none.
        DataError: if the vectors of labels cannot be read.
    """
    if isinstance(settings, GraphSettings):
        return GRAPH_HEADS[settings.name](settings, encoder, classes, train)
    pooling, width = POOLINGS[settings.pooling.name](encoder, classes)
    return HEADS[settings.name](settings, pooling, width, classes)

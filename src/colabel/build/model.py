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
from colabel.methods.plan import Embeddings
from colabel.models import (
    AnyHead,
    AveragePooling,
    ClassAttentionPooling,
    Classifier,
    CSRAHead,
    CSRAPooling,
    Encoder,
    EncoderPooling,
    FeaturesHead,
    GeneralisedMeanPooling,
    Head,
    HeadWithEmbeddings,
    KernelMixtureHead,
    LinearHead,
    MaxPooling,
    MixtureDensityHead,
    MLDecoderPooling,
    Projection,
    Query2LabelPooling,
    build_encoder,
)
from colabel.models.feature_maps import copy_to_meta
from colabel.models.heads.tdrg import check_positions
from colabel.models.pooling import Pooling
from colabel.settings import (
    PRETRAINED,
    TEMPERATURES,
    CSRASettings,
    EncoderSettings,
    FeaturesSettings,
    GraphSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
    PoolingSettings,
)

POOLINGS: Mapping[str, type[Pooling]] = {
    "average": AveragePooling,
    "max": MaxPooling,
    "generalised_mean": GeneralisedMeanPooling,
    "class_attention": ClassAttentionPooling,
    "csra": CSRAPooling,
    "ml_decoder": MLDecoderPooling,
    "query2label": Query2LabelPooling,
}
"""The poolings of the map by ``head.pooling.name``. Those of each class take channels and classes,
then all take what else their settings have, by name."""


def build_pooling(
    settings: PoolingSettings, encoder: Encoder, classes: int
) -> tuple[Pooling, int]:
    """Return a pooling, and the width of its vectors.

    Args:
        settings: of the pooling.
        encoder: whose features it takes.
        classes: number of labels.

    Raises:
        ConfigError: if it needs a feature map and the encoder has none.
    """
    if settings.name == "encoder":
        return EncoderPooling(), encoder.width
    channels = encoder.map_channels
    kind = POOLINGS[settings.name]
    sizes = (channels, classes) if kind.per_class else ()
    pooling = kind(*sizes, **settings.model_dump(exclude={"name"}))
    return pooling, getattr(pooling, "width", channels)


def linear(settings: LinearSettings, pooling: Pooling, width: int, classes: int) -> Head:
    """Return a linear head; that of ML-Decoder starts as the paper's does."""
    readout = LinearHead(width, classes)
    if isinstance(pooling, MLDecoderPooling):
        spread = (2 / (pooling.group * (width + len(pooling.queries)))) ** 0.5
        nn.init.normal_(readout.weight_layer.weight, std=spread)
        nn.init.zeros_(readout.weight_layer.bias)
    return Head(readout, pooling, feature_length=settings.feature_length)


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
        logit_feature_length=settings.logit_feature_length,
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


READOUTS: Mapping[str, Callable[[Any, Pooling, int, int], Head]] = {
    "linear": linear,
    "kernel_mixture": kernel_mixture,
    "mixture_density": mixture_density,
    "features": features,
}
"""(settings, pooling, width, classes) to the head called ``head.name``, pooling and readout."""


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
    elif classifier.head.per_class:
        _check_positions(built, image_size, head)
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


def _check_positions(encoder: Encoder, image_size: int, head: HeadSettings) -> None:
    """Refuse a feature map of one position, of which attention can choose nothing."""
    if _positions(encoder, image_size) == (1, 1):
        pooling = getattr(head, "pooling", None)
        what = f"head.name {head.name}" if pooling is None else f"head.pooling.name {pooling.name}"
        other = "head.name linear" if pooling is None else "head.pooling.name encoder"
        raise ConfigError(
            f"{what}: the feature map of {encoder.name} has one position for images of "
            f"{image_size} x {image_size} pixels, so that no label could look elsewhere than "
            f"another; take a larger data.image_size, or {other}."
        )


def _positions(encoder: Encoder, image_size: int) -> tuple[int, ...]:
    """Return the sides of the last feature map."""
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    with torch.no_grad():
        return tuple(copy_to_meta(encoder)(images).map.shape[2:])


def build_head(
    settings: HeadSettings, encoder: Encoder, classes: int, *, train: Records | None = None
) -> AnyHead:
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
    if isinstance(settings, CSRASettings):
        temperatures = settings.temperatures or TEMPERATURES[settings.heads]
        return CSRAHead(encoder.map_channels, classes, temperatures, settings.residual)
    pooling, width = build_pooling(settings.pooling, encoder, classes)
    return READOUTS[settings.name](settings, pooling, width, classes)


def add_embeddings(head: AnyHead, embeddings: Embeddings | None) -> AnyHead | HeadWithEmbeddings:
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

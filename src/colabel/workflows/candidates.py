"""The encoders and sizes that are chosen from, and what a choice is worth."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from colabel.config import Config, change_config
from colabel.models.at_hand import weights_at_hand

SIZES = (96, 128, 160, 192, 224, 256, 288)
"""Sides of the images that are tried, in pixels."""
MOST_EPOCHS = 40
"""As many as the papers train; more time goes into larger images."""
_KNEE = 192
_POINTS_PER_DOUBLING = (10.0, 5.0)
"""Up to the knee and beyond it."""
_POINTS_OF_ONE_PASS = 11.0
_IMAGES_OF_ONE_PASS = 6000
_POINTS_OF_FROZEN = 7.5
HEAD_EPOCHS = 10
"""Of the classifier alone, on what a frozen encoder made of every image once."""


@dataclass(frozen=True)
class Candidate:
    """An encoder that may be chosen.

    Args:
        name: in timm.
        accuracy: top-1 accuracy of its weights on ImageNet, per cent, by timm's table of results.
        weights: their file, or "pretrained" for those that timm publishes.
    """

    name: str
    accuracy: float
    weights: str = ""


ENCODERS = (
    Candidate("mobilenetv2_100", 73.0),
    Candidate("efficientnet_b0", 77.7),
    Candidate("resnet50", 80.2),
    Candidate("convnext_tiny", 84.2),
)
"""From the quickest to the slowest; only those are tried whose weights are on the machine."""


def at_hand(name: str | None) -> tuple[Candidate, ...]:
    """Return the encoders whose published weights are on this machine, with the files.

    Args:
        name: the only one to look for; ``None`` for those of :data:`ENCODERS`.
    """
    known = {candidate.name: candidate for candidate in ENCODERS}
    found = []
    for wanted in (name,) if name is not None else tuple(known):
        file = weights_at_hand(wanted)
        if file is not None:
            base = known.get(wanted, Candidate(wanted, ENCODERS[0].accuracy))
            found.append(replace(base, weights=str(file)))
    return tuple(found)


def expected_gain(size: int, images_seen: float | None, accuracy: float) -> float:
    r"""Return what a choice is worth, in points of mAP above an arbitrary one.

    .. math:: 10 \log_2 \min(s, 192) + 5 \log_2 \max(s, 192) - 11 \cdot \frac{6000}{n} + (a - 73)

    For an encoder that stays as it came the term of n is 7.5.

    The numbers of size and images were measured with MobileNetV2 on 9,000 photographs
    (``docs/tuning.md``); that a point of accuracy on ImageNet is worth a point of mAP is assumed.

    Args:
        size: s, side of the images in pixels.
        images_seen: n, training images times epochs; ``None`` for an encoder that is not trained.
        accuracy: a, of the encoder on ImageNet, per cent.

    Example:
        >>> round(expected_gain(192, 12_000, 73.0) - expected_gain(128, 12_000, 73.0), 1)
        5.8
    """
    lost = _POINTS_OF_FROZEN
    if images_seen is not None:
        lost = _POINTS_OF_ONE_PASS * _IMAGES_OF_ONE_PASS / images_seen
    below, above = _POINTS_PER_DOUBLING
    gained = below * math.log2(min(size, _KNEE)) + above * math.log2(max(size, _KNEE))
    return gained - lost + accuracy - ENCODERS[0].accuracy


def frozen_changes(config: Config, fixed: Collection[str]) -> dict[str, Any]:
    """Return the settings with which the classifier alone is trained, in seconds.

    Nothing is augmented, so that every image is encoded once. Features of length 8 keep a linear
    classifier from overfitting (``docs/tuning.md``).
    """
    values: dict[str, Any] = {
        "training.freeze_encoder": True,
        "training.learning_rate": 3e-3,
        "training.head_learning_rate": "x1",
        "augmentation.operations": 0,
        "augmentation.cutout": 0,
        "augmentation.horizontal_flip": False,
    }
    if config.head.name == "linear":
        values["head.feature_length"] = 8
    return {key: value for key, value in values.items() if key not in fixed}


def changes_for(candidate: Candidate, size: int, fixed: Collection[str]) -> dict[str, Any]:
    """Return the settings that a choice comes to, without those that the user has set."""
    values = {
        "encoder.name": candidate.name,
        "encoder.weights": candidate.weights,
        "data.image_size": size,
    }
    return {key: value for key, value in values.items() if key not in fixed}


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a configuration with settings by their dotted keys."""
    return change_config(config, [f"{key}={json.dumps(value)}" for key, value in values.items()])

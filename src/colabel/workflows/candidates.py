"""The encoders and sizes that are chosen from, and what a choice is worth."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from colabel.config import Config, change_config
from colabel.models.at_hand import weights_at_hand
from colabel.settings import BinaryCrossEntropyTerm, WarmStart

SIZES = (96, 128, 160, 192, 224, 256, 288)
"""Sides of the images that are tried, in pixels."""
MOST_EPOCHS = 40
"""As many as the papers train; more time goes into larger images."""
MOST_KEPT_EPOCHS = 4
"""Without augmentation; more time goes into larger images, or into augmented ones."""
MOST_MIRRORED_EPOCHS = 8
"""With mirror images alone."""
MIRRORED_FROM = 2
"""Epochs from which on mirror images are worth that they are encoded, too."""
_POINTS_PER_DOUBLING = {128: 16.0, 192: 10.0, math.inf: 5.0}
"""Up to these sides of the images."""
_POINTS_OF_ONE_EPOCH = 8.0
_POINTS_OF_ONE_STEP = 220.0
_STEPS_AFTER_CLASSIFIER = 200.0
_POINTS_OF_FROZEN = (2.0, 5.5)
_IMAGES_OF_FROZEN = (600, 6000)
PLAIN_IMAGES = {
    "augmentation.operations": 0, "augmentation.cutout": 0, "augmentation.horizontal_flip": False,
}  # fmt: skip
"""Settings by which images are taken as they are."""
_HEAD_EPOCHS = 10
_HEAD_EPOCHS_OF_OTHER_LOSSES = 3
"""At least, before the encoder learns, too: given longer they learn the images by heart."""
_HEAD_IMAGES = 18_000


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


def expected_gain(
    size: int,
    accuracy: float,
    *,
    images: int,
    epochs: float,
    steps: float,
    classifier_first: bool = False,
) -> float:
    r"""Return what a choice is worth, in points of mAP above an arbitrary one.

    .. math:: g(s) - \ell + (a - 73)

    A size gains :math:`g`, which grows by 16 with each doubling up to 128 pixels, by 10 up to 192
    and by 5 beyond. Lost is :math:`\ell = 8 / e^2 + 220 / t` where all that is trained begins at
    once, and :math:`\ell = f\, \mathrm{e}^{-t / 200}` where the classifier has learned alone
    before. There f is what an encoder loses that stays as it came: 2 with up to 600 images, 5.5
    from 6,000 on.

    The numbers were measured with MobileNetV2 on 60 to 6,000 photographs (``docs/tuning.md``),
    where an encoder that stays loses nothing with up to 600; that it loses 2 speaks for images
    unlike those of ImageNet. That a point of accuracy there is worth one of mAP is assumed.

    Args:
        size: s, side of the images in pixels.
        accuracy: a, of the encoder on ImageNet, per cent.
        images: to learn from.
        epochs: e, in which the encoder is trained.
        steps: t, in all of them; 0 if the encoder stays.
        classifier_first: whether the classifier learns alone before.

    Example:
        >>> run = {"images": 6000, "epochs": 2, "steps": 374}
        >>> small, large = (expected_gain(size, 73.0, **run) for size in (128, 192))
        >>> round(large - small, 1), round(small - expected_gain(96, 73.0, **run), 1)
        (5.8, 6.6)
        >>> one = {"images": 6000, "epochs": 1, "steps": 187}
        >>> round(large - expected_gain(192, 73.0, **one), 1)
        6.6
        >>> round(large - expected_gain(192, 73.0, **one, classifier_first=True), 1)
        -0.4
    """
    if classifier_first:
        few, many = (math.log(count) for count in _IMAGES_OF_FROZEN)
        share = min(max((math.log(max(images, 1)) - few) / (many - few), 0.0), 1.0)
        least, most = _POINTS_OF_FROZEN
        lost = (least + share * (most - least)) * math.exp(-steps / _STEPS_AFTER_CLASSIFIER)
    else:
        lost = _POINTS_OF_ONE_EPOCH / epochs**2 + _POINTS_OF_ONE_STEP / steps
    gained, low = 0.0, 1.0
    for high, points in _POINTS_PER_DOUBLING.items():
        gained += points * math.log2(min(max(size, low), high) / low)
        low = high
    return gained - lost + accuracy - ENCODERS[0].accuracy


def head_epochs(images: int, *, least: int = _HEAD_EPOCHS) -> int:
    """Return for how many epochs a classifier is trained on what a frozen encoder gives once.

    Args:
        images: to learn from; few of them are seen more often, which takes no time to speak of.
        least: whatever their number.

    Example:
        >>> head_epochs(6000), head_epochs(600), head_epochs(60)
        (10, 30, 100)
    """
    return WarmStart(epochs=least, images=_HEAD_IMAGES).for_images(images).epochs


def first_epochs(config: Config, images: int) -> int:
    """Return for how many epochs a classifier learns alone before the encoder learns, too.

    Args:
        config: the recipe, whose loss decides how long that helps (``docs/tuning.md``).
        images: to learn from.

    Example:
        >>> from colabel.config import load_config
        >>> first_epochs(load_config("auto"), 6000)
        10
        >>> first_epochs(load_config("auto", ["method.name=asl"]), 6000)
        3
    """
    if _cross_entropies(config):
        return head_epochs(images)
    return head_epochs(images, least=_HEAD_EPOCHS_OF_OTHER_LOSSES)


def _cross_entropies(config: Config) -> list[str]:
    """Return the names of the terms that are cross-entropies."""
    return [
        name for name, term in config.terms.items() if isinstance(term, BinaryCrossEntropyTerm)
    ]


def unaugmented(config: Config, fixed: Collection[str]) -> tuple[bool, ...]:
    """Return whether images may be mirrored where they are not augmented otherwise.

    Args:
        config: the recipe.
        fixed: dotted keys of settings that the user has set.

    Returns:
        Whether they are not mirrored, mirrored, or both; nothing where the user has asked for
        other augmentation.

    Example:
        >>> from colabel.config import load_config
        >>> text = load_config("auto", ["augmentation.horizontal_flip=false"])
        >>> unaugmented(text, ["augmentation.horizontal_flip"])
        (False,)
        >>> unaugmented(load_config("auto"), ["augmentation.operations"])
        ()
    """
    given = {key.removeprefix("augmentation.") for key in fixed if key.startswith("augmentation.")}
    augmentation = config.augmentation
    wanted = {
        "operations": augmentation.operations > 0,
        "magnitude": augmentation.magnitude is not None,
        "cutout": augmentation.cutout > 0,
    }
    if any(asked and name in given for name, asked in wanted.items()):
        return ()
    return (augmentation.horizontal_flip,) if "horizontal_flip" in given else (False, True)


def may_stay(candidate: Candidate, config: Config, fixed: Collection[str]) -> bool:
    """Tell whether an encoder may be left as it came.

    Not one that has learned nothing, and not where the user has said how the encoder is trained
    or that images are augmented or mirrored, which would have to be encoded anew in every epoch.

    Args:
        candidate: with its weights.
        config: the recipe.
        fixed: dotted keys of settings that the user has set.

    Example:
        >>> from colabel.config import load_config
        >>> auto = load_config("auto")
        >>> known = Candidate("resnet50", 80.2, weights="resnet50.safetensors")
        >>> may_stay(known, auto, ["data.image_size"])
        True
        >>> may_stay(known, auto, ["encoder.freeze_stages"])
        False
        >>> may_stay(Candidate("resnet50", 80.2), auto, [])  # without weights
        False
    """
    decided = {
        "encoder.freeze_stages",
        "training.learning_rate",
        "training.head_learning_rate",
    }
    trained = "training.freeze_encoder" in fixed and not config.training.freeze_encoder
    as_they_are = False in unaugmented(config, fixed)
    return bool(candidate.weights) and as_they_are and not (trained or decided & set(fixed))


def may_keep(candidate: Candidate, config: Config, fixed: Collection[str]) -> bool:
    """Tell whether what the frozen first stages give may be kept, and the classifier come first.

    Only with a linear head on what the encoder pools, of which it was measured; not with an
    encoder that has learned nothing, and not where the user has said that images are augmented but
    by mirroring, or whether the classifier comes first, or that the encoder stays.

    Args:
        candidate: with its weights.
        config: the recipe.
        fixed: dotted keys of settings that the user has set.

    Example:
        >>> from colabel.config import load_config
        >>> known = Candidate("resnet50", 80.2, weights="resnet50.safetensors")
        >>> auto = load_config("auto")
        >>> may_keep(known, auto, []), may_keep(known, auto, ["augmentation.operations"])
        (True, False)
        >>> plain = load_config("auto", ["augmentation.operations=0"])
        >>> may_keep(known, plain, ["augmentation.operations"])
        True
    """
    augmented = not unaugmented(config, fixed)
    decided = augmented or any(key.startswith("training.warm_start") for key in fixed)
    trains = bool(config.encoder.freeze_stages) and not config.training.freeze_encoder
    head = config.head
    linear = head.name == "linear" and head.pooling.name == "encoder"
    return bool(candidate.weights) and trains and linear and not decided


def kept_changes(
    config: Config, fixed: Collection[str], *, images: int, mirrored: bool = False
) -> dict[str, Any]:
    """Return the settings with which the classifier learns first, and then all that is trained.

    Nothing is augmented but by mirroring, so that every image passes the frozen stages once.
    Cross-entropy has smoothed labels then (``docs/tuning.md``).

    Args:
        config: the recipe.
        fixed: dotted keys of settings that the user has set.
        images: to learn from.
        mirrored: whether images are mirrored.
    """
    values: dict[str, Any] = {
        **PLAIN_IMAGES,
        "augmentation.horizontal_flip": mirrored,
        "training.warm_start.epochs": first_epochs(config, images),
        "training.warm_start.learning_rate": 1e-3,
        "training.head_learning_rate": "x10",
        "head.feature_length": 8,
    }
    values |= {f"terms.{name}.label_smoothing": 0.1 for name in _cross_entropies(config)}
    return {key: value for key, value in values.items() if key not in fixed}


def frozen_changes(config: Config, fixed: Collection[str]) -> dict[str, Any]:
    """Return the settings with which the classifier alone is trained, in seconds.

    Nothing is augmented, so that every image is encoded once. Features of length 8 keep a linear
    classifier from overfitting (``docs/tuning.md``).
    """
    values: dict[str, Any] = {
        "training.freeze_encoder": True,
        "training.learning_rate": 3e-3,
        "training.head_learning_rate": "x1",
        **PLAIN_IMAGES,
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

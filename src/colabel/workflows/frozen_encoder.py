"""The encoder that a user named, or the best one on this machine, to be used as it came."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

import torch

from colabel.build.model import encoder_of
from colabel.config import Config
from colabel.config.paths import with_absolute_paths
from colabel.data import Records
from colabel.errors import ConfigError
from colabel.models import Encoder
from colabel.models.backbones import check_encoder_name
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.workflows.candidates import ENCODERS, SIZES, at_hand

_LARGEST_SIZE = 224
_LOOKED_AT = 16


def encoder_at_hand(
    config: Config, changed: Collection[str], parts: Sequence[Records]
) -> tuple[Encoder, int, str]:
    """Return the encoder that the user named, or the most accurate one on this machine.

    Args:
        config: its encoder and image size hold where the user has set them.
        changed: dotted keys of settings that the user has set.
        parts: the images, which are not enlarged if the size may be chosen.

    Returns:
        The encoder, the side of its images in pixels, and its name.

    Raises:
        ConfigError: if no encoder's weights are at hand, or it takes no such images.
        WeightsError: if the weights do not fit.
    """
    settings = encoder_settings(config, changed)
    size = config.data.image_size if "data.image_size" in changed else _size_for(parts)
    with torch.random.fork_rng(devices=[]):  # what is drawn is replaced by the weights
        return encoder_of(settings, image_size=size), size, settings.name


def encoder_settings(config: Config, changed: Collection[str]) -> EncoderSettings:
    """Return the encoder that the user named, with the weights that are on this machine.

    Args:
        config: its encoder holds where the user has set it.
        changed: dotted keys of settings that the user has set.

    Raises:
        ConfigError: if no encoder's weights are at hand.
    """
    settings = with_absolute_paths(config, None).encoder
    if "encoder.weights" in changed:
        return settings
    named = "encoder.name" in changed
    if named:
        check_encoder_name(settings.name)
    found = at_hand(settings.name if named else None)
    if found:
        best = max(found, key=lambda candidate: candidate.accuracy)
        return settings.model_copy(update={"name": best.name, "weights": best.weights})
    best_first = sorted(ENCODERS, key=lambda candidate: -candidate.accuracy)
    names = [settings.name] if named else [candidate.name for candidate in best_first]
    raise ConfigError(
        f"no weights of {' or '.join(names)} are on this machine, and none are fetched unasked. "
        f"Add --set encoder.weights={PRETRAINED} and --set encoder.name=NAME to fetch those of an "
        "encoder once, --set encoder.weights=FILE for a file, or --with RUN for the encoder of a "
        "run."
    )


def _size_for(parts: Sequence[Records]) -> int:
    """Return the largest usual size that images of this kind need not be enlarged to."""
    sides = []
    for part in parts:
        for index in range(0, len(part), max(1, len(part) // _LOOKED_AT)):
            sides.append(min(part.images.open(index).size))
    side = min(median(sides), _LARGEST_SIZE)
    return max((size for size in SIZES if size <= side), default=SIZES[0])

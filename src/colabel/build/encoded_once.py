"""What a frozen encoder made of images, kept for the next run that needs the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from colabel.config import Config
from colabel.data import Records
from colabel.models.part import Kept


class EncodedOnce:
    """Features of the images of several runs that leave the same encoder as it came.

    The runs of a comparison or a sweep that train heads on a frozen encoder, or what follows its
    frozen first stages, differ in all but what those give, so one of them encodes the images and
    the others take what it got. Of each part only that of one encoder is kept; that of another
    one takes its place before it is computed.

    Files are taken to be the same while a command works: an image that is replaced meanwhile
    counts as it was.
    """

    def __init__(self) -> None:
        self._kept: dict[Kept, tuple[str, dict[str, Tensor]]] = {}

    def features(
        self,
        encoder: nn.Module,
        config: Config,
        records: Records,
        part: Kept,
        encode: Callable[[], Tensor],
    ) -> Tensor:
        """Return the features of images, computed at the first call.

        Args:
            encoder: that made them or will, or the modules of it that do.
            config: of the run; what changes a pixel or a rounding must agree.
            records: the images.
            part: the vectors, the maps, or what the frozen first stages give.
            encode: computes them.
        """
        known = _identity_of(encoder, config)
        if part not in self._kept or self._kept[part][0] != known:
            self._kept[part] = (known, {})
        kept = self._kept[part][1]
        images = records.fingerprint()
        if images not in kept:
            kept[images] = encode()
        return kept[images]


def _identity_of(encoder: nn.Module, config: Config) -> str:
    """Return a hash of the weights and of every setting that their features depend on."""
    digest = hashlib.sha256()
    for settings in (config.encoder, config.data, config.evaluation):
        digest.update(settings.model_dump_json().encode())
    digest.update(config.training.precision.encode())
    for name, value in encoder.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()

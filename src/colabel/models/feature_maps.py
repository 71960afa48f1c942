"""What a backbone of timm pools: features at each position of the image, and in what layout."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from colabel.errors import ConfigError


@dataclass(frozen=True)
class FeatureMap:
    """What a backbone has at each position of the image.

    Args:
        channels: features at each position; ``None`` if there is no such map.
        reason: why there is none.
        to_map: brings what the backbone pools into the shape (batch, channels, height, width);
            ``None`` where it has that shape.
    """

    channels: int | None
    reason: str = ""
    to_map: Callable[[Tensor], Tensor] | None = None


def copy_to_meta(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose parameters and buffers have shapes but no values.

    A pass through the copy gives shapes and counts, takes no memory and nearly no time.
    """
    shapes: dict[int, object] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        shapes[id(parameter)] = nn.Parameter(empty, requires_grad=False)
    for buffer in module.buffers():
        shapes[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, shapes).eval()


def find_map(backbone: nn.Module, width: int, image_size: int) -> FeatureMap:
    """Find out what a backbone pools, from the shapes of one image."""
    hollow = copy_to_meta(backbone)
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    try:
        with torch.no_grad():
            unpooled, pooled = in_two_steps(hollow, images)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        return FeatureMap(None, f"its features cannot be had before they are pooled ({error})")
    if not isinstance(unpooled, Tensor) or unpooled.ndim not in (3, 4):
        return FeatureMap(None, "it pools several sets of features, not one")
    if tuple(pooled.shape) != (1, width):
        return FeatureMap(None, "what it pools is not what it gives")
    if unpooled.ndim == 4:
        last = _is_channels_last(backbone)
        to_map = _channels_first if last else None
        return FeatureMap(int(unpooled.shape[3 if last else 1]), to_map=to_map)
    tokens = int(unpooled.shape[1])
    prefix = getattr(backbone, "num_prefix_tokens", None)
    if prefix is None:
        if math.isqrt(tokens) ** 2 != tokens:
            return FeatureMap(
                None, f"which of its {tokens} tokens stand for patches of the image is not known"
            )
        prefix = 0
    return FeatureMap(int(unpooled.shape[2]), to_map=_TokensToMap(int(prefix)))


def in_two_steps(backbone: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a backbone of timm pools, and what it is pooled to."""
    unpooled = backbone.forward_features(images)
    return unpooled, backbone.forward_head(unpooled)


def with_previous_stage(backbone: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a backbone of timm pools, and the map of the stage before its last.

    The map has the shape (batch, channels, height, width).

    Raises:
        ConfigError: if the backbone does not give the features of its stages.
    """
    stages = getattr(backbone, "feature_info", None)
    if not hasattr(backbone, "forward_intermediates") or stages is None or len(stages) < 2:
        raise ConfigError("timm does not give the features of its stages")
    unpooled, (previous,) = backbone.forward_intermediates(images, indices=[len(stages) - 2])
    return unpooled, previous


def count_previous_channels(backbone: nn.Module, image_size: int) -> int:
    """Return the features at each position after the stage before the last.

    Raises:
        ConfigError: with the reason, if there is no such stage with a finer map than the last.
    """
    hollow: Any = copy_to_meta(backbone)
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    try:
        with torch.no_grad():
            unpooled, previous = with_previous_stage(hollow, images)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    sides = unpooled.shape[1:3] if _is_channels_last(backbone) else unpooled.shape[2:]
    if unpooled.ndim != 4 or min(previous.shape[2:]) <= min(sides):
        raise ConfigError("its stages all have positions of one size")
    return int(previous.shape[1])


def _is_channels_last(backbone: nn.Module) -> bool:
    return getattr(backbone, "output_fmt", "NCHW") == "NHWC"


def _channels_first(unpooled: Tensor) -> Tensor:
    return unpooled.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _TokensToMap:
    """Patch tokens (batch, tokens, channels) as a map, square where their number allows it.

    Args:
        prefix: tokens before those of the patches, which are dropped.
    """

    prefix: int

    def __call__(self, tokens: Tensor) -> Tensor:
        patches = tokens[:, self.prefix :].transpose(1, 2)
        side = math.isqrt(patches.shape[2])
        rows = side if side * side == patches.shape[2] else 1
        return patches.reshape(*patches.shape[:2], rows, -1)

"""Convolutions for which processors have no quick kernel in bfloat16.

Units for bfloat16 make a training step quicker, but for one kind of layer: the backward pass of a
strided depthwise convolution is done by a reference kernel, at many times the time of float32
(``benchmarks/bf16_on_processors.py`` measures it).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from colabel.models.heads.layers import without_autocast


class _Float32OnProcessors(nn.Module):
    """What is mixed into a layer's type, so that automatic mixed precision leaves it alone."""

    def forward(self, input: Tensor) -> Any:
        if input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        with without_autocast(input.device):
            return super().forward(input.float())


def keep_in_float32(backbone: nn.Module) -> int:
    """Let strided depthwise convolutions compute in float32 on processors, in place.

    Nothing changes without automatic mixed precision, or on a GPU.

    Args:
        backbone: whose layers have the types that they are to keep otherwise.

    Returns:
        How many layers there are.

    Example:
        >>> layer = nn.Conv2d(8, 8, 3, stride=2, groups=8)
        >>> keep_in_float32(nn.Sequential(layer, nn.Conv2d(8, 8, 3, groups=8)))
        1
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     layer(torch.rand(1, 8, 5, 5)).dtype
        torch.float32
    """
    found = [
        module
        for module in backbone.modules()
        if isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels > 1
        and max(module.stride) > 1
    ]
    for module in found:
        kind: Any = type(module)
        module.__class__ = _in_float32(kind)
    return len(found)


@cache
def _in_float32(kind: Any) -> Any:
    return type(f"{kind.__name__}InFloat32", (_Float32OnProcessors, kind), {})

"""What every pooling says of itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colabel.models.features import Features
from colabel.models.part import Part


class Pooling(nn.Module):
    """From the features of images to one vector per image, or one per class.

    A subclass names the part of the features that it reads, and says whether each class has a
    vector of its own, for which it looks at some positions more than at others.
    """

    reads: Part = "map"
    per_class: bool = False

    def forward(self, features: Features) -> Tensor:
        """Return vectors, shape (batch, width) or (batch, classes, width)."""
        raise NotImplementedError


def positions_of(features: Features) -> Tensor:
    """Return the features at each position, shape (batch, positions, channels), float32 or more.

    Example:
        >>> positions_of(Features(None, torch.zeros(2, 8, 4, 5))).shape
        torch.Size([2, 20, 8])
    """
    positions = features.map.flatten(2).mT
    return positions.to(torch.promote_types(positions.dtype, torch.float32))

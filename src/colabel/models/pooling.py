"""Pooling: from what the encoder gives to one vector per image, or one per class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colabel.models.features import Features
from colabel.models.heads.layers import without_autocast
from colabel.models.part import Part


class EncoderPooling(nn.Module):
    """One vector per image, as the encoder pooled it.

    Example:
        >>> EncoderPooling()(Features(torch.ones(2, 8))).shape
        torch.Size([2, 8])
    """

    reads: Part = "vector"

    def forward(self, features: Features) -> Tensor:
        """Return the vectors, shape (batch, width)."""
        if features.vector is None:
            raise ValueError("there are no pooled features: only the feature map was kept.")
        return features.vector


class ClassAttentionPooling(nn.Module):
    r"""One vector per class: an average over the positions, weighted for the class.

    .. math:: f_k = \sum_p a_{kp}\, x_p, \qquad
              a_{k\cdot} = \operatorname{softmax}_p\left(q_k^T x_p / \sqrt{d}\right)

    with the features :math:`x_p \in R^d` at position p and a learned query :math:`q_k` per class.

    Source: ours; scaled dot-product attention with one query per class. Queries start at zero, so
    that every class begins with the plain average.

    Args:
        channels: number of features d at each position.
        classes: number of classes K.

    Example:
        >>> pooling = ClassAttentionPooling(channels=8, classes=3)
        >>> features = Features(None, torch.rand(2, 8, 4, 5))
        >>> pooled = pooling(features)
        >>> pooled.shape, torch.allclose(pooled[:, 0], features.map.mean(dim=(2, 3)))
        (torch.Size([2, 3, 8]), True)
    """

    reads: Part = "map"

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, features: Features) -> Tensor:
        """Return a vector per class, shape (batch, classes, channels), in float32."""
        positions = features.map.flatten(2)
        positions = positions.to(torch.promote_types(positions.dtype, torch.float32))
        with without_autocast(positions.device):
            scores = torch.einsum("kd,ndp->nkp", self.queries, positions)
            weights = (scores / positions.shape[1] ** 0.5).softmax(dim=2)
            return torch.einsum("nkp,ndp->nkd", weights, positions)


Pooling = EncoderPooling | ClassAttentionPooling

"""Class-specific residual attention (CSRA)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from colabel.models.features import Features
from colabel.models.heads.layers import without_autocast
from colabel.models.pooling.base import Pooling, positions_of

MAXIMUM = 99.0
"""Temperature from which on attention is the maximum, as the paper writes it."""


def attend(scores: Tensor, temperature: float) -> Tensor:
    r"""Return the weight of each position, that of the largest score alone from 99 on.

    .. math:: a_{kp} = \operatorname{softmax}_p(T s_{kp})

    Args:
        scores: shape (..., positions).
        temperature: T, positive.

    Example:
        >>> attend(torch.tensor([1.0, 3.0, 3.0]), 99)
        tensor([0.0000, 0.5000, 0.5000])
    """
    if temperature < MAXIMUM:
        return (temperature * scores).softmax(dim=-1)
    largest = (scores == scores.amax(dim=-1, keepdim=True)).to(scores.dtype)
    return largest / largest.sum(dim=-1, keepdim=True)


class CSRAPooling(Pooling):
    r"""One vector per class: the average, and what the class looks at.

    .. math::
        f_k = \frac1P \sum_p x_p + \lambda \sum_p a_{kp} x_p, \qquad
        a_{k\cdot} = \operatorname{softmax}_p\Bigl(T \frac{m_k^T x_p}{\lVert m_k \rVert}\Bigr)

    Source: Zhu and Wu 2021, "Residual attention: a simple but effective method for multi-label
    recognition", Eq. 4 to 6.

    Deviation: there the vectors :math:`m_k` are the classifier, too
    (:class:`colabel.models.CSRAHead`). Here they only look, so that any readout can take the
    features, a kernel mixture too.

    Args:
        channels: number of features d at each position.
        classes: number of classes K.
        temperature: T, positive; 99: the maximum.
        residual: lambda, not negative.

    Example:
        >>> pooling = CSRAPooling(channels=8, classes=3)
        >>> pooling(Features(None, torch.rand(2, 8, 4, 5))).shape
        torch.Size([2, 3, 8])
    """

    per_class = True

    def __init__(
        self, channels: int, classes: int, temperature: float = 1.0, residual: float = 0.1
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.residual = residual
        self.directions = nn.Parameter(torch.empty(classes, channels))
        nn.init.normal_(self.directions, std=0.01)

    def forward(self, features: Features) -> Tensor:
        """Return a vector per class, shape (batch, classes, channels), float32 or more."""
        positions = positions_of(features)
        with without_autocast(positions.device):
            directions = functional.normalize(self.directions, dim=-1)
            scores = torch.einsum("npd,kd->nkp", positions, directions)
            weights = attend(scores, self.temperature)
            attended = torch.einsum("nkp,npd->nkd", weights, positions)
        return positions.mean(dim=1)[:, None] + self.residual * attended

"""One vector per image: as the encoder pools, an average, a maximum, or what lies between."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colabel.models.features import Features
from colabel.models.part import Part
from colabel.models.pooling.base import Pooling, positions_of


class EncoderPooling(Pooling):
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


class AveragePooling(Pooling):
    r"""The mean over the positions of the feature map.

    .. math:: f = \frac1P \sum_p x_p

    Source: Lin, Chen and Yan 2014, "Network in network"; what most backbones end with.

    Example:
        >>> AveragePooling()(Features(None, torch.ones(2, 8, 4, 5))).shape
        torch.Size([2, 8])
    """

    def forward(self, features: Features) -> Tensor:
        """Return the vectors, shape (batch, channels), float32 or more."""
        return positions_of(features).mean(dim=1)


class MaxPooling(Pooling):
    r"""The largest value of each channel over the positions of the feature map.

    .. math:: f_d = \max_p x_{pd}

    Source: Oquab et al. 2015, "Is object localization for free?"; what ML-GCN (Chen et al. 2019)
    pools with, and without its graph the comparison that it has to stand.

    Example:
        >>> MaxPooling()(Features(None, torch.arange(6.0).view(1, 1, 2, 3)))
        tensor([[5.]])
    """

    def forward(self, features: Features) -> Tensor:
        """Return the vectors, shape (batch, channels), float32 or more."""
        return positions_of(features).amax(dim=1)


class GeneralisedMeanPooling(Pooling):
    r"""The generalised mean of each channel over the positions, with a learned exponent.

    .. math:: f_d = \Bigl( \frac1P \sum_p \max(x_{pd}, \varepsilon)^q \Bigr)^{1/q}

    Source: Radenović, Tolias and Chum 2019, "Fine-tuning CNN image retrieval with no human
    annotation", Eq. 3, with one exponent for all channels. An exponent of 1 is the average of
    what is positive, a large one the maximum.

    Args:
        exponent: q to begin with, at least 1. What is learned below 1 counts as 1, with the
            gradient that 1 has, so it comes back from there.

    Example:
        >>> pooling = GeneralisedMeanPooling(exponent=1.0)
        >>> pooling(Features(None, torch.arange(1.0, 5.0).view(1, 1, 2, 2))).item()
        2.5
    """

    smallest = 1e-6
    """Positive floor of a feature: a power of what is below 0 would be no number."""

    def __init__(self, exponent: float = 3.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.tensor(float(exponent)))

    def forward(self, features: Features) -> Tensor:
        """Return the vectors, shape (batch, channels), float32 or more."""
        positions = positions_of(features).clamp(min=self.smallest)
        exponent = self.exponent + (self.exponent.clamp(min=1) - self.exponent).detach()
        # through logarithms: a power of a large feature would overflow, one of a small vanish
        powers = exponent * positions.log()
        mean = powers.logsumexp(dim=1) - torch.log(powers.new_tensor(float(positions.shape[1])))
        return (mean / exponent).exp()

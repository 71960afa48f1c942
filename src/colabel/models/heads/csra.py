"""The head of class-specific residual attention (CSRA)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from colabel.models.features import Features
from colabel.models.heads.layers import check_sizes, without_autocast
from colabel.models.output import Output
from colabel.models.part import Part
from colabel.models.pooling.base import positions_of
from colabel.models.pooling.csra import attend


class CSRAHead(nn.Module):
    r"""Classifiers at each position, averaged, and added to what they say where they look.

    .. math::
        s_{hkp} = \frac{m_{hk}^T x_p}{\lVert m_{hk} \rVert}, \qquad
        \operatorname{logit}_k = \sum_h \Bigl[ \frac1P \sum_p s_{hkp}
        + \lambda \sum_p \operatorname{softmax}_p(T_h s_{hkp})\, s_{hkp} \Bigr]

    Source: Zhu and Wu 2021, "Residual attention: a simple but effective method for multi-label
    recognition", Eq. 4 to 8. A temperature of 99 is the maximum, as there. Logits are bounded by
    the length of the features, so they are calibrated afterwards (``colabel calibrate``).

    Args:
        channels: number of features d at each position.
        classes: number of classes K.
        temperatures: T of each head h, positive.
        residual: lambda, not negative.

    Raises:
        ConfigError: if a number is too small.

    Example:
        >>> head = CSRAHead(channels=8, classes=3, temperatures=(1, 99))
        >>> output = head(Features(None, torch.rand(2, 8, 4, 5)))
        >>> output.logits.shape, output.features.shape
        (torch.Size([2, 3]), torch.Size([2, 3, 8]))
    """

    reads: Part = "map"
    per_class = True

    def __init__(
        self,
        channels: int,
        classes: int,
        temperatures: tuple[float, ...] = (1.0,),
        residual: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(channels, classes)
        self.width = channels
        self.classes = classes
        self.temperatures = temperatures
        self.residual = residual
        self.classifiers = nn.Parameter(torch.empty(len(temperatures), classes, channels))
        nn.init.normal_(self.classifiers, std=0.01)

    def forward(self, features: Features) -> Output:
        """Return logits, in float32 also under autocast, and what each class looked at.

        Args:
            features: with a map.

        Returns:
            The features of a class are its average and what it attends to, as a mean over heads.
        """
        positions = positions_of(features)
        with without_autocast(positions.device):
            directions = functional.normalize(self.classifiers, dim=-1)
            scores = torch.einsum("npd,hkd->hnkp", positions, directions)
            weights = torch.stack(
                [attend(scores[h], each) for h, each in enumerate(self.temperatures)]
            )
            attended = (weights * scores).sum(dim=-1)
            logits = (scores.mean(dim=-1) + self.residual * attended).sum(dim=0)
            looked_at = torch.einsum("nkp,npd->nkd", weights.mean(dim=0), positions)
        return Output(positions.mean(dim=1)[:, None] + self.residual * looked_at, logits)

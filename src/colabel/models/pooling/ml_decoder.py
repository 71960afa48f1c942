"""ML-Decoder: fixed random queries, one for a class or for a group of classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from colabel.models.features import Features
from colabel.models.heads.attention import AttentionLayer
from colabel.models.heads.layers import apply_linear, without_autocast
from colabel.models.pooling.base import Pooling, positions_of

MOST_QUERIES = 100
"""Queries where nothing is said of them: that of the paper's group decoding."""


class MLDecoderPooling(Pooling):
    r"""One vector per class: what the query of its group saw in the feature map.

    .. math::
        t_p = \operatorname{ReLU}(W x_p + b), \quad
        q'_j = \operatorname{LN}(q_j + \operatorname{dropout}(q_j)), \quad
        f_k = \operatorname{Layer}(q'_{\lfloor k / g \rfloor}, t, t), \quad
        g = \lceil K / Q \rceil

    with one layer of attention and feed-forward
    (:class:`colabel.models.heads.attention.AttentionLayer`). Queries do not look at each other,
    and positions are not encoded. With a linear readout per class this is the paper's head: its
    group fully-connected layer gives each class of a group a vector of weights of its own. Which
    classes share a query follows from their order.

    Source: Ridnik, Sharir, Ben-Cohen, Ben-Baruch and Noy 2023, "ML-Decoder: scalable and versatile
    classification head", Sec. 3. The queries are random and never trained, as there.

    Args:
        channels: number of features d at each position.
        classes: number of classes K.
        queries: Q, at most K; ``None``: as many as classes, 100 at most.
        width: of queries and tokens.
        heads: of the attention; divides ``width``.
        hidden: nodes of the feed-forward network.
        dropout: probability.

    Example:
        >>> pooling = MLDecoderPooling(channels=8, classes=5, queries=2, width=16, heads=4)
        >>> features = pooling.eval()(Features(None, torch.rand(2, 8, 4, 5)))
        >>> features.shape, torch.equal(features[:, 0], features[:, 2])
        (torch.Size([2, 5, 16]), True)
    """

    per_class = True

    def __init__(
        self,
        channels: int,
        classes: int,
        queries: int | None = None,
        *,
        width: int = 768,
        heads: int = 8,
        hidden: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        number = min(classes, queries or MOST_QUERIES)
        self.classes = classes
        self.group = math.ceil(classes / number)
        number = math.ceil(classes / self.group)  # those without a class are not made
        self.width = width
        self.tokens = nn.Linear(channels, width)
        self.register_buffer("queries", torch.randn(number, width))
        self.queries: Tensor
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.layer = AttentionLayer(width, heads, hidden, dropout)

    def forward(self, features: Features) -> Tensor:
        """Return a vector per class, shape (batch, classes, width), float32 or more."""
        tokens = apply_linear(self.tokens, positions_of(features)).relu()
        with without_autocast(tokens.device):
            queries = self.queries.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
            queries = self.norm(queries + self.dropout(queries))
        groups: Tensor = self.layer(queries, tokens, tokens)
        shared = groups[:, :, None].expand(-1, -1, self.group, -1)
        return shared.flatten(1, 2)[:, : self.classes]

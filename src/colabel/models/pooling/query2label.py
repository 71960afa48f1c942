"""Query2Label: a learned query per class in a transformer decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colabel.models.features import Features
from colabel.models.heads.attention import AttentionLayer
from colabel.models.heads.layers import apply_linear, without_autocast
from colabel.models.pooling.base import Pooling, positions_of


class Query2LabelPooling(Pooling):
    r"""One vector per class: what its query saw in the feature map, in several layers.

    .. math::
        F_0 = W X + b, \quad F_{i} = \operatorname{Layer}(F_{i-1} + E, F_{i-1} + E, F_{i-1}),
        \quad
        Q_{j} = \operatorname{Layer}(Q_{j-1}, F + E, F), \quad f_k = Q_{L, k}

    with layers of attention and feed-forward
    (:class:`colabel.models.heads.attention.AttentionLayer`), positions encoded by sines E, and
    learned queries :math:`Q_0`. With a linear readout per class this is the paper's head.

    Source: Liu, Zhang, Yang, Su and Zhu 2021, "Query2Label: a simple transformer way to
    multi-label classification", Sec. 3.2 and 3.3: one layer for the map, two for the queries, four
    heads.

    Deviation: queries do not look at each other unless ``self_attention`` says so, which is what
    the authors released; the width is an option, and 512 by default instead of the backbone's.

    Args:
        channels: number of features at each position.
        classes: number of classes.
        width: of queries and tokens, even and a multiple of ``heads``.
        heads: of every attention.
        hidden: nodes of the feed-forward networks; ``None``: four times the width.
        encoder_layers: layers in which positions look at each other.
        decoder_layers: layers in which queries look at positions, at least 1.
        self_attention: whether queries look at each other before.
        dropout: probability.

    Example:
        >>> pooling = Query2LabelPooling(channels=8, classes=5, width=16)
        >>> pooling(Features(None, torch.rand(2, 8, 4, 5))).shape
        torch.Size([2, 5, 16])
    """

    per_class = True

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 512,
        heads: int = 4,
        hidden: int | None = None,
        encoder_layers: int = 1,
        decoder_layers: int = 2,
        self_attention: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList(
                AttentionLayer(width, heads, hidden or 4 * width, dropout) for _ in range(count)
            )

        self.width = width
        self.tokens = nn.Linear(channels, width)
        self.queries = nn.Parameter(torch.randn(classes, width))
        self.encoder = layers(encoder_layers)
        self.decoder = layers(decoder_layers)
        self.among = nn.ModuleList(
            nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
            for _ in range(decoder_layers if self_attention else 0)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.among)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features) -> Tensor:
        """Return a vector per class, shape (batch, classes, width), float32 or more."""
        rows, columns = features.map.shape[2:]
        tokens = apply_linear(self.tokens, positions_of(features))
        places = encode_positions(rows, columns, self.width, like=tokens)
        for layer in self.encoder:
            placed = tokens + places
            tokens = layer(tokens, placed, tokens, looking=placed)
        queries = self.queries.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        for number, layer in enumerate(self.decoder):
            if self.among:
                with without_autocast(queries.device):
                    seen, _ = self.among[number](queries, queries, queries, need_weights=False)
                    queries = self.norms[number](queries + self.dropout(seen))
            queries = layer(queries, tokens + places, tokens)
        return queries


def encode_positions(rows: int, columns: int, width: int, *, like: Tensor) -> Tensor:
    r"""Return sines and cosines of the row in one half, of the column in the other.

    .. math::
        e_{2i}(t) = \sin\bigl(t \cdot 10000^{-2i / (d / 2)}\bigr), \quad
        e_{2i+1}(t) = \cos\bigl(t \cdot 10000^{-2i / (d / 2)}\bigr), \qquad
        t = 2 \pi \frac{place + 1}{places}

    Source: Carion et al. 2020, "End-to-end object detection with transformers" (DETR), which
    Query2Label follows: places are brought to 0 to :math:`2 \pi`, whatever the size of the map.

    Args:
        rows: of the map.
        columns: of the map.
        width: number of features d, even.
        like: whose type and device the result has.

    Returns:
        Shape (rows * columns, width).

    Example:
        >>> encode_positions(2, 3, 8, like=torch.zeros(1)).shape
        torch.Size([6, 8])
    """
    half = width // 2
    steps = torch.arange(half, device=like.device)
    rates = 10_000 ** (-2 * (steps // 2) / half)
    halves = []
    for places in (rows, columns):
        turns = 2 * torch.pi * torch.arange(1, places + 1, device=like.device) / places
        angles = turns[:, None] * rates
        halves.append(torch.where(steps % 2 == 0, angles.sin(), angles.cos()))
    of_rows = halves[0][:, None].expand(-1, columns, -1)
    of_columns = halves[1][None].expand(rows, -1, -1)
    return torch.cat([of_rows, of_columns], dim=-1).flatten(0, 1).to(like.dtype)

"""The layer that decoders of label queries are made of: attention, then a small network."""

from __future__ import annotations

from torch import Tensor, nn

from colabel.models.heads.layers import without_autocast


class AttentionLayer(nn.Module):
    r"""Queries look at tokens, and what they saw passes two layers; a norm after either.

    .. math::
        u = \operatorname{LN}(q + \operatorname{dropout}(\operatorname{MultiHead}(q', k, v))),
        \qquad
        \operatorname{out} = \operatorname{LN}(u + \operatorname{dropout}(W_2
        \operatorname{dropout}(\operatorname{ReLU}(W_1 u + b_1)) + b_2))

    Source: Vaswani et al. 2017, "Attention is all you need", with the norms where they have them.

    Args:
        width: of queries and tokens.
        heads: of the attention; divides ``width``.
        hidden: nodes between the two layers.
        dropout: probability, of attention weights too.

    Example:
        >>> import torch
        >>> layer = AttentionLayer(width=8, heads=2, hidden=16, dropout=0.1)
        >>> tokens = torch.rand(2, 5, 8)
        >>> layer(torch.rand(2, 3, 8), tokens, tokens).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, width)
        self.norm_attended = nn.LayerNorm(width)
        self.norm_out = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, *, looking: Tensor | None = None
    ) -> Tensor:
        """Return the queries after they have looked, shape (batch, queries, width).

        Args:
            queries: shape (batch, queries, width).
            keys: of the tokens, shape (batch, tokens, width).
            values: of the tokens, the same shape.
            looking: what the queries look with, where it is not the queries themselves.
        """
        with without_autocast(queries.device):
            asked = queries if looking is None else looking
            seen, _ = self.attention(asked, keys, values, need_weights=False)
            queries = self.norm_attended(queries + self.dropout(seen))
            between = self.dropout(self.first(queries).relu())
            out: Tensor = self.norm_out(queries + self.dropout(self.second(between)))
            return out

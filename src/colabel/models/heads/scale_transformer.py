"""A transformer encoder over the positions of a map, one for maps of several sizes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.errors import ConfigError

LAYERS = 3
ATTENTION_HEADS = 4
MOST_POSITIONS = 64
"""Largest side of a map that has positions: 1024 pixels at every sixteenth."""


class ScaleTransformer(nn.Module):
    r"""Three layers of self-attention over the positions of a map, normalised after each step.

    .. math:: t \leftarrow \mathrm{LN}(t + \mathrm{attention}(t)), \quad
              t \leftarrow \mathrm{LN}(t + U_2 \operatorname{ReLU}(U_1 t + b_1) + b_2)

    A learned vector per row and one per column, side by side, are added to the map before.

    Source: TDRG, Sec. 3 (transformer unit).

    Args:
        width: features at each position, a multiple of 4, the number of attention heads. The
            feed-forward network has four times as many.
        dropout: after attention and within and after the network, in [0, 1).

    Example:
        >>> ScaleTransformer(8)(torch.rand(2, 8, 3, 5)).shape
        torch.Size([2, 8, 3, 5])
    """

    def __init__(self, width: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.row_positions = nn.Parameter(torch.empty(MOST_POSITIONS, width // 2))
        self.column_positions = nn.Parameter(torch.empty(MOST_POSITIONS, width // 2))
        for positions in (self.row_positions, self.column_positions):
            nn.init.normal_(positions, std=0.02)
        self.layers = nn.ModuleList(TransformerLayer(width, dropout) for _ in range(LAYERS))

    def forward(
        self, features: Float[Tensor, "batch width height columns"]
    ) -> Float[Tensor, "batch width height columns"]:
        """Return the features of every position after the last layer.

        Raises:
            ConfigError: if the map has more than 64 positions a side.
        """
        height, columns = features.shape[2:]
        if max(height, columns) > MOST_POSITIONS:
            raise ConfigError(
                f"the head tdrg has {MOST_POSITIONS} positions a side, got a map of {height} x "
                f"{columns}; take a smaller data.image_size."
            )
        rows = self.row_positions[:height, None].expand(-1, columns, -1)
        along = self.column_positions[None, :columns].expand(height, -1, -1)
        positions = torch.cat([rows, along], dim=2).flatten(0, 1)
        tokens = features.flatten(2).transpose(1, 2) + positions
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.transpose(1, 2).reshape(features.shape)


class TransformerLayer(nn.Module):
    """One layer of :class:`ScaleTransformer`.

    Args:
        width: features of a token, a multiple of 4.
        dropout: in [0, 1).

    Example:
        >>> TransformerLayer(8, 0.1)(torch.rand(2, 15, 8)).shape
        torch.Size([2, 15, 8])
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.inputs = nn.Linear(width, 3 * width)
        self.outputs = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, 4 * width)
        self.second = nn.Linear(4 * width, width)
        self.network_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Float[Tensor, "batch positions width"]
    ) -> Float[Tensor, "batch positions width"]:
        """Return the tokens after attention and network."""
        attended = self.dropout(self.outputs(self._attend(tokens)))
        tokens = self.attention_norm(tokens + attended)
        hidden = self.dropout(functional.relu(self.first(tokens)))
        normalised: Tensor = self.network_norm(tokens + self.dropout(self.second(hidden)))
        return normalised

    def _attend(self, tokens: Tensor) -> Tensor:
        shape = (*tokens.shape[:2], 3, ATTENTION_HEADS, -1)
        query, key, value = self.inputs(tokens).view(shape).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout.p if self.training else 0.0
        )
        return attended.transpose(1, 2).flatten(2)

"""TDRG: a transformer over three scales, and a graph of the labels for each image."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.errors import ConfigError
from colabel.models.heads.layers import check_map, check_sizes, without_autocast
from colabel.models.heads.scale_transformer import ScaleTransformer
from colabel.models.part import Part

TOP_SHARE = 0.05
"""Share of the positions whose mean is a label's logit in the semantic branch."""
GRAPH_SHARE = 0.3
"""Weight of the graph's logits in the answer."""
SMALLEST_MAP = 3
"""Positions a side of the last stage, from which a convolution of 3 x 3 makes the third scale."""


class TransformerGraphHead(nn.Module):
    r"""Logits of a transformer over three scales and of a graph of the labels, 0.7 to 0.3.

    Three scales :math:`F_i` of the last two stages C4 and C5 look at each other and pass the same
    transformer; their maxima give :math:`s^{trans}`. The map :math:`M = \mathrm{conv}(C5)` of each
    label collects the features of a node per label, and nodes exchange what they know:

    .. math::
        V &= [\,\mathrm{conv}(C5)\,\sigma(M)^T;\ \mathrm{conv}(F_2\,\sigma(M)^T)\,], \qquad
        A = \sigma(\mathrm{conv}([\,g;\ V\,])) \\
        G &= V + \operatorname{LeakyReLU}(\mathrm{conv}(\operatorname{LeakyReLU}(V A))), \qquad
        s^{graph}_c = w_c^T G_c + b_c \\
        s &= 0.7\, s^{trans} + 0.3\, s^{graph}

    with g, the averages of the three scales, normalised over the batch, for every label. A third
    set of logits, the mean of the highest twentieth of M, is for training alone. No gradient goes
    back through :math:`F_2` and g.

    Source: TDRG (Zhao et al., ICCV 2021), Sec. 3.

    Deviation: an image alone in a batch is normalised by the running statistics, also in
    training, since one vector has no variance. Slopes of LeakyReLU are 0.2 throughout. Scales are
    resized bilinearly, positions added once, before the first layer. All layers start like linear
    ones.

    Args:
        previous_channels: features at each position of C4, the stage before the last.
        channels: those of C5, the last stage.
        classes: number of labels.
        width: features of each scale, a multiple of 4; 512 in the paper.
        dropout: of the transformer, in [0, 1).

    Raises:
        ConfigError: if a number is out of range.

    Example:
        >>> head = TransformerGraphHead(6, 8, classes=3, width=16)
        >>> vectors, logits, auxiliary = head(torch.rand(2, 6, 8, 8), torch.rand(2, 8, 4, 4))
        >>> vectors.shape, logits.shape, auxiliary.shape
        (torch.Size([2, 48]), torch.Size([2, 3]), torch.Size([2, 3, 3]))
    """

    reads: Part = "maps"

    def __init__(
        self,
        previous_channels: int,
        channels: int,
        classes: int,
        *,
        width: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(min(previous_channels, channels), classes)
        if width < 4 or width % 4:
            raise ConfigError(f"width must be a positive multiple of 4, got {width}.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {dropout}.")
        self.classes = classes
        self.width = 3 * width
        self.previous_channels, self.channels = previous_channels, channels
        self.scales = nn.ModuleList(
            [
                nn.Conv2d(previous_channels, width, 1),
                nn.Conv2d(channels, width, 1),
                nn.Conv2d(channels, width, 3, stride=2),
            ]
        )
        self.transformer = ScaleTransformer(width, dropout=dropout)
        self.transformer_classifier = nn.Linear(3 * width, classes)
        self.class_map = nn.Conv2d(channels, classes, 1, bias=False)
        self.semantic_nodes = nn.Conv2d(channels, width, 1)
        self.scale_nodes = nn.Conv1d(width, width, 1)
        self.context = nn.Linear(3 * width, 3 * width)
        self.context_norm = nn.BatchNorm1d(3 * width)
        self.relations = nn.Conv1d(5 * width, classes, 1)
        self.exchange = nn.Conv1d(2 * width, 2 * width, 1)
        self.graph_classifier = nn.Linear(2 * width, classes)

    def forward(
        self,
        previous: Float[Tensor, "batch previous_channels previous_height previous_width"],
        last: Float[Tensor, "batch channels height width"],
    ) -> tuple[
        Float[Tensor, "batch vector"],
        Float[Tensor, "batch classes"],
        Float[Tensor, "batch 3 classes"],
    ]:
        """Return the pooled scales, the logits s, and the three sets of logits behind them.

        Args:
            previous: C4, shape (batch, previous_channels, height, width).
            last: C5, shape (batch, channels, height, width), at least 3 x 3 positions.

        Returns:
            Computed in float32 also under autocast: vectors (batch, 3 * width), logits (batch,
            classes), and the logits of transformer, graph and semantic branch (batch, 3, classes).
        """
        check_map(previous, self.previous_channels)
        check_map(last, self.channels)
        check_positions(tuple(last.shape[2:]))
        dtype = torch.promote_types(last.dtype, torch.float32)
        previous, last = previous.to(dtype), last.to(dtype)
        with without_autocast(last.device):
            sources = (previous, last, last)
            scales = [layer(source) for layer, source in zip(self.scales, sources, strict=True)]
            scales = [self.transformer(scale) for scale in attend_across_scales(scales)]
            vectors = torch.cat([scale.amax(dim=(2, 3)) for scale in scales], dim=1)
            of_transformer = self.transformer_classifier(vectors)
            class_map = self.class_map(last).flatten(2)
            of_semantics = mean_of_highest(class_map)
            of_graph = self._graph_logits(last, class_map, [scale.detach() for scale in scales])
            logits = (1 - GRAPH_SHARE) * of_transformer + GRAPH_SHARE * of_graph
            return vectors, logits, torch.stack((of_transformer, of_graph, of_semantics), dim=1)

    def _graph_logits(self, last: Tensor, class_map: Tensor, scales: list[Tensor]) -> Tensor:
        """Return the logits of the nodes, shape (batch, classes)."""
        weights = class_map.sigmoid().transpose(1, 2)  # (batch, positions, classes)
        collected = scales[1].flatten(2) @ weights.detach()
        nodes = torch.cat(
            [self.semantic_nodes(last).flatten(2) @ weights, self.scale_nodes(collected)], dim=1
        )
        means = torch.cat([scale.mean(dim=(2, 3)) for scale in scales], dim=1)
        context = functional.leaky_relu(self._normalise(self.context(means)), 0.2)
        context = context[:, :, None].expand(-1, -1, self.classes)
        graph = self.relations(torch.cat([context, nodes], dim=1)).sigmoid()
        told = functional.leaky_relu(nodes @ graph, 0.2)
        nodes = nodes + functional.leaky_relu(self.exchange(told), 0.2)
        weight, bias = self.graph_classifier.weight, self.graph_classifier.bias
        return torch.einsum("kd,ndk->nk", weight, nodes) + bias

    def _normalise(self, vectors: Tensor) -> Tensor:
        norm = self.context_norm
        if norm.training and len(vectors) == 1 and type(norm) is nn.BatchNorm1d:
            return functional.batch_norm(
                vectors,
                norm.running_mean,
                norm.running_var,
                norm.weight,
                norm.bias,
                training=False,
                eps=norm.eps,
            )
        normalised: Tensor = norm(vectors)
        return normalised


def check_positions(positions: tuple[int, ...]) -> None:
    """Raise ConfigError for a last stage too small for the third scale."""
    if min(positions) < SMALLEST_MAP:
        raise ConfigError(
            f"the head tdrg needs {SMALLEST_MAP} x {SMALLEST_MAP} positions of the last stage for "
            f"its third scale, got {' x '.join(map(str, positions))}; take a larger "
            "data.image_size."
        )


def attend_across_scales(scales: list[Tensor]) -> list[Tensor]:
    r"""Return each scale with what all three have in common.

    .. math:: F_i' = \mathrm{resize}_i(U_i + U_1 \odot U_2 \odot U_3), \quad
              U_i = \mathrm{resize}_1(F_i)

    Source: TDRG, Sec. 3 (cross-scale attention).

    Args:
        scales: largest first, shape (batch, width, height, width of the map) each.

    Returns:
        The same shapes.

    Example:
        >>> scales = [torch.full((1, 1, side, side), 2.0) for side in (4, 2, 1)]
        >>> [scale.unique().item() for scale in attend_across_scales(scales)]
        [10.0, 10.0, 10.0]
    """
    enlarged = [_resize(scale, scales[0]) for scale in scales]
    common = enlarged[0] * enlarged[1] * enlarged[2]
    return [_resize(large + common, scale) for large, scale in zip(enlarged, scales, strict=True)]


def _resize(given: Tensor, like: Tensor) -> Tensor:
    if given.shape[2:] == like.shape[2:]:
        return given
    return functional.interpolate(given, size=like.shape[2:], mode="bilinear", align_corners=False)


def mean_of_highest(class_map: Float[Tensor, "batch classes positions"]) -> Tensor:
    """Return the mean of each label's highest twentieth of positions, of one at least.

    Source: TDRG, Sec. 3 (semantic branch).

    Example:
        >>> mean_of_highest(torch.arange(40.0)[None, None])
        tensor([[38.5000]])
    """
    count = max(1, int(TOP_SHARE * class_map.shape[2]))
    return class_map.topk(count, dim=2).values.mean(dim=2)

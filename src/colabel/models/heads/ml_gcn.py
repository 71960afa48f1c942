"""ML-GCN: the classifiers of all labels are made from a graph of the labels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.models.heads.layers import check_map, check_sizes, without_autocast
from colabel.models.part import Part


class GraphConvolutionHead(nn.Module):
    r"""One classifier per label, made by two graph layers, on the largest feature over positions.

    .. math:: f = \max_p x_p, \qquad s = W f, \qquad
              W = \hat A\, \operatorname{LeakyReLU}_{0.2}(\hat A H U_1)\, U_2

    with a vector per label in the rows of H, and the graph :math:`\hat A` of
    :func:`colabel.models.heads.label_graph`.

    Source: ML-GCN (Chen et al., CVPR 2019), Eq. 2 to 4 and Fig. 2.

    Deviation: the vectors may be learned, or one per label and nothing else; the paper takes
    GloVe. W starts with values as large as those of a linear layer; of layers that start like
    linear ones it is ten times as large, and logits of 20 have to be unlearned first.

    Args:
        channels: number of features d at each position.
        graph: of the labels, shape (classes, classes); saved with the weights.
        vectors: H, shape (classes, width), fixed and saved with the weights; an integer: learned
            vectors of this width; ``None``: the unit vectors (one-hot), for which H U_1 = U_1.
        hidden: width between the layers; 1024 in the paper.

    Raises:
        ConfigError: if a number is too small.

    Example:
        >>> head = GraphConvolutionHead(8, torch.eye(3), 5, hidden=6)
        >>> vectors, logits = head(torch.rand(2, 8, 4, 4))
        >>> vectors.shape, logits.shape
        (torch.Size([2, 8]), torch.Size([2, 3]))
        >>> torch.allclose(head.folded()(torch.ones(2, 8, 4, 4))[1], head.classifiers().sum(1))
        True
    """

    reads: Part = "map"
    graph: Tensor
    vectors: Tensor | None

    def __init__(
        self,
        channels: int,
        graph: Float[Tensor, "classes classes"],
        vectors: Float[Tensor, "classes width"] | int | None,
        *,
        hidden: int = 1024,
    ) -> None:
        super().__init__()
        classes = len(graph)
        check_sizes(min(channels, hidden), classes)
        self.width = channels
        self.classes = classes
        self.register_buffer("graph", graph)
        if isinstance(vectors, int):
            self.vectors = nn.Parameter(torch.empty(classes, vectors))
            nn.init.normal_(self.vectors)
        else:
            self.register_buffer("vectors", vectors)
        width = classes if self.vectors is None else self.vectors.shape[1]
        self.first = nn.Linear(width, hidden, bias=False)
        self.second = nn.Linear(hidden, channels, bias=False)
        with torch.no_grad():
            size = self.classifiers().square().mean().sqrt()
            if size > 0:  # graph and vectors may come later, with the weights
                self.second.weight.mul_((3 * channels) ** -0.5 / size)

    def classifiers(self) -> Float[Tensor, "classes channels"]:
        """Return W, which does not depend on the image, in float32 or float64."""
        with without_autocast(self.graph.device):
            first = self.first.weight
            given = first.T if self.vectors is None else self.vectors @ first.T
            hidden = functional.leaky_relu(self.graph @ given, 0.2)
            return self.graph @ (hidden @ self.second.weight.T)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch classes"]]:
        """Return f and the logits s, computed in float32 also under autocast.

        Args:
            features: at each position, shape (batch, channels, height, width).
        """
        return _apply(self.classifiers(), features)

    def folded(self) -> "FoldedGraphHead":
        """Return the head for inference: W as it is now, and no graph."""
        with torch.no_grad():
            return FoldedGraphHead(self.classifiers().detach().clone())


class FoldedGraphHead(nn.Module):
    """The classifiers that a :class:`GraphConvolutionHead` came to, as one linear layer.

    Args:
        weight: W, shape (classes, channels).

    Example:
        >>> FoldedGraphHead(torch.ones(3, 8))(torch.ones(2, 8, 4, 4))[1][0]
        tensor([8., 8., 8.])
    """

    reads: Part = "map"
    weight: Tensor

    def __init__(self, weight: Float[Tensor, "classes channels"]) -> None:
        super().__init__()
        self.classes, self.width = weight.shape
        self.register_buffer("weight", weight)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch classes"]]:
        """Return f and the logits s, computed in float32 also under autocast."""
        return _apply(self.weight, features)


def _apply(weight: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    check_map(features, weight.shape[1])
    largest = features.to(torch.promote_types(features.dtype, torch.float32)).amax(dim=(2, 3))
    with without_autocast(features.device):
        return largest, functional.linear(largest, weight)

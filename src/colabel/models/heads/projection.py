"""From features to the embeddings that a contrastive loss compares."""

from typing import get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.choices import ProjectionKind
from colabel.models.heads.layers import apply_linear, check_choice, check_features, check_sizes


class Projection(nn.Module):
    r"""A linear layer, or two with a ReLU between them, in float32 also under autocast.

    .. math:: z = W_2 \max(W_1 f + b_1, 0) + b_2

    Source: Khosla et al., *Supervised Contrastive Learning*, arXiv:2004.11362: a projection that
    is trained with the loss and then dropped, linear or with one hidden layer.

    Deviation: the hidden layer is as wide as the features.

    Args:
        width: number of features.
        projection_width: of the embeddings.
        kind: "linear" or "mlp".

    Raises:
        ConfigError: if the kind is unknown or a number too small.

    Example:
        >>> import torch
        >>> projection = Projection(width=16, projection_width=4)
        >>> projection(torch.rand(2, 16)).shape, projection(torch.rand(2, 3, 16)).shape
        (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self, width: int, projection_width: int = 256, kind: ProjectionKind = "mlp"
    ) -> None:
        super().__init__()
        check_sizes(width, projection_width)
        check_choice("projection", kind, get_args(ProjectionKind))
        self.width = width
        self.hidden = nn.Linear(width, width) if kind == "mlp" else None
        self.output = nn.Linear(width, projection_width)

    def forward(
        self, features: Float[Tensor, "batch *classes width"]
    ) -> Float[Tensor, "batch projection_width"]:
        """Return one embedding per image, of any length.

        Args:
            features: shape (batch, width); or (batch, classes, width) where each class has its
                own, of which the mean is taken.
        """
        values = mean_over_classes(features)
        check_features(values, self.width)
        if self.hidden is not None:
            values = functional.relu(apply_linear(self.hidden, values))
        return apply_linear(self.output, values)


def mean_over_classes(
    features: Float[Tensor, "batch *classes width"],
) -> Float[Tensor, "batch width"]:
    """Return one vector per image, also where each class has its own."""
    return features.mean(dim=1) if features.ndim == 3 else features

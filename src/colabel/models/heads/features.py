"""The head that only hands on what was pooled."""

from jaxtyping import Float
from torch import Tensor, nn

from colabel.models.heads.layers import check_features, check_sizes


class FeaturesHead(nn.Module):
    """No answer and no parameters: for training that compares embeddings of the features.

    Args:
        width: number of features M.
        classes: number of classes K.

    Raises:
        ConfigError: if a number is too small.

    Example:
        >>> import torch
        >>> FeaturesHead(width=16, classes=3)(torch.rand(2, 16)) is None
        True
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        check_sizes(width, classes)
        self.width = width
        self.classes = classes

    def forward(self, features: Float[Tensor, "batch *classes width"]) -> None:
        """Check the features, shape (batch, width) or (batch, classes, width); answer nothing."""
        check_features(features, self.width, self.classes)

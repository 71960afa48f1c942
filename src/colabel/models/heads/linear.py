"""The head of ordinary classifiers."""

from jaxtyping import Float
from torch import Tensor, nn

from colabel.models.heads.layers import apply_per_class, check_features, check_sizes


class LinearHead(nn.Module):
    """One logit per class, linear in the features: the head of ordinary classifiers.

    Args:
        width: number of features M.
        classes: number of classes K.

    Raises:
        ConfigError: if a number is too small.

    Example:
        >>> import torch
        >>> head = LinearHead(width=16, classes=3)
        >>> head(torch.rand(2, 16)).shape, head(torch.rand(2, 3, 16)).shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        check_sizes(width, classes)
        self.width = width
        self.classes = classes
        self.weight_layer = nn.Linear(width, classes)

    def forward(
        self, features: Float[Tensor, "batch *classes width"]
    ) -> Float[Tensor, "batch outputs"]:
        """Return the logits, shape (batch, classes), computed in float32 also under autocast.

        Args:
            features: shape (batch, width), or (batch, classes, width) where each class has its
                own.
        """
        check_features(features, self.width, self.classes)
        return apply_per_class(self.weight_layer, features)

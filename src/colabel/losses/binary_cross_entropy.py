"""Binary cross-entropy with unknown labels."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional


def binary_cross_entropy(
    logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy over images and labels; an unknown label adds 0.

    Args:
        logits: log-odds, shape (batch, classes).
        targets: 1 present, 0 absent, -1 unknown; the same shape.

    Returns:
        A scalar, at least 0.

    Example:
        >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1, -1]]))
        tensor(0.3466)
    """
    known = targets >= 0
    each = functional.binary_cross_entropy_with_logits(
        logits, (targets == 1).to(logits.dtype), reduction="none"
    )
    return torch.where(known, each, 0.0).mean()


class BinaryCrossEntropyLoss(nn.Module):
    """:func:`binary_cross_entropy` as a module.

    Example:
        >>> BinaryCrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(0.6931)
    """

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return binary_cross_entropy(logits, targets)

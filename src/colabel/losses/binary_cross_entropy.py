"""Binary cross-entropy with unknown labels."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from colabel.losses.arguments import at_least_float32


def binary_cross_entropy(
    logits: Float[Tensor, "batch classes"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    label_smoothing: float = 0,
) -> Float[Tensor, ""]:
    r"""Return the mean binary cross-entropy over images and labels; an unknown label adds 0.

    .. math:: -\frac{1}{NK}\sum_{n,k} t_{nk}\log\pi_{nk} + (1-t_{nk})\log(1-\pi_{nk}),
              \quad t = (1 - s)\,y + s/2

    Args:
        logits: log-odds of pi, shape (batch, classes).
        targets: y, 1 present, 0 absent, -1 unknown; the same shape.
        label_smoothing: s, the part of every target that is one half instead, in [0, 1).

    Returns:
        A scalar, at least 0, float32 or float64.

    Raises:
        ValueError: if ``label_smoothing`` is out of range.

    Example:
        >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1, -1]]))
        tensor(0.3466)
    """
    check_smoothing(label_smoothing)
    known = targets >= 0
    logits = at_least_float32(logits)
    smoothed = (1 - label_smoothing) * (targets == 1).to(logits.dtype) + label_smoothing / 2
    each = functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
    return torch.where(known, each, 0.0).mean()


def check_smoothing(label_smoothing: float) -> None:
    """Raise ValueError for a share that is none."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}.")


class BinaryCrossEntropyLoss(nn.Module):
    """:func:`binary_cross_entropy` as a module.

    Args:
        label_smoothing: the part of every target that is one half instead, in [0, 1).

    Raises:
        ValueError: if ``label_smoothing`` is out of range.

    Example:
        >>> BinaryCrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor(0.6931)
    """

    def __init__(self, label_smoothing: float = 0) -> None:
        super().__init__()
        check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return binary_cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

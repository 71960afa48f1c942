"""The loss of heads that answer in several branches, each of which is trained on the labels."""

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from colabel.losses.binary_cross_entropy import binary_cross_entropy, check_smoothing


def deep_supervision(
    auxiliary: Float[Tensor, "batch branches classes"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    label_smoothing: float = 0,
) -> Float[Tensor, ""]:
    r"""Return the binary cross-entropy of every branch, added up.

    .. math:: \sum_b \mathrm{BCE}(s_b, y)

    Source: TDRG (Zhao et al., ICCV 2021), Sec. 3: with the cross-entropy of the answer itself,
    four terms of one weight; each is the multi-label soft margin, which is :func:`colabel.losses
    .binary_cross_entropy`.

    Deviation: an unknown label adds 0.

    Args:
        auxiliary: logits s_b of the branches, shape (batch, branches, classes).
        targets: y, 1 present, 0 absent, -1 unknown; shape (batch, classes).
        label_smoothing: the part of every target that is one half instead, in [0, 1).

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: if ``label_smoothing`` is out of range.

    Example:
        >>> import torch
        >>> deep_supervision(torch.zeros(1, 3, 2), torch.tensor([[1, -1]]))
        tensor(1.0397)
    """
    batch, branches, classes = auxiliary.shape
    every = targets[:, None].expand(-1, branches, -1).reshape(batch * branches, classes)
    mean = binary_cross_entropy(auxiliary.flatten(0, 1), every, label_smoothing=label_smoothing)
    return branches * mean


class DeepSupervisionLoss(nn.Module):
    """:func:`deep_supervision` as a module.

    Args:
        label_smoothing: the part of every target that is one half instead, in [0, 1).

    Raises:
        ValueError: if ``label_smoothing`` is out of range.

    Example:
        >>> import torch
        >>> DeepSupervisionLoss()(torch.zeros(1, 3, 2), torch.tensor([[1, 0]]))
        tensor(2.0794)
    """

    def __init__(self, label_smoothing: float = 0) -> None:
        super().__init__()
        check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing

    def forward(
        self,
        auxiliary: Float[Tensor, "batch branches classes"],
        targets: Shaped[Tensor, "batch classes"],
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return deep_supervision(auxiliary, targets, label_smoothing=self.label_smoothing)

"""The focal loss: labels that are answered well already count little."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from colabel.losses.arguments import at_least_float32, check_classes


def focal_loss(
    logits: Float[Tensor, "batch classes"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    gamma: float = 2,
    alpha: float | None = 0.25,
) -> Float[Tensor, "batch"]:
    r"""Return the focal loss of each image, summed over its classes.

    .. math:: \sum_k -\alpha_k\,(1 - p_k)^{\gamma}\log p_k, \qquad
              p_k = \begin{cases}\pi_k & y_k = 1\\ 1-\pi_k & y_k = 0\end{cases}, \quad
              \alpha_k = \begin{cases}\alpha & y_k = 1\\ 1-\alpha & y_k = 0\end{cases}

    Source: Lin et al., *Focal Loss for Dense Object Detection*, arXiv:1708.02002, the form with
    alpha. Both powers and logarithms come from the logits, so that nothing is rounded to 0 or 1.

    Deviation: the sum runs over the labels of an image, where the paper has the anchors of a
    detector. An unknown label adds 0.

    Args:
        logits: log-odds of pi, shape (batch, classes), any real number.
        targets: y, 1 present, 0 absent, -1 unknown; the shape of ``logits``.
        gamma: focusing power, at least 0; 0 leaves the weighted cross-entropy.
        alpha: weight of present labels, in [0, 1]; absent ones weigh 1 - alpha. ``None`` weighs
            neither.

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if the shapes differ or a number is out of range.

    Example:
        >>> focal_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor([0.1733])
    """
    check_classes(logits, targets)
    _check_settings(gamma, alpha)
    present = targets == 1
    known = present | (targets == 0)
    # the log-odds of the given answer, so that both kinds of labels are one formula
    answer = at_least_float32(torch.where(present, logits, -logits).masked_fill(~known, 0))
    value = -functional.logsigmoid(answer)
    if gamma:
        value = value * (gamma * functional.logsigmoid(-answer)).exp()
    if alpha is not None:
        value = torch.where(present, alpha * value, (1 - alpha) * value)
    return value.masked_fill(~known, 0).sum(dim=1)


class FocalLoss(nn.Module):
    """Batch mean of :func:`focal_loss`.

    Source: Lin et al., arXiv:1708.02002.

    Args:
        gamma: focusing power, at least 0.
        alpha: weight of present labels, in [0, 1]; ``None`` weighs neither kind.

    Raises:
        ValueError: if a number is out of range.

    Example:
        >>> FocalLoss()(torch.zeros(2, 2), torch.tensor([[1, 0], [1, -1]]))
        tensor(0.1083)
    """

    def __init__(self, gamma: float = 2, alpha: float | None = 0.25) -> None:
        super().__init__()
        _check_settings(gamma, alpha)
        self.gamma = gamma
        self.alpha = alpha

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return focal_loss(logits, targets, gamma=self.gamma, alpha=self.alpha).mean()


def _check_settings(gamma: float, alpha: float | None) -> None:
    if not 0 <= gamma < float("inf"):
        raise ValueError(f"gamma must be at least 0, got {gamma}.")
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1, or None, got {alpha}.")

"""ZLPR: present labels above zero, absent ones below, all labels of an image in one term."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from colabel.losses.arguments import at_least_float32, check_classes


def zlpr_loss(
    logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
) -> Float[Tensor, "batch"]:
    r"""Return the zero-bounded log-sum-exp and pairwise rank loss of each image.

    .. math:: \log\Bigl(1 + \sum_{k:\,y_k=0} e^{s_k}\Bigr)
              + \log\Bigl(1 + \sum_{k:\,y_k=1} e^{-s_k}\Bigr)

    A label is predicted where its logit is above 0, whatever the number of labels.

    Source: Su et al., *ZLPR: A Novel Loss for Multi-label Classification*, arXiv:2208.02955.

    Deviation: an unknown label is in neither sum.

    Args:
        logits: s, shape (batch, classes), any real number.
        targets: y, 1 present, 0 absent, -1 unknown; the shape of ``logits``.

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> zlpr_loss(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))
        tensor([1.7918])
    """
    check_classes(logits, targets)
    logits = at_least_float32(logits)
    return _log_one_plus_sum(logits, targets == 0) + _log_one_plus_sum(-logits, targets == 1)


def _log_one_plus_sum(values: Tensor, counted: Tensor) -> Tensor:
    """Return log(1 + sum of exp) over the entries that count, per row; 0 where none does."""
    exponents = values.masked_fill(~counted, -torch.inf)
    zero = exponents.new_zeros(len(exponents), 1)
    return torch.cat([exponents, zero], dim=1).logsumexp(dim=1)


class ZLPRLoss(nn.Module):
    """Batch mean of :func:`zlpr_loss`.

    Source: Su et al., arXiv:2208.02955.

    Example:
        >>> ZLPRLoss()(torch.zeros(2, 1), torch.tensor([[1], [-1]]))
        tensor(0.3466)
    """

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return zlpr_loss(logits, targets).mean()

"""The two-way loss: present labels above absent ones, along images and along labels."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from colabel.losses.arguments import at_least_float32, check_classes, check_positive


def two_way_loss(
    logits: Float[Tensor, "batch classes"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    temperature_positive: float = 4,
    temperature_negative: float = 1,
) -> Float[Tensor, ""]:
    r"""Return the two-way multi-label loss of a batch: a mean over rows and one over columns.

    .. math:: \frac{1}{|R|}\sum_{n\in R} \ell(s_{n\cdot}, y_{n\cdot})
              + \frac{1}{|C|}\sum_{k\in C} \ell(s_{\cdot k}, y_{\cdot k})

    .. math:: \ell(s, y) = \operatorname{softplus}\Bigl(
              T_n \log\sum_{y_j=0} e^{s_j/T_n} + T_p \log\sum_{y_j=1} e^{-s_j/T_p}\Bigr)

    with the rows R (images) and the columns C (labels of the batch) that have a present label.
    Adding one number to all logits changes nothing, so they rank and have no natural threshold.

    Source: Kobayashi, *Two-Way Multi-Label Loss*, CVPR 2023.

    Deviation: an unknown label is in no sum. A row or column without an absent label is worth 0,
    which is the formula with the logarithm of an empty sum, minus infinity; it counts in the mean.

    Args:
        logits: s, shape (batch, classes), any real number; columns need the whole batch.
        targets: y, 1 present, 0 absent, -1 unknown; the shape of ``logits``.
        temperature_positive: T_p, positive.
        temperature_negative: T_n, positive.

    Returns:
        A scalar, at least 0; 0 for a batch without a present label.

    Raises:
        ValueError: if the shapes differ or a temperature is not positive.

    Example:
        >>> two_way_loss(torch.zeros(2, 2), torch.tensor([[1, 0], [0, 1]]))
        tensor(1.3863)
        >>> two_way_loss(torch.zeros(1, 2), torch.tensor([[1, 1]]))
        tensor(0.)
    """
    check_classes(logits, targets)
    check_positive(
        temperature_positive=temperature_positive, temperature_negative=temperature_negative
    )
    logits = at_least_float32(logits)
    present, absent = targets == 1, targets == 0
    lowest = torch.finfo(logits.dtype).min / 8  # finite, so that no gradient is 0 times infinity

    def one_way(axis: int) -> Tensor:
        negative = (logits / temperature_negative).masked_fill(~absent, lowest)
        positive = (-logits / temperature_positive).masked_fill(~present, lowest)
        margin = temperature_negative * negative.logsumexp(dim=axis)
        margin = margin + temperature_positive * positive.logsumexp(dim=axis)
        counted = present.any(dim=axis)
        compared = counted & absent.any(dim=axis)
        each = -functional.logsigmoid(-margin.masked_fill(~compared, lowest))  # softplus
        return each.sum() / counted.sum().clamp(min=1)

    return one_way(1) + one_way(0)


class TwoWayLoss(nn.Module):
    """:func:`two_way_loss` as a module.

    Source: Kobayashi, CVPR 2023.

    Args:
        temperature_positive: of present labels, positive.
        temperature_negative: of absent labels, positive.

    Raises:
        ValueError: if a temperature is not positive.

    Example:
        >>> TwoWayLoss()(torch.zeros(2, 2), torch.tensor([[1, 0], [-1, 0]]))
        tensor(0.6931)
    """

    def __init__(self, temperature_positive: float = 4, temperature_negative: float = 1) -> None:
        super().__init__()
        check_positive(
            temperature_positive=temperature_positive, temperature_negative=temperature_negative
        )
        self.temperature_positive = temperature_positive
        self.temperature_negative = temperature_negative

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return two_way_loss(
            logits,
            targets,
            temperature_positive=self.temperature_positive,
            temperature_negative=self.temperature_negative,
        )

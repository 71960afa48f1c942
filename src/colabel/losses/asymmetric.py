"""The classification loss: easy negatives count less than hard ones."""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from colabel.losses.binary_cross_entropy import check_smoothing


def asymmetric_loss(
    logits: Float[Tensor, "batch classes"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    gamma_positive: float = 0,
    gamma_negative: float = 4,
    margin: float = 0.05,
    detach_focusing: bool = True,
    label_smoothing: float = 0,
) -> Float[Tensor, "batch"]:
    r"""Asymmetric loss of each image, summed over its classes.

    .. math:: \sum_k -y_k (1-\pi_k)^{\gamma_+}\log\pi_k
              - (1-y_k)\,p_k^{\gamma_-}\log(1-p_k),\quad p_k = \max(\pi_k - m, 0)

    With label smoothing :math:`y_k` is :math:`1 - s/2` or :math:`s/2` in place of 1 or 0.

    Source: KMCL, Eq. 6, before the mean over the batch.

    Deviation: by default no gradient flows through the focusing factors (the powers), as the
    loss's own authors recommend; ``detach_focusing=False`` is the formula's gradient. Unknown
    labels add 0.

    Args:
        logits: log-odds of pi, shape (batch, classes), any real number.
        targets: 1 present, 0 absent, -1 unknown; the shape of ``logits``.
        gamma_positive: focusing power of present labels, at least 0.
        gamma_negative: focusing power of absent labels, at least 0.
        margin: probability below which an absent label costs nothing, in [0, 1).
        detach_focusing: whether the focusing factors are constants to the gradient.
        label_smoothing: s, the part of every target that is one half instead, in [0, 1).

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if the shapes differ or a parameter is out of range.

    Example:
        >>> asymmetric_loss(torch.zeros(1, 2), torch.tensor([[1, 0]]))
        tensor([0.7177])
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the logits (batch, classes) = "
            f"{tuple(logits.shape)}, got {tuple(targets.shape)}."
        )
    _check_parameters(gamma_positive, gamma_negative, margin, label_smoothing)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    positive = -functional.logsigmoid(logits)
    if gamma_positive:
        focus = (gamma_positive * functional.logsigmoid(-logits)).exp()
        positive = positive * (focus.detach() if detach_focusing else focus)
    if margin:
        # By the complement: sigmoid(logits) rounds to 1 from 17 on, and its gradient to 0.
        probability = (1 - margin - torch.sigmoid(-logits)).clamp(min=0)
        negative = -torch.log1p(-probability)
    else:
        probability = torch.sigmoid(logits)
        negative = -functional.logsigmoid(-logits)
    if gamma_negative:
        # Where the probability is 0 so is the loss; 1 keeps the slope of the power finite there.
        focus = torch.where(probability > 0, probability, 1.0) ** gamma_negative
        negative = negative * (focus.detach() if detach_focusing else focus)
    if label_smoothing:
        share = label_smoothing / 2
        positive, negative = (
            (1 - share) * positive + share * negative,
            (1 - share) * negative + share * positive,
        )
    zero = torch.zeros_like(logits)
    return torch.where(targets == 1, positive, torch.where(targets == 0, negative, zero)).sum(
        dim=1
    )


class AsymmetricLoss(nn.Module):
    r"""Sum or mean over the batch of :func:`asymmetric_loss`.

    Source: KMCL, Eq. 6.

    Deviation: ``reduction="sum"`` is the default, because the weight 0.1 of Eq. 8 was tuned with
    a sum over the batch; ``"mean"`` is Eq. 6 to the letter. The sum grows with the batch size, and
    with it the share of this term in Eq. 8.

    Args:
        gamma_positive: focusing power of present labels, at least 0.
        gamma_negative: focusing power of absent labels, at least 0.
        margin: probability below which an absent label costs nothing, in [0, 1).
        reduction: "sum" over images, or "mean", which divides by their number.
        detach_focusing: whether the focusing factors are constants to the gradient.
        label_smoothing: the part of every target that is one half instead, in [0, 1).

    Raises:
        ValueError: if the reduction is neither "sum" nor "mean", or a number is out of range.

    Example:
        >>> AsymmetricLoss()(torch.zeros(2, 2), torch.tensor([[1, 0], [1, 0]]))
        tensor(1.4353)
    """

    def __init__(
        self,
        gamma_positive: float = 0,
        gamma_negative: float = 4,
        margin: float = 0.05,
        reduction: Literal["sum", "mean"] = "sum",
        detach_focusing: bool = True,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise ValueError(f'reduction must be "sum" or "mean", got {reduction!r}.')
        _check_parameters(gamma_positive, gamma_negative, margin, label_smoothing)
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.margin = margin
        self.reduction = reduction
        self.detach_focusing = detach_focusing
        self.label_smoothing = label_smoothing

    def forward(
        self, logits: Float[Tensor, "batch classes"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        values = asymmetric_loss(
            logits,
            targets,
            gamma_positive=self.gamma_positive,
            gamma_negative=self.gamma_negative,
            margin=self.margin,
            detach_focusing=self.detach_focusing,
            label_smoothing=self.label_smoothing,
        )
        return values.sum() if self.reduction == "sum" else values.mean()


def _check_parameters(
    gamma_positive: float, gamma_negative: float, margin: float, label_smoothing: float
) -> None:
    check_smoothing(label_smoothing)
    if gamma_positive < 0 or gamma_negative < 0 or not 0 <= margin < 1:
        raise ValueError(
            "gamma_positive and gamma_negative must be at least 0 and margin in [0, 1), got "
            f"{gamma_positive}, {gamma_negative} and {margin}."
        )

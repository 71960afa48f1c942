"""Supervised contrastive losses: embeddings of images that share labels are alike."""

from typing import get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from colabel.choices import PairAverage, Positives
from colabel.losses.arguments import check_positive, check_rows
from colabel.losses.embedding_pairs import surprise_of_others


def supervised_contrastive_loss(
    embeddings: Float[Tensor, "batch width"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    positives: Positives = "all",
    temperature: float = 0.1,
    average: PairAverage = "pairs",
) -> Float[Tensor, ""]:
    r"""Return the supervised contrastive loss of a batch, by one of three rules for positives.

    .. math:: \ell_{ip} = -\log\frac{\exp(z_i^T z_p/\tau)}{\sum_{l\ne i}\exp(z_i^T z_l/\tau)},
              \qquad z_i = \frac{x_i}{\lVert x_i\rVert}

    "all" (the same label set) and "any" (a label in common) average over the anchors A that have
    a positive, "per_label" over the pairs of an anchor and one of its labels that have one:

    .. math:: \frac{1}{|A|}\sum_{i\in A}\frac{1}{|P_i|}\sum_{p\in P_i}\ell_{ip}, \qquad
              \frac{1}{|Q|}\sum_{(i,k)\in Q}\frac{1}{|P_{ik}|}\sum_{p\in P_{ik}}\ell_{ip}, \quad
              P_{ik} = \{p\ne i: y_{ik} = y_{pk} = 1\}

    With ``average="images"`` a pair (i, k) weighs :math:`1/(|y_i|\,N)` instead of :math:`1/|Q|`,
    so that an image with many labels counts no more than another.

    Source: Khosla et al., *Supervised Contrastive Learning*, arXiv:2004.11362 (the sum outside
    the logarithm); Zhang and Wu, *Multi-Label Supervised Contrastive Learning*, AAAI 2024, for
    the three rules and the weights ("per_label" is MulSupCon).

    Deviation: anchors are compared with the other images of the batch; there is no queue of
    earlier ones. An unknown label makes no pair and no anchor: "any" and "per_label" ask for a
    label that is known to be present in both. For "all", two sets are the same if every label
    that both images know is the same and one is present in both, or all labels of both are known
    (two images known to have no label are alike). Images that are no positives stay in the sum
    of the softmax, whatever is unknown of them.

    Args:
        embeddings: x, shape (batch, width), brought to length 1 here; each view of an image is a
            row.
        targets: y, 1 present, 0 absent, -1 unknown; shape (batch, classes).
        positives: "all", "any" or "per_label".
        temperature: tau, positive.
        average: "pairs", or "images" for "per_label" alone.

    Returns:
        A scalar, at least 0; 0 where no anchor has a positive.

    Raises:
        ValueError: if the batches differ, or a setting is unknown or out of range.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> targets = torch.tensor([[1, 0], [1, 1], [0, 1]])
        >>> for positives in ("all", "any", "per_label"):
        ...     supervised_contrastive_loss(
        ...         embeddings, targets, positives=positives, temperature=1
        ...     )
        tensor(0.)
        tensor(0.6066)
        tensor(0.6582)
    """
    check_rows(embeddings, targets)
    _check_settings(positives, temperature, average)
    surprise = surprise_of_others(embeddings, temperature=temperature)
    with torch.no_grad():
        weights = _weights(targets, positives, average, surprise.dtype)
    return (weights * surprise).sum()


def _weights(
    targets: Tensor, positives: Positives, average: PairAverage, dtype: torch.dtype
) -> Tensor:
    """Return how much each ordered pair of images counts; 0 on the diagonal.

    Counts are exact: they are sums of zeros and ones in float32 or float64.
    """
    present = (targets == 1).to(dtype)
    with torch.autocast(targets.device.type, enabled=False):
        if positives == "per_label":
            return _weights_of_labels(present, average)
        shared = present @ present.T
        alike = shared > 0
        if positives == "all":
            known = (targets >= 0).to(dtype)
            complete = (targets >= 0).all(dim=1)
            unlike = present @ (known - present).T
            alike |= complete[:, None] & complete
            alike &= (unlike == 0) & (unlike.T == 0)
    chosen = alike.fill_diagonal_(False).to(dtype)
    count = chosen.sum(dim=1, keepdim=True)
    return chosen / count.clamp(min=1) / (count > 0).sum().clamp(min=1)


def _weights_of_labels(present: Tensor, average: PairAverage) -> Tensor:
    """Return the weights of all pairs (anchor, label) of two images, added up over the labels."""
    others = present.sum(dim=0) - 1  # of a label, that an anchor with it finds
    pairs = present * (others > 0)
    if average == "pairs":
        each = pairs / pairs.sum().clamp(min=1)
    else:
        each = pairs / (present.sum(dim=1, keepdim=True).clamp(min=1) * len(present))
    return ((each / others.clamp(min=1)) @ present.T).fill_diagonal_(0)


class SupervisedContrastiveLoss(nn.Module):
    """:func:`supervised_contrastive_loss` as a module.

    Source: Khosla et al., arXiv:2004.11362; Zhang and Wu, AAAI 2024.

    Args:
        positives: "all", "any" or "per_label".
        temperature: tau, positive.
        average: "pairs", or "images" for "per_label" alone.

    Raises:
        ValueError: if a setting is unknown or out of range.

    Example:
        >>> loss = SupervisedContrastiveLoss("any", temperature=1)
        >>> loss(torch.eye(3), torch.tensor([[1], [1], [0]]))
        tensor(0.6931)
    """

    def __init__(
        self,
        positives: Positives = "all",
        temperature: float = 0.1,
        average: PairAverage = "pairs",
    ) -> None:
        super().__init__()
        _check_settings(positives, temperature, average)
        self.positives: Positives = positives
        self.temperature = temperature
        self.average: PairAverage = average

    def forward(
        self, embeddings: Float[Tensor, "batch width"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return supervised_contrastive_loss(
            embeddings,
            targets,
            positives=self.positives,
            temperature=self.temperature,
            average=self.average,
        )


def _check_settings(positives: str, temperature: float, average: str) -> None:
    check_positive(temperature=temperature)
    for name, value, known in (
        ("positives", positives, get_args(Positives)),
        ("average", average, get_args(PairAverage)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    if average == "images" and positives != "per_label":
        raise ValueError(
            f"average 'images' is for positives 'per_label', got positives {positives!r}; with "
            "'all' and 'any' every anchor weighs the same in any case."
        )

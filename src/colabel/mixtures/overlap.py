"""How much the label sets of two images overlap."""

import torch
from jaxtyping import Shaped
from torch import Tensor


def jaccard(
    targets: Shaped[Tensor, "batch classes"],
    other: Shaped[Tensor, "others classes"] | None = None,
) -> Shaped[Tensor, "batch others"]:
    r"""Intersection over union of the label sets of every pair of images.

    .. math:: J(n, m) = \frac{y^n\cdot y^m}{\|y^n\|^2 + \|y^m\|^2 - y^n\cdot y^m}

    Source: KMCL, below Eq. 7; ProbMCL, Sec. 3.2.

    Deviation: a pair with an empty union has overlap 0. A class whose target is -1 (unknown) in
    one of the two images counts for neither.

    Args:
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        other: the same for a second set of images; default: ``targets`` again.

    Returns:
        Shape (batch, others), values in [0, 1]; float64 for float64 targets, else float32.

    Raises:
        ValueError: if the two sets have different numbers of classes.

    Example:
        >>> jaccard(torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]]))
        tensor([[1.0000, 0.3333, 0.0000],
                [0.3333, 1.0000, 0.0000],
                [0.0000, 0.0000, 0.0000]])
    """
    shared, own, others = count_labels(targets, targets if other is None else other)
    return shared / (own + others - shared).clamp(min=1)


def cosine(
    targets: Shaped[Tensor, "batch classes"],
    other: Shaped[Tensor, "others classes"] | None = None,
) -> Shaped[Tensor, "batch others"]:
    r"""Cosine of the label vectors of every pair of images.

    .. math:: \cos(y^n, y^m) = \frac{y^n\cdot y^m}{\|y^n\|\,\|y^m\|}

    Source: ProbMCL, Sec. 3.2.

    Deviation: the norms are not squared (the paper's formula gives two identical images with two
    labels 0.5). A pair with an unlabelled image has overlap 0. A class whose target is -1
    (unknown) in one of the two images counts for neither.

    Args:
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        other: the same for a second set of images; default: ``targets`` again.

    Returns:
        Shape (batch, others), values in [0, 1]; float64 for float64 targets, else float32.

    Raises:
        ValueError: if the two sets have different numbers of classes.

    Example:
        >>> cosine(torch.tensor([[1, 1, 0], [0, 1, 1]]))
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]])
    """
    shared, own, others = count_labels(targets, targets if other is None else other)
    return shared / (own * others).clamp(min=1).sqrt()


def count_labels(targets: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per pair, among classes known in both: labels of both, of the first and of the second."""
    if targets.shape[1] != other.shape[1]:
        raise ValueError(
            "both sets of targets must have the same number of classes, got shapes "
            f"{tuple(targets.shape)} and {tuple(other.shape)}."
        )
    dtype = torch.float64 if targets.dtype == torch.float64 else torch.float32
    present, known = (targets == 1).to(dtype), (targets >= 0).to(dtype)
    other_present, other_known = (other == 1).to(dtype), (other >= 0).to(dtype)
    # Half-precision products would round counts above 256.
    with torch.autocast(targets.device.type, enabled=False):
        return present @ other_present.T, present @ other_known.T, known @ other_present.T

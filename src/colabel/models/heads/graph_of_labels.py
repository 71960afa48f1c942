"""Which labels go together: a graph counted from the labels of the training images."""

from typing import get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from colabel.choices import GraphNorm
from colabel.errors import ConfigError
from colabel.models.heads.layers import check_choice

_ROWS = 8192
"""Images that are counted at a time."""


def conditional_frequencies(
    targets: Shaped[Tensor, "images classes"],
) -> Float[Tensor, "classes classes"]:
    r"""Return how often each label is present where another one is.

    .. math:: P_{ij} = M_{ij} / N_{ij}

    with the number of images :math:`M_{ij}` in which both labels are present, and
    :math:`N_{ij}` in which label i is present and label j is known.

    Source: ML-GCN, Sec. 3.4 (the correlation matrix), where every label is known and
    :math:`N_{ij} = N_i`.

    Args:
        targets: 1 present, 0 absent, -1 unknown; shape (images, classes).

    Returns:
        Float64 in [0, 1]; 0 where label i is never present beside a known label j.

    Example:
        >>> conditional_frequencies(torch.tensor([[1, 1], [1, 0], [1, -1]]))
        tensor([[1.0000, 0.5000],
                [1.0000, 1.0000]], dtype=torch.float64)
    """
    classes = targets.shape[1]
    both = torch.zeros(classes, classes, dtype=torch.float64)
    known = torch.zeros(classes, classes, dtype=torch.float64)
    for first in range(0, len(targets), _ROWS):
        rows = targets[first : first + _ROWS].cpu()
        present = (rows == 1).double()
        both += present.T @ present
        known += present.T @ (rows >= 0).double()
    return both / known.clamp(min=1)


def label_graph(
    targets: Shaped[Tensor, "images classes"],
    *,
    threshold: float = 0.4,
    neighbours: float = 0.2,
    norm: GraphNorm = "paper",
) -> Float[Tensor, "classes classes"]:
    r"""Return the normalised graph of the labels.

    .. math:: B_{ij} = [P_{ij} \ge \tau]\ (i \ne j), \qquad
              \hat A = D^{-1/2} A D^{-1/2}, \quad D_{ii} = \sum_j A_{ij}

    with P of :func:`conditional_frequencies` and

    .. math:: A_{ij} = p\, B_{ij} / \sum_{k \ne i} B_{ik}, \quad A_{ii} = 1 - p

    for ``norm="paper"``; for ``norm="released"``

    .. math:: A_{ij} = \frac{p}{1 - p}\, B_{ij} / \sum_{k \ne j} B_{kj}, \quad A_{ii} = 1.

    Source: ML-GCN, Eq. 7 and 8 and the normalisation below its Eq. 2; the second form is what the
    published numbers were made with.

    Deviation: a label without neighbours keeps itself alone, where the paper divides by 0.

    Args:
        targets: of the training images; 1 present, 0 absent, -1 unknown.
        threshold: tau in [0, 1], the frequency from which a label is a neighbour of another.
        neighbours: p in [0, 1), the weight of all neighbours of a label together.
        norm: over what the weights of neighbours are shared out, see above.

    Returns:
        Float32, at least 0, shape (classes, classes); rows are receivers.

    Raises:
        ConfigError: if a number is out of range or there is no such norm.

    Example:
        >>> label_graph(torch.tensor([[1, 1], [1, 0], [1, 0]]))
        tensor([[1.0000, 0.0000],
                [0.2236, 0.8000]])
    """
    check_choice("norm", norm, get_args(GraphNorm))
    if not 0 <= threshold <= 1 or not 0 <= neighbours < 1:
        raise ConfigError(
            "threshold must be in [0, 1] and neighbours in [0, 1), got "
            f"{threshold} and {neighbours}."
        )
    linked = (conditional_frequencies(targets) >= threshold).double().fill_diagonal_(0)
    axis = 1 if norm == "paper" else 0
    shared = linked / linked.sum(dim=axis, keepdim=True).clamp(min=1)
    own = torch.eye(len(linked), dtype=torch.float64)
    if norm == "paper":
        weighted = neighbours * shared + (1 - neighbours) * own
    else:
        weighted = neighbours / (1 - neighbours) * shared + own
    root = weighted.sum(dim=1).rsqrt()
    return (root[:, None] * weighted * root).float()

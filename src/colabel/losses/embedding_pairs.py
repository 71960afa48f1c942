"""Embeddings of a batch against each other: what contrastive losses on embeddings share."""

import torch
from jaxtyping import Float
from torch import Tensor

from colabel.losses.arguments import at_least_float32


def surprise_of_others(
    embeddings: Float[Tensor, "batch width"], *, temperature: float
) -> Float[Tensor, "batch batch"]:
    r"""Return how surprising each other image is to an anchor, with gradient.

    .. math:: -\log\frac{\exp(z_i^T z_p/\tau)}{\sum_{l\ne i}\exp(z_i^T z_l/\tau)}, \qquad
              z_i = \frac{x_i}{\lVert x_i\rVert}

    The sum runs over all other images, whatever is known of their labels. An embedding of length 0
    has no direction and stays 0.

    Args:
        embeddings: x, shape (batch, width), of any length.
        temperature: tau, positive.

    Returns:
        Shape (batch, batch), non-negative; anchors are rows, and the diagonal is 0.

    Example:
        >>> surprise_of_others(torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), temperature=1)
        tensor([[0.0000, 0.3133, 1.3133],
                [0.3133, 0.0000, 1.3133],
                [0.6931, 0.6931, 0.0000]])
    """
    # half-precision products would move a score by more than labels do
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = at_least_float32(embeddings)
        length = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
        directions = embeddings / torch.where(length > 0, length, 1.0)
        scores = directions @ directions.T / temperature
    itself = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    # finite, so that a batch of one, which contrasts nobody, has a gradient of 0
    lowest = torch.finfo(scores.dtype).min / 8
    log_sum = scores.masked_fill(itself, lowest).logsumexp(dim=1, keepdim=True)
    return (log_sum - scores).masked_fill(itself, 0.0)

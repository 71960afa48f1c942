"""The similarity-dissimilarity loss: positives weigh by what their labels are to the anchor's."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from colabel.losses.arguments import check_positive, check_rows
from colabel.losses.embedding_pairs import surprise_of_others
from colabel.mixtures.overlap import count_labels


def similarity_dissimilarity_loss(
    embeddings: Float[Tensor, "batch width"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    r"""Return the similarity-dissimilarity loss of a batch.

    .. math:: \frac{1}{|A|}\sum_{i\in A}\frac{1}{|P_i|}\sum_{p\in P_i}
              \frac{|S_i\cap S_p|}{|S_i|}\,\frac{1}{1 + |S_p\setminus S_i|}\;\ell_{ip}

    with the labels :math:`S_i` of an image, the images :math:`P_i` that share one with it, the
    anchors A that have such a positive, and :math:`\ell_{ip}` of
    :func:`colabel.losses.supervised_contrastive_loss`. The weight depends on the order: a sample
    with labels that the anchor lacks counts less.

    Source: Huang et al., *Similarity-Dissimilarity Loss for Multi-label Supervised Contrastive
    Learning*, arXiv:2410.13439. It has not been refereed.

    Deviation: the weight multiplies the logarithm. The paper has it inside, as a factor of the
    numerator, where its logarithm is a constant that no gradient sees. A label that is unknown in
    one of two images counts for neither.

    Args:
        embeddings: shape (batch, width), brought to length 1 here; each view of an image is a row.
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        temperature: tau, positive.

    Returns:
        A scalar, at least 0; 0 where no anchor has a positive.

    Raises:
        ValueError: if the batches differ or the temperature is not positive.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> targets = torch.tensor([[1, 0], [1, 1], [0, 0]])
        >>> similarity_dissimilarity_loss(embeddings, targets, temperature=1)
        tensor(0.1566)
    """
    check_rows(embeddings, targets)
    check_positive(temperature=temperature)
    surprise = surprise_of_others(embeddings, temperature=temperature)
    with torch.no_grad():
        weights = _weights(targets.to(surprise.dtype))
    return (weights * surprise).sum()


def _weights(targets: Tensor) -> Tensor:
    """Return how much each ordered pair of images counts; 0 on the diagonal."""
    shared, own, others = count_labels(targets, targets)
    shared = shared.fill_diagonal_(0)
    positive = shared > 0
    similarity = shared / own.clamp(min=1)
    dissimilarity = 1 / (1 + others - shared)
    count = positive.sum(dim=1, keepdim=True)
    each = torch.where(positive, similarity * dissimilarity, 0.0) / count.clamp(min=1)
    return each / (count > 0).sum().clamp(min=1)


class SimilarityDissimilarityLoss(nn.Module):
    """:func:`similarity_dissimilarity_loss` as a module.

    Source: Huang et al., arXiv:2410.13439, not refereed.

    Args:
        temperature: tau, positive.

    Raises:
        ValueError: if the temperature is not positive.

    Example:
        >>> SimilarityDissimilarityLoss(1)(torch.eye(3), torch.tensor([[1], [1], [0]]))
        tensor(0.6931)
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature = temperature

    def forward(
        self, embeddings: Float[Tensor, "batch width"], targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, a scalar that is at least 0."""
        return similarity_dissimilarity_loss(embeddings, targets, temperature=self.temperature)

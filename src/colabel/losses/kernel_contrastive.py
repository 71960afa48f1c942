"""The kernel-contrastive loss: kernels of a label that two images share should overlap."""

from typing import get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from colabel.mixtures import GaussianMixture, Similarity, jaccard, log_similarity_of_rows


def kernel_contrastive_loss(
    mixture: GaussianMixture,
    targets: Shaped[Tensor, "batch classes"],
    *,
    temperature: float = 0.2,
    similarity: Similarity = "bhattacharyya",
    effective_dim: float | None = None,
) -> Float[Tensor, "batch"]:
    r"""Contrastive loss of each anchor image against the rest of the batch.

    .. math:: \frac{-1}{|A(n)|}\sum_{m\in A(n)} J(n,m) \sum_{k\in K(n,m)}
              \log\frac{\exp(\rho_{kk}^{nm}/\tau)}{\sum_{i\ne n}\exp(\rho_{kk}^{ni}/\tau)}

    ``A(n)`` are the images that share a label with the anchor, ``K(n, m)`` the labels they share
    and ``J`` their Jaccard index. Only pairs (n, k) with ``y_nk = 1`` enter, so only those are
    computed.

    Source: KMCL, Eq. 7, before the mean over the batch.

    Deviation: an anchor without positives adds 0. Images whose label k is unknown are left out of
    the denominator of class k, and unknown labels out of J.

    Args:
        mixture: kernels of a batch of images.
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        temperature: tau, positive.
        similarity: "bhattacharyya" (Eq. 3a or 3b, by the shape of the kernels), "mahalanobis"
            (Eq. 2a) or "gaussian" (Eq. 2b).
        effective_dim: replaces M in the exponents of isotropic kernels; positive.

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if the targets do not fit the mixture, the temperature is not positive or the
            similarity does not fit the kernels.

    Example:
        >>> same = GaussianMixture(torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(3, 1), dim=4)
        >>> kernel_contrastive_loss(same, torch.tensor([[1], [1], [0]]))
        tensor([0.6931, 0.6931, 0.0000])
    """
    mixture.check_targets(targets)
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    mixture = mixture.float()
    anchors, labels, weights, contrasted = _rows(targets.to(mixture.mean.dtype))
    scores = (
        log_similarity_of_rows(
            mixture, anchors, labels, similarity=similarity, effective_dim=effective_dim
        ).exp()
        / temperature
    )
    log_denominator = scores.masked_fill(~contrasted, -torch.inf).logsumexp(dim=1)
    per_row = weights.sum(dim=1) * log_denominator - (weights * scores).sum(dim=1)
    return scores.new_zeros(mixture.batch).index_add(0, anchors, per_row)


def _rows(targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Anchor and label of each row of Eq. 7, the weight of each image in it and who is contrasted.

    The weight of image m in the row of anchor n and label k is J(n, m) / |A(n)| where m has label
    k. Rows whose label no other image has are left out; so every row contrasts somebody.
    """
    present = targets == 1
    overlap = jaccard(targets).fill_diagonal_(0)
    overlap = overlap / (overlap > 0).sum(dim=1, keepdim=True).clamp(min=1)
    shared = present & (present.sum(dim=0) > 1)
    anchors, labels = shared.nonzero(as_tuple=True)
    columns = torch.arange(len(targets), device=targets.device)
    contrasted = (targets >= 0).T[labels] & (columns != anchors[:, None])
    return anchors, labels, overlap[anchors] * present.T[labels], contrasted


class KernelContrastiveLoss(nn.Module):
    """Batch mean of :func:`kernel_contrastive_loss`.

    Source: KMCL, Eq. 7.

    Args:
        temperature: tau, positive.
        similarity: "bhattacharyya", "mahalanobis" or "gaussian".
        effective_dim: replaces M in the exponents of isotropic kernels; default: M, the paper's.

    Raises:
        ValueError: if the similarity is unknown, or the temperature or ``effective_dim`` is not
            positive.

    Example:
        >>> same = GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 1), dim=4)
        >>> KernelContrastiveLoss()(same, torch.tensor([[1], [1]]))
        tensor(0.)
    """

    def __init__(
        self,
        temperature: float = 0.2,
        similarity: Similarity = "bhattacharyya",
        effective_dim: float | None = None,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        if similarity not in get_args(Similarity):
            known = ", ".join(get_args(Similarity))
            raise ValueError(f"similarity must be one of {known}, got {similarity!r}.")
        if effective_dim is not None and effective_dim <= 0:
            raise ValueError(f"effective_dim must be positive, got {effective_dim}.")
        self.temperature = temperature
        self.similarity: Similarity = similarity
        self.effective_dim = effective_dim

    def forward(
        self, mixture: GaussianMixture, targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the mean over the batch, a scalar that is at least 0."""
        return kernel_contrastive_loss(
            mixture,
            targets,
            temperature=self.temperature,
            similarity=self.similarity,
            effective_dim=self.effective_dim,
        ).mean()

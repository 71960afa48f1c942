"""The probabilistic contrastive loss: mixtures of images that share enough labels are alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from colabel.choices import MixtureSimilarity, Overlap
from colabel.mixtures import (
    GaussianMixture,
    cosine,
    jaccard,
    pairwise_log_bhattacharyya_bound,
    pairwise_log_correlation,
)

OVERLAPS: Mapping[str, Callable[[Tensor], Tensor]] = {"jaccard": jaccard, "cosine": cosine}

SIMILARITIES: Mapping[str, Callable[[GaussianMixture], Tensor]] = {
    "correlation": pairwise_log_correlation,
    "bhattacharyya": pairwise_log_bhattacharyya_bound,
}


@dataclass(frozen=True)
class MixturePairs:
    """What Eq. 3 knows of every pair of images of a batch.

    Args:
        similarity: Sim of the mixtures, shape (batch, batch), in [0, 1].
        overlap: D of the labels, shape (batch, batch), in [0, 1].
        positive: whether the second image is in A of the first; never an image with itself.
    """

    similarity: Float[Tensor, "batch batch"]
    overlap: Float[Tensor, "batch batch"]
    positive: Bool[Tensor, "batch batch"]


def compare_mixtures(
    mixture: GaussianMixture,
    targets: Shaped[Tensor, "batch classes"],
    *,
    threshold: float = 0.6,
    overlap: Overlap = "jaccard",
    similarity: MixtureSimilarity = "correlation",
    effective_dim: int | None = None,
) -> MixturePairs:
    r"""Compare mixtures and labels of every pair of images.

    .. math:: A(i) = \{j \ne i : D(y_i, y_j) \ge \alpha\}

    Source: ProbMCL, Sec. 2.2.

    Deviation: two images without labels have D = 0, and a label that is unknown in one of two
    images counts for neither.

    Args:
        mixture: isotropic densities of a batch of images.
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        threshold: alpha, in [0, 1]; a pair at the threshold is positive.
        overlap: D, "jaccard" or "cosine".
        similarity: Sim, "correlation", or "bhattacharyya" for a lower bound of that coefficient.
        effective_dim: replaces the number of dimensions n in the similarity; positive.

    Returns:
        Similarities with gradient, overlaps and positives.

    Raises:
        ValueError: if the targets do not fit the mixture or a setting is out of range.

    Example:
        >>> same = GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 1), dim=4)
        >>> compare_mixtures(same, torch.tensor([[1], [1]])).positive
        tensor([[False,  True],
                [ True, False]])
    """
    mixture.check_targets(targets)
    _check_settings(1.0, threshold, overlap, similarity, effective_dim)
    if effective_dim is not None:
        mixture = replace(mixture, dim=effective_dim)
    of_labels = OVERLAPS[overlap](targets.to(mixture.mean.dtype))
    of_mixtures = SIMILARITIES[similarity](mixture).exp()
    positive = (of_labels >= threshold).fill_diagonal_(False)
    return MixturePairs(of_mixtures, of_labels, positive)


def mixture_contrastive_loss(
    mixture: GaussianMixture,
    targets: Shaped[Tensor, "batch classes"],
    *,
    temperature: float = 0.2,
    threshold: float = 0.6,
    overlap: Overlap = "jaccard",
    similarity: MixtureSimilarity = "correlation",
    effective_dim: int | None = None,
) -> Float[Tensor, "batch"]:
    r"""Contrastive loss of each anchor image against the rest of the batch.

    .. math:: \frac{-1}{|A(i)|}\sum_{j\in A(i)} D(y_i,y_j)\,
              \log\frac{\exp(\mathrm{Sim}(p_i,p_j)/\tau)}
              {\sum_{l\ne i}\exp(\mathrm{Sim}(p_i,p_l)/\tau)}

    Source: ProbMCL, Eq. 3, one term of the sum over the batch.

    Deviation: an anchor without positives adds 0; see :func:`compare_mixtures` for unlabelled
    images and unknown labels.

    Args:
        mixture: isotropic densities of a batch of images; each view of an image is a row.
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        temperature: tau, positive.
        threshold: alpha, in [0, 1]: overlap from which a pair is positive.
        overlap: "jaccard" or "cosine" of the labels.
        similarity: "correlation" of the mixtures, or "bhattacharyya" for a lower bound of that
            coefficient.
        effective_dim: replaces the number of dimensions n in the similarity; positive.

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if the targets do not fit the mixture or a setting is out of range.

    Example:
        >>> same = GaussianMixture(torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(3, 1), dim=4)
        >>> mixture_contrastive_loss(same, torch.tensor([[1], [1], [0]]))
        tensor([0.6931, 0.6931, 0.0000])
    """
    _check_settings(temperature, threshold, overlap, similarity, effective_dim)
    pairs = compare_mixtures(
        mixture,
        targets,
        threshold=threshold,
        overlap=overlap,
        similarity=similarity,
        effective_dim=effective_dim,
    )
    count = pairs.positive.sum(dim=1, keepdim=True).clamp(min=1)
    weights = torch.where(pairs.positive, pairs.overlap, 0.0) / count
    scores = pairs.similarity / temperature
    itself = torch.eye(mixture.batch, dtype=torch.bool, device=scores.device)
    # finite, so that a batch of one, which contrasts nobody, has a gradient of 0
    floor = torch.finfo(scores.dtype).min / 8
    log_denominator = scores.masked_fill(itself, floor).logsumexp(dim=1, keepdim=True)
    return (weights * (log_denominator - scores)).sum(dim=1)


class MixtureContrastiveLoss(nn.Module):
    """Batch mean of :func:`mixture_contrastive_loss`.

    Source: ProbMCL, Eq. 3.

    Deviation: a mean over the batch instead of the sum, as for the likelihood.

    Args:
        temperature: tau, positive.
        threshold: alpha, in [0, 1].
        overlap: "jaccard" or "cosine".
        similarity: "correlation" or "bhattacharyya".
        effective_dim: replaces the number of dimensions n; default: n, the paper's.

    Raises:
        ValueError: if a setting is unknown or out of range.

    Example:
        >>> same = GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 1), dim=4)
        >>> MixtureContrastiveLoss()(same, torch.tensor([[1], [1]]))
        tensor(0.)
    """

    def __init__(
        self,
        temperature: float = 0.2,
        threshold: float = 0.6,
        overlap: Overlap = "jaccard",
        similarity: MixtureSimilarity = "correlation",
        effective_dim: int | None = None,
    ) -> None:
        super().__init__()
        _check_settings(temperature, threshold, overlap, similarity, effective_dim)
        self.temperature = temperature
        self.threshold = threshold
        self.overlap: Overlap = overlap
        self.similarity: MixtureSimilarity = similarity
        self.effective_dim = effective_dim

    def forward(
        self, mixture: GaussianMixture, targets: Shaped[Tensor, "batch classes"]
    ) -> Float[Tensor, ""]:
        """Return the mean over the batch, a scalar that is at least 0."""
        return mixture_contrastive_loss(
            mixture,
            targets,
            temperature=self.temperature,
            threshold=self.threshold,
            overlap=self.overlap,
            similarity=self.similarity,
            effective_dim=self.effective_dim,
        ).mean()


def _check_settings(
    temperature: float,
    threshold: float,
    overlap: str,
    similarity: str,
    effective_dim: int | None,
) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {threshold}.")
    for name, value, known in (
        ("overlap", overlap, get_args(Overlap)),
        ("similarity", similarity, get_args(MixtureSimilarity)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    if effective_dim is not None and effective_dim < 1:
        raise ValueError(f"effective_dim must be at least 1, got {effective_dim}.")

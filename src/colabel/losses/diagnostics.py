"""Numbers that show early whether a contrastive term learns, has collapsed, or is dead."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from colabel.choices import MixtureSimilarity, Overlap, Similarity
from colabel.losses.mixture_contrastive import compare_mixtures
from colabel.mixtures import GaussianMixture, log_similarity_of_rows

COLLAPSED = 0.98
"""Mean similarity of negatives from which a batch counts as collapsed."""

VANISHED = 0.02
"""Mean similarity of positives up to which they count as out of each other's sight."""

OUT_OF_SIGHT = 0.8
"""Share of overlaps near 0 from which kernels with a mean overlap of VANISHED count as that."""


def kernel_overlaps(
    mixture: GaussianMixture,
    targets: Tensor,
    *,
    similarity: Similarity = "bhattacharyya",
    effective_dim: float | None = None,
) -> dict[str, float]:
    """Return how the kernels of a batch overlap, so that a dead or collapsed term shows at once.

    A healthy contrastive term has ``overlap_shared`` above ``overlap_unshared`` and few zeros. All
    overlaps near 1: the kernels have collapsed. Most of them 0: they lie too far apart for the
    gradient to see them.

    Args:
        mixture: kernels of a batch.
        targets: 1, 0 or -1, shape (batch, classes).
        similarity: of two kernels, see :func:`colabel.losses.kernel_contrastive_loss`.
        effective_dim: replaces the number of dimensions in the exponents of isotropic kernels.

    Returns:
        Mean overlap of a label's kernels between images that both have the label and between those
        of which one has it, the share of overlaps under 0.001 and the mean variance.
    """
    anchors, labels = (targets == 1).nonzero(as_tuple=True)
    if not len(anchors):
        return {"variance": mixture.variance.mean().item()}
    overlap = log_similarity_of_rows(
        mixture.float(),
        anchors,
        labels,
        similarity=similarity,
        effective_dim=effective_dim,
    ).exp()
    others = torch.arange(mixture.batch, device=anchors.device) != anchors[:, None]
    groups = {
        "overlap_shared": others & (targets.T[labels] == 1),
        "overlap_unshared": others & (targets.T[labels] == 0),
    }
    answer = {
        name: overlap[chosen].mean().item() for name, chosen in groups.items() if chosen.any()
    }
    if others.any():
        answer["overlap_zero"] = (overlap[others] < 1e-3).float().mean().item()
    answer["variance"] = mixture.variance.mean().item()
    return answer


def overlap_warning(diagnostics: Mapping[str, float]) -> str | None:
    """Return what is wrong with the overlaps of a batch, or ``None``.

    Args:
        diagnostics: as :func:`kernel_overlaps` gives them.

    Example:
        >>> overlap_warning({"overlap_shared": 0.5, "overlap_unshared": 0.1, "overlap_zero": 0.4})
        >>> print(overlap_warning({"overlap_shared": 0.01, "overlap_zero": 0.9}))
        the kernels do not reach each other: those of images that share a label overlap by 0.010 on
        average, 90 % of all overlaps are near 0, and the contrastive term has no gradient
        there. Lower head.feature_length, training.head_learning_rate, or the rate and epochs of
        training.warm_start.
    """
    shared = diagnostics.get("overlap_shared")
    unshared = diagnostics.get("overlap_unshared")
    near_zero = diagnostics.get("overlap_zero")
    if shared is None or near_zero is None:
        return None
    if unshared is not None and min(shared, unshared) >= COLLAPSED:
        return (
            "the kernels have collapsed into one: those of images that share a label overlap by "
            f"{shared:.3f} on average, those of others by {unshared:.3f}. The contrastive term "
            "has nothing to tell apart. Raise head.feature_length."
        )
    if shared <= VANISHED and near_zero >= OUT_OF_SIGHT:
        return (
            "the kernels do not reach each other: those of images that share a label overlap by "
            f"{shared:.3f} on average, {100 * near_zero:.0f} % of all overlaps are near 0, and "
            "the contrastive term has no gradient there. Lower head.feature_length, "
            "training.head_learning_rate, or the rate and epochs of training.warm_start."
        )
    return None


def mixture_similarities(
    mixture: GaussianMixture,
    targets: Tensor,
    *,
    threshold: float = 0.6,
    overlap: Overlap = "jaccard",
    similarity: MixtureSimilarity = "correlation",
    effective_dim: int | None = None,
) -> dict[str, float]:
    """Return how alike the mixtures of a batch are, so that a collapse shows at once.

    A healthy run has ``similarity_positive`` above ``similarity_negative``, further every epoch.

    Args:
        mixture: densities of a batch of views.
        targets: 1, 0 or -1, shape (batch, classes).
        threshold: overlap of two images' labels from which they are positives.
        overlap: how labels are compared.
        similarity: how mixtures are compared.
        effective_dim: replaces the number of dimensions in the similarity.

    Returns:
        Mean similarity of an anchor with its positives and with all others, where there are any;
        the share of anchors without positives; the share of variances within 1 % of their floor of
        1; the mean entropy of the weights, divided by that of equal weights.
    """
    pairs = compare_mixtures(
        mixture,
        targets,
        threshold=threshold,
        overlap=overlap,
        similarity=similarity,
        effective_dim=effective_dim,
    )
    itself = torch.eye(mixture.batch, dtype=torch.bool, device=targets.device)
    groups = {
        "similarity_positive": pairs.positive,
        "similarity_negative": ~pairs.positive & ~itself,
    }
    answer = {
        name: pairs.similarity[chosen].mean().item()
        for name, chosen in groups.items()
        if chosen.any()
    }
    answer["anchors_without_positives"] = (~pairs.positive.any(dim=1)).float().mean().item()
    answer["variance_at_floor"] = (mixture.variance < 1.01).float().mean().item()
    if mixture.classes > 1:
        entropy = torch.special.entr(mixture.log_weights.exp()).sum(dim=1)
        answer["weight_entropy"] = entropy.mean().item() / math.log(mixture.classes)
    return answer


def collapse_warning(diagnostics: Mapping[str, float]) -> str | None:
    """Return what is wrong with the similarities of a batch, or ``None``.

    Args:
        diagnostics: as :func:`mixture_similarities` gives them.

    Example:
        >>> collapse_warning({"similarity_positive": 0.9, "similarity_negative": 0.2}) is None
        True
    """
    positive = diagnostics.get("similarity_positive")
    negative = diagnostics.get("similarity_negative")
    if positive is None or negative is None:
        return None
    found = f"positives have a mean similarity of {positive:.3f}, negatives of {negative:.3f}"
    if negative >= COLLAPSED:
        return (
            f"the mixtures have collapsed into one: {found}. The contrastive term has nothing to "
            "tell apart. Keep terms.likelihood.per_dimension true, raise "
            "terms.contrastive.weight, or set head.feature_length."
        )
    if positive <= VANISHED:
        return (
            f"the mixtures do not reach each other: {found}, where the contrastive term has no "
            "gradient. Lower head.feature_length or set terms.contrastive.effective_dim."
        )
    return None

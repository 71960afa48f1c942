"""From the settings of terms to an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from colabel.choices import Similarity
from colabel.config.fitting import SIMILARITY_OF
from colabel.losses import (
    AsymmetricLoss,
    BinaryCrossEntropyLoss,
    DeepSupervisionLoss,
    FocalLoss,
    KernelContrastiveLoss,
    MixtureContrastiveLoss,
    MixtureLikelihoodLoss,
    ReconstructionLoss,
    SimilarityDissimilarityLoss,
    SupervisedContrastiveLoss,
    TwoWayLoss,
    ZLPRLoss,
    collapse_warning,
    kernel_overlaps,
    mixture_similarities,
    overlap_warning,
)
from colabel.settings import (
    AsymmetricTerm,
    BinaryCrossEntropyTerm,
    DeepSupervisionTerm,
    FocalTerm,
    HeadSettings,
    KernelContrastiveTerm,
    KernelMixtureSettings,
    MixtureContrastiveTerm,
    MixtureLikelihoodTerm,
    ReconstructionTerm,
    SimilarityDissimilarityTerm,
    SupervisedContrastiveTerm,
    TermSettings,
    TwoWayTerm,
    ZLPRTerm,
)
from colabel.training import Objective, Term


def asymmetric(term: AsymmetricTerm, _: HeadSettings) -> dict[str, Any]:
    """Return the asymmetric loss."""
    return {
        "loss": AsymmetricLoss(
            term.gamma_positive,
            term.gamma_negative,
            term.margin,
            term.reduction,
            term.detach_focusing,
            term.label_smoothing,
        )
    }


def binary_cross_entropy(term: BinaryCrossEntropyTerm, _: HeadSettings) -> dict[str, Any]:
    """Return binary cross-entropy."""
    return {"loss": BinaryCrossEntropyLoss(term.label_smoothing)}


def deep_supervision(term: DeepSupervisionTerm, _: HeadSettings) -> dict[str, Any]:
    """Return the cross-entropy of every branch of a head."""
    return {"loss": DeepSupervisionLoss(term.label_smoothing)}


def reconstruction(term: ReconstructionTerm, _: HeadSettings) -> dict[str, Any]:
    """Return KMCL's reconstruction loss."""
    return {"loss": ReconstructionLoss(term.per_dimension)}


def kernel_contrastive(term: KernelContrastiveTerm, head: HeadSettings) -> dict[str, Any]:
    """Return KMCL's contrastive loss, which watches the overlaps of the kernels."""
    similarity: Similarity = term.similarity or "bhattacharyya"
    if term.similarity is None and isinstance(head, KernelMixtureSettings):
        similarity = SIMILARITY_OF[head.covariance]
    options: dict[str, Any] = {"similarity": similarity, "effective_dim": term.effective_dim}
    return {
        "loss": KernelContrastiveLoss(term.temperature, **options),
        "diagnostics": partial(kernel_overlaps, **options),
        "alarm": overlap_warning,
    }


def mixture_likelihood(term: MixtureLikelihoodTerm, _: HeadSettings) -> dict[str, Any]:
    """Return ProbMCL's likelihood."""
    return {"loss": MixtureLikelihoodLoss(term.per_dimension, term.detach_features)}


def mixture_contrastive(term: MixtureContrastiveTerm, _: HeadSettings) -> dict[str, Any]:
    """Return ProbMCL's contrastive loss, which watches for a collapse."""
    options: dict[str, Any] = {
        "threshold": term.threshold,
        "overlap": term.overlap,
        "similarity": term.similarity,
        "effective_dim": term.effective_dim,
    }
    return {
        "loss": MixtureContrastiveLoss(term.temperature, **options),
        "diagnostics": partial(mixture_similarities, **options),
        "alarm": collapse_warning,
    }


def focal(term: FocalTerm, _: HeadSettings) -> dict[str, Any]:
    """Return the focal loss."""
    return {"loss": FocalLoss(term.gamma, term.alpha)}


def zlpr(_: ZLPRTerm, __: HeadSettings) -> dict[str, Any]:
    """Return ZLPR, which has no settings."""
    return {"loss": ZLPRLoss()}


def two_way(term: TwoWayTerm, _: HeadSettings) -> dict[str, Any]:
    """Return the two-way loss."""
    return {"loss": TwoWayLoss(term.temperature_positive, term.temperature_negative)}


def supervised_contrastive(term: SupervisedContrastiveTerm, _: HeadSettings) -> dict[str, Any]:
    """Return a supervised contrastive loss."""
    return {"loss": SupervisedContrastiveLoss(term.positives, term.temperature, term.average)}


def similarity_dissimilarity(term: SimilarityDissimilarityTerm, _: HeadSettings) -> dict[str, Any]:
    """Return the similarity-dissimilarity loss."""
    return {"loss": SimilarityDissimilarityLoss(term.temperature)}


LOSSES: Mapping[str, Callable[[Any, HeadSettings], dict[str, Any]]] = {
    "asymmetric": asymmetric,
    "binary_cross_entropy": binary_cross_entropy,
    "deep_supervision": deep_supervision,
    "reconstruction": reconstruction,
    "kernel_contrastive": kernel_contrastive,
    "mixture_likelihood": mixture_likelihood,
    "mixture_contrastive": mixture_contrastive,
    "focal": focal,
    "zlpr": zlpr,
    "two_way": two_way,
    "supervised_contrastive": supervised_contrastive,
    "similarity_dissimilarity": similarity_dissimilarity,
}
"""(settings, head) to the loss of a term called ``terms.NAME.loss``, and what watches it."""


def build_objective(terms: Mapping[str, TermSettings], head: HeadSettings) -> Objective:
    """Return the objective of a stage.

    Args:
        terms: settings by name.
        head: of the model that is trained; it gives what the terms need.
    """
    return Objective(
        tuple(
            Term(
                name,
                weight=settings.weight,
                reduction=settings.reduction,
                needs=settings.needs,
                pairwise=settings.pairwise,
                **LOSSES[settings.loss](settings, head),
            )
            for name, settings in terms.items()
        )
    )

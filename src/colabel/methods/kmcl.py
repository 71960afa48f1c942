r"""KMCL: one stage that learns the labels, which of them go together, and a kernel for each.

The encoder's features ``f`` become a mixture of ``K`` exponential kernels, one per label: its
weight ``pi_k`` is the probability of the label, its mean ``mu_k`` and variance ``sigma_k^2`` say
where the label lies and how widely. Three losses train everything at once:

.. math:: L = \lambda_{rec} L_{REC} + \lambda_{cls} L_{ASL} + \lambda_{con} L_{KMCL}

Source: KMCL, Eq. 8 and Algorithm 1. The paper's text and its Table 6 swap the names of the two
multipliers; here a weight is called after what it weighs.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from colabel.losses import KernelContrastiveLoss, ReconstructionLoss
from colabel.methods.linear import AsymmetricSettings
from colabel.mixtures import GaussianMixture, Similarity, log_similarity_of_rows
from colabel.models import Classifier, Encoder, KernelMixtureHead, Output, mixture_of
from colabel.models.heads import Covariance, Initialisation
from colabel.settings import Settings
from colabel.training import Objective, Stage

SIMILARITY_OF: dict[Covariance, Similarity] = {
    "isotropic": "bhattacharyya",
    "diagonal": "bhattacharyya",
    "shared_diagonal": "mahalanobis",
    "shared_isotropic": "gaussian",
}
"""The rows of Table 4: the similarity that each form of the covariance is made for."""


class Weights(Settings):
    """The multipliers of Eq. 8, named after what they weigh."""

    classification: float = Field(0.1, ge=0)
    contrastive: float = Field(0.3, ge=0)
    reconstruction: float = Field(1.0, ge=0)


class KMCL(AsymmetricSettings):
    """Settings of the method; the defaults are the paper's unless the text says otherwise."""

    name: Literal["kmcl"] = "kmcl"
    covariance: Covariance = "isotropic"
    """Form of the kernels' covariance, which decides the similarity (Table 4)."""
    initialisation: Initialisation = "linear"
    """How the three layers of the kernel mixture module start."""
    feature_length: float | None = Field(8, gt=0)
    """Length the features are brought to before means and variances are read off them; null takes
    them as they come, as the paper does. It keeps the overlaps of Eq. 7 away from 0 and 1."""
    weights: Weights = Weights()
    temperature: float = Field(0.2, gt=0)
    """tau of Eq. 7."""
    effective_dim: float | None = Field(None, gt=0)
    """Replaces the feature width M in the exponents of Eq. 3b and 2b."""
    per_dimension: bool = True
    """Divide the exponents of Eq. 5 by M; false is the paper's formula."""

    @model_validator(mode="after")
    def _effective_dim_is_isotropic(self) -> KMCL:
        if self.effective_dim is not None and "diagonal" in self.covariance:
            raise ValueError(
                f"effective_dim is for isotropic kernels; covariance is {self.covariance}."
            )
        return self


def classifier(encoder: Encoder, classes: int, settings: KMCL) -> Classifier:
    """Return the encoder with a kernel mixture module on top (Fig. 3).

    Args:
        encoder: gives features of ``encoder.width`` dimensions.
        classes: number of labels K.
        settings: the method's settings.

    Returns:
        The model that is trained and deployed; its logits are the log-odds of pi.
    """
    head = KernelMixtureHead(
        encoder.width,
        classes,
        covariance=settings.covariance,
        init=settings.initialisation,
        feature_length=settings.feature_length,
    )
    return Classifier(encoder, head)


def stages(
    model: Classifier, settings: KMCL, *, epochs: int, learning_rate: float
) -> tuple[Stage, ...]:
    """Return the single stage of the method (Algorithm 1).

    Args:
        model: as :func:`classifier` made it.
        settings: the method's settings.
        epochs: passes over the training images.
        learning_rate: the largest of the one-cycle schedule.

    Returns:
        One stage.
    """
    weights = {
        name: weight for name, weight in settings.weights.model_dump().items() if weight > 0
    }
    classification = settings.loss()
    reconstruction = ReconstructionLoss(settings.per_dimension)
    contrastive = KernelContrastiveLoss(
        settings.temperature, SIMILARITY_OF[settings.covariance], settings.effective_dim
    )

    def classify(output: Output, targets: Tensor) -> Tensor:
        loss: Tensor = classification(mixture_of(output).logits, targets)
        return loss

    def reconstruct(output: Output, targets: Tensor) -> Tensor:
        loss: Tensor = reconstruction(mixture_of(output), output.features, targets)
        return loss

    def contrast(output: Output, targets: Tensor) -> Tensor:
        loss: Tensor = contrastive(mixture_of(output), targets)
        return loss

    terms = {
        "classification": classify,
        "contrastive": contrast,
        "reconstruction": reconstruct,
    }

    def overlaps(output: Output, targets: Tensor) -> dict[str, float]:
        return overlap_diagnostics(mixture_of(output), targets, settings)

    objective = Objective(
        terms={name: terms[name] for name in weights},
        weights=weights,
        pairwise="contrastive" in weights,
        diagnostics=overlaps,
        reductions={
            name: settings.reduction if name == "classification" else "mean" for name in weights
        },
    )
    return (Stage("kmcl", model, objective, epochs, learning_rate),)


def overlap_diagnostics(
    mixture: GaussianMixture, targets: Tensor, settings: KMCL
) -> dict[str, float]:
    """Return how the kernels of a batch overlap, so that a dead or collapsed term shows at once.

    A healthy contrastive term has ``overlap_shared`` above ``overlap_unshared`` and few zeros. All
    overlaps near 1: the kernels have collapsed. Most of them 0: they lie too far apart for the
    gradient to see them.

    Args:
        mixture: kernels of a batch.
        targets: 1, 0 or -1, shape (batch, classes).
        settings: the method's settings.

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
        similarity=SIMILARITY_OF[settings.covariance],
        effective_dim=settings.effective_dim,
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

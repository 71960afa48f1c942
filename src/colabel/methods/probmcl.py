r"""ProbMCL: first an encoder that puts images with the same labels together, then a classifier.

Stage 1 sees two augmented views of every image. The encoder's features ``h``, of length 1, become
a mixture of ``C`` Gaussian densities, one per class, by a small network that is dropped later. Two
losses train both:

.. math:: L = L_{NLL} + \lambda L_{PCL}

the likelihood of the features under their own mixture, and a contrastive loss that makes the
mixtures of images alike whose labels overlap by at least ``alpha``.

Stage 2 keeps the encoder as it is and trains a linear classifier on it with the asymmetric loss.
Encoder and classifier are what is deployed.

Source: ProbMCL, Sec. 2 and 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from colabel.losses import (
    MixtureContrastiveLoss,
    MixtureLikelihoodLoss,
    MixtureSimilarity,
    Overlap,
    compare_mixtures,
)
from colabel.methods.linear import AsymmetricSettings, classification_objective
from colabel.mixtures import GaussianMixture
from colabel.models import Classifier, Encoder, LinearHead, MixtureDensityHead, Output, mixture_of
from colabel.models.heads import Activation, Initialisation
from colabel.settings import Settings
from colabel.training import Objective, Stage

VIEWS = 2
"""Augmented versions of each image in a batch of stage 1."""

COLLAPSED = 0.98
"""Mean similarity of negatives from which a batch counts as collapsed."""

VANISHED = 0.02
"""Mean similarity of positives up to which they count as out of each other's sight."""


class Weights(Settings):
    """The multipliers of Eq. 4, named after what they weigh."""

    likelihood: float = Field(1.0, ge=0)
    contrastive: float = Field(0.3, ge=0)
    """lambda of Eq. 4."""


class Classification(AsymmetricSettings):
    """Stage 2: a linear classifier on the frozen encoder."""

    epochs: int = Field(40, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    """The largest of the schedule; null: that of stage 1."""
    augmented: bool = True
    """Augment the images, as the paper does, which encodes every image again in every epoch; false
    encodes each once."""
    feature_length: float | None = Field(1, gt=0)
    """Length of the features the classifier sees, 1 in the paper; null: as the encoder gives
    them."""


class ProbMCL(Settings):
    """Settings of the method; the defaults are the paper's unless the text says otherwise."""

    name: Literal["probmcl"] = "probmcl"
    weights: Weights = Weights()
    temperature: float = Field(0.2, gt=0)
    """tau of Eq. 3."""
    threshold: float = Field(0.6, ge=0, le=1)
    """alpha: overlap of two images' labels from which they are positives."""
    overlap: Overlap = "jaccard"
    """D of Eq. 3."""
    similarity: MixtureSimilarity = "correlation"
    """Sim of Eq. 3: the correlation coefficient, or a lower bound of the Bhattacharyya one."""
    effective_dim: int | None = Field(None, ge=1)
    """Replaces the width n in the similarity of two mixtures."""
    per_dimension: bool = True
    """Divide Eq. 2 by n; false is the paper's formula, which collapses."""
    detach_features: bool = False
    """Whether the features z are constants to Eq. 2, which then reaches the encoder through the
    mixtures alone."""
    projection: int | None = Field(None, ge=1)
    """Width n of a linear layer after the encoder in stage 1, dropped with the mixtures; null: no
    layer, n is the encoder's width."""
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (2048, 128)
    """Nodes of the mixture density network's hidden layers."""
    activation: Activation = "gelu"
    """Of the hidden layers; the paper does not name it."""
    initialisation: Initialisation = "linear"
    """How the output layers of the mixture density network start."""
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to before the mixture density network; null: 1, that of
    Eq. 2."""
    classification: Classification = Classification()


def classifier(encoder: Encoder, classes: int, settings: ProbMCL) -> Classifier:
    """Return the encoder with a linear classifier: what is left at inference.

    Args:
        encoder: gives features of ``encoder.width`` dimensions.
        classes: number of labels C.
        settings: the method's settings.

    Returns:
        The model that is deployed, and trained in stage 2.
    """
    return Classifier(
        encoder, LinearHead(encoder.width, classes), settings.classification.feature_length
    )


def contrastive_model(
    encoder: nn.Module, width: int, classes: int, settings: ProbMCL
) -> Classifier:
    """Return the encoder with a mixture density network: the model of stage 1 (Fig. 1 a).

    Args:
        encoder: gives features of ``width`` dimensions.
        width: number of features H.
        classes: number of components C.
        settings: the method's settings.

    Returns:
        A model whose outputs have features of length 1 and a mixture, but no logits.
    """
    if settings.projection is not None:
        encoder = nn.Sequential(encoder, nn.Linear(width, settings.projection))
        width = settings.projection
    head = MixtureDensityHead(
        width,
        classes,
        hidden=settings.hidden,
        activation=settings.activation,
        init=settings.initialisation,
        feature_length=settings.feature_length,
    )
    return Classifier(encoder, head, feature_length=1)


def stages(
    model: Classifier, settings: ProbMCL, *, epochs: int, learning_rate: float
) -> tuple[Stage, ...]:
    """Return the two stages of the method.

    Args:
        model: as :func:`classifier` made it.
        settings: the method's settings.
        epochs: of stage 1, passes over the training images.
        learning_rate: the largest of the one-cycle schedule of stage 1, and of stage 2 where that
            does not name its own.

    Returns:
        The contrastive stage and the classification stage, which share the encoder.
    """
    encoder, head = model.encoder, model.head
    assert isinstance(head, LinearHead)
    second = settings.classification
    return (
        Stage(
            "contrastive",
            contrastive_model(encoder, head.width, head.classes, settings),
            contrastive_objective(settings),
            epochs,
            learning_rate,
            views=VIEWS,
            validated=False,
        ),
        Stage(
            "classification",
            model,
            classification_objective(second),
            second.epochs,
            second.learning_rate or learning_rate,
            frozen=(encoder,),
            augmented=second.augmented,
            encoder=encoder,
        ),
    )


def contrastive_objective(settings: ProbMCL) -> Objective:
    """Return Eq. 4: the likelihood and the contrastive loss, both means over the views."""
    likelihood = MixtureLikelihoodLoss(settings.per_dimension)
    contrastive = MixtureContrastiveLoss(
        settings.temperature,
        settings.threshold,
        settings.overlap,
        settings.similarity,
        settings.effective_dim,
    )

    def explain(output: Output, _: Tensor) -> Tensor:
        features = output.features.detach() if settings.detach_features else output.features
        loss: Tensor = likelihood(mixture_of(output), features)
        return loss

    def contrast(output: Output, targets: Tensor) -> Tensor:
        loss: Tensor = contrastive(mixture_of(output), targets)
        return loss

    def diagnose(output: Output, targets: Tensor) -> dict[str, float]:
        return similarity_diagnostics(mixture_of(output), targets, settings)

    terms = {"likelihood": explain, "contrastive": contrast}
    weights = {
        name: weight for name, weight in settings.weights.model_dump().items() if weight > 0
    }
    return Objective(
        terms={name: terms[name] for name in weights},
        weights=weights,
        pairwise="contrastive" in weights,
        diagnostics=diagnose,
        alarm=collapse_warning,
        reductions=dict.fromkeys(weights, "mean"),
    )


def similarity_diagnostics(
    mixture: GaussianMixture, targets: Tensor, settings: ProbMCL
) -> dict[str, float]:
    """Return how alike the mixtures of a batch are, so that a collapse shows at once.

    A healthy run has ``similarity_positive`` above ``similarity_negative``, further every epoch.

    Args:
        mixture: densities of a batch of views.
        targets: 1, 0 or -1, shape (batch, classes).
        settings: the method's settings.

    Returns:
        Mean similarity of an anchor with its positives and with all others, where there are any;
        the share of anchors without positives; the share of variances within 1 % of their floor of
        1; the mean entropy of the weights, divided by that of equal weights.
    """
    pairs = compare_mixtures(
        mixture,
        targets,
        threshold=settings.threshold,
        overlap=settings.overlap,
        similarity=settings.similarity,
        effective_dim=settings.effective_dim,
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
        diagnostics: as :func:`similarity_diagnostics` gives them.

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
            "tell apart. Keep method.per_dimension true, raise method.weights.contrastive, or set "
            "method.feature_length."
        )
    if positive <= VANISHED:
        return (
            f"the mixtures do not reach each other: {found}, where the contrastive term has no "
            "gradient. Lower method.feature_length or set method.effective_dim."
        )
    return None

"""Settings of the terms of an objective: which loss, how much it weighs, what it needs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from colabel.choices import (
    MixtureSimilarity,
    Overlap,
    PairAverage,
    Positives,
    ProjectionKind,
    Reduction,
    Similarity,
)
from colabel.settings.base import Settings


class BaseTerm(Settings):
    """What the settings of all terms have."""

    needs: ClassVar[tuple[str, ...]]
    """What the loss takes, in order: ``targets`` and what the head has to give."""
    pairwise: ClassVar[bool] = False
    """Whether the loss compares the images of a batch with each other."""

    loss: str
    """Its name."""
    weight: float = Field(1.0, ge=0)
    """Multiplier in the objective; with 0 the term is measured and not trained on."""


class AsymmetricTerm(BaseTerm):
    """The asymmetric loss (KMCL, Eq. 6)."""

    needs = ("logits", "targets")

    loss: Literal["asymmetric"] = "asymmetric"
    reduction: Reduction = "sum"
    """Over the batch: "mean" is Eq. 6, "sum" its original form. Where it is the only term, Adam
    does not see the factor, weight decay does."""
    detach_focusing: bool = True
    """Whether the focusing factors are constants to the gradient."""
    gamma_positive: float = Field(0, ge=0)
    gamma_negative: float = Field(4, ge=0)
    margin: float = Field(0.05, ge=0, lt=1)
    label_smoothing: float = Field(0, ge=0, lt=1)
    """Part of every target that is one half instead; not in the paper."""


class BinaryCrossEntropyTerm(BaseTerm):
    """Binary cross-entropy, the mean over the images and labels of a batch."""

    needs = ("logits", "targets")

    loss: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    reduction: Literal["mean"] = "mean"
    label_smoothing: float = Field(0, ge=0, lt=1)
    """Part of every target that is one half instead: 0.1 makes them 0.95 and 0.05."""


class DeepSupervisionTerm(BaseTerm):
    """Binary cross-entropy of every branch of a head that has several, added up."""

    needs = ("auxiliary", "targets")

    loss: Literal["deep_supervision"] = "deep_supervision"
    reduction: Literal["mean"] = "mean"
    label_smoothing: float = Field(0, ge=0, lt=1)
    """As of the cross-entropy."""


class ReconstructionTerm(BaseTerm):
    """The kernels of the present labels explain the features (KMCL, Eq. 5)."""

    needs = ("mixture", "features", "targets")

    loss: Literal["reconstruction"] = "reconstruction"
    reduction: Literal["mean"] = "mean"
    per_dimension: bool = True
    """Divide the exponents of Eq. 5 by M; false is the paper's formula."""


class KernelContrastiveTerm(BaseTerm):
    """Kernels of a label that two images share overlap (KMCL, Eq. 7)."""

    needs = ("mixture", "targets")
    pairwise = True

    loss: Literal["kernel_contrastive"] = "kernel_contrastive"
    reduction: Literal["mean"] = "mean"
    temperature: float = Field(0.2, gt=0)
    """tau of Eq. 7."""
    similarity: Similarity | None = None
    """Of two kernels; null: the one that the covariance of the head is made for (Table 4)."""
    effective_dim: float | None = Field(None, gt=0)
    """Replaces the feature width M in the exponents of Eq. 3b and 2b."""


class MixtureLikelihoodTerm(BaseTerm):
    """The features are likely under their own mixture (ProbMCL, Eq. 2)."""

    needs = ("mixture", "features")

    loss: Literal["mixture_likelihood"] = "mixture_likelihood"
    reduction: Literal["mean"] = "mean"
    per_dimension: bool = True
    """Divide Eq. 2 by n; false is the paper's formula, which collapses."""
    detach_features: bool = False
    """Whether the features z are constants to Eq. 2, which then reaches the encoder through the
    mixtures alone."""


class MixtureContrastiveTerm(BaseTerm):
    """Mixtures of images are alike whose labels overlap enough (ProbMCL, Eq. 3)."""

    needs = ("mixture", "targets")
    pairwise = True

    loss: Literal["mixture_contrastive"] = "mixture_contrastive"
    reduction: Literal["mean"] = "mean"
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


class FocalTerm(BaseTerm):
    """The focal loss: the sum over the labels of an image, the mean over the images."""

    needs = ("logits", "targets")

    loss: Literal["focal"] = "focal"
    reduction: Literal["mean"] = "mean"
    gamma: float = Field(2, ge=0)
    """Focusing power; 0 leaves the weighted cross-entropy."""
    alpha: float | None = Field(0.25, ge=0, le=1)
    """Weight of present labels, absent ones weigh 1 - alpha; null weighs neither."""


class ZLPRTerm(BaseTerm):
    """ZLPR: present labels above logit 0, absent ones below; the mean over the images."""

    needs = ("logits", "targets")

    loss: Literal["zlpr"] = "zlpr"
    reduction: Literal["mean"] = "mean"


class TwoWayTerm(BaseTerm):
    """The two-way loss: present above absent labels, along the images and along the labels."""

    needs = ("logits", "targets")
    pairwise = True

    loss: Literal["two_way"] = "two_way"
    reduction: Literal["mean"] = "mean"
    temperature_positive: float = Field(4, gt=0)
    """Of present labels."""
    temperature_negative: float = Field(1, gt=0)
    """Of absent labels."""


class EmbeddingTerm(BaseTerm):
    """What the settings of terms that compare embeddings have."""

    needs = ("embeddings", "targets")
    pairwise = True

    reduction: Literal["mean"] = "mean"
    projection: ProjectionKind | None = "mlp"
    """From features to embeddings: a linear layer, or two with a ReLU between; trained with the
    term and dropped with it. null: the features are the embeddings."""
    projection_width: int = Field(256, ge=1)
    """Width of the embeddings, where there is a projection."""


class SupervisedContrastiveTerm(EmbeddingTerm):
    """Embeddings of images that share labels are alike (SupCon; per label: MulSupCon)."""

    loss: Literal["supervised_contrastive"] = "supervised_contrastive"
    positives: Positives = "all"
    """Which images are alike: those of the same label set, with any label in common, or the
    positives of each label in turn."""
    temperature: float = Field(0.1, gt=0)
    average: PairAverage = "pairs"
    """For per_label: every pair of anchor and label weighs the same, or every image."""

    @model_validator(mode="after")
    def _average_fits(self) -> SupervisedContrastiveTerm:
        if self.average == "images" and self.positives != "per_label":
            raise ValueError(
                f"average images is for positives per_label, and positives is {self.positives}; "
                "there every anchor weighs the same in any case"
            )
        return self


class SimilarityDissimilarityTerm(EmbeddingTerm):
    """Positives weigh by the labels they share with the anchor and those they have beside."""

    loss: Literal["similarity_dissimilarity"] = "similarity_dissimilarity"
    temperature: float = Field(0.07, gt=0)


TermSettings = Annotated[
    AsymmetricTerm
    | BinaryCrossEntropyTerm
    | DeepSupervisionTerm
    | ReconstructionTerm
    | KernelContrastiveTerm
    | MixtureLikelihoodTerm
    | MixtureContrastiveTerm
    | FocalTerm
    | ZLPRTerm
    | TwoWayTerm
    | SupervisedContrastiveTerm
    | SimilarityDissimilarityTerm,
    Field(discriminator="loss"),
]

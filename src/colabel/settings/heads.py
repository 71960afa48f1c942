"""Settings of the heads: what is read off pooled features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from colabel.choices import Activation, Covariance, GraphNorm, Initialisation
from colabel.settings.base import Settings
from colabel.settings.poolings import EncoderPooling, ImagePooling, PoolingSettings

TEMPERATURES: Mapping[int, tuple[float, ...]] = {
    1: (1,),
    2: (1, 99),
    4: (1, 2, 4, 99),
    6: (1, 2, 3, 4, 5, 99),
    8: (1, 2, 3, 4, 5, 6, 7, 99),
}
"""CSRA's temperatures by its number of heads (Zhu and Wu 2021, Sec. 3.3)."""


class LinearSettings(Settings):
    """One logit per label, linear in its features."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits")

    name: Literal["linear"] = "linear"
    pooling: PoolingSettings = EncoderPooling()
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to; null: as they are pooled."""


class KernelMixtureSettings(Settings):
    """KMCL's kernel mixture module: a probability and an exponential kernel per label."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits", "mixture")

    name: Literal["kernel_mixture"] = "kernel_mixture"
    pooling: PoolingSettings = EncoderPooling()
    covariance: Covariance = "isotropic"
    """Form of the kernels' covariance, which decides their similarity (Table 4)."""
    initialisation: Initialisation = "linear"
    """How the three layers of the module start."""
    feature_length: float | None = Field(8, gt=0)
    """Length the features are brought to before means and variances are read off them; null takes
    them as they come, as the paper does. It keeps the overlaps of Eq. 7 away from 0 and 1."""
    logit_feature_length: float | None = Field(None, gt=0)
    """The same for the probabilities; null takes features as they come, as the paper does."""


class CSRASettings(Settings):
    """CSRA: classifiers at each position, averaged, and added to what they say where they look."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits")

    name: Literal["csra"] = "csra"
    heads: Literal[1, 2, 4, 6, 8] = 1
    """Independent classifiers, whose temperatures the paper lists (:data:`TEMPERATURES`)."""
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(None, min_length=1)
    """Of the classifiers; null: those of the paper. 99 is the maximum."""
    residual: float = Field(0.1, ge=0)
    """lambda: weight of what is attended to; the paper has 0.1 on VOC, 0.4 on COCO."""


class MixtureDensitySettings(Settings):
    """ProbMCL's mixture density network: a Gaussian density per label of features of length 1."""

    gives: ClassVar[tuple[str, ...]] = ("features", "mixture")

    name: Literal["mixture_density"] = "mixture_density"
    pooling: ImagePooling = EncoderPooling()
    projection: int | None = Field(None, ge=1)
    """Width n of a linear layer after the encoder, dropped with the mixtures; null: no layer, n is
    the encoder's width."""
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (2048, 128)
    """Nodes of the hidden layers."""
    activation: Activation = "gelu"
    """Of the hidden layers; the paper does not name it."""
    initialisation: Initialisation = "linear"
    """How the output layers start."""
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to before the network; null: 1, that of Eq. 2."""


class FeaturesSettings(Settings):
    """The pooled features and no answer: for a stage whose terms compare embeddings alone."""

    gives: ClassVar[tuple[str, ...]] = ("features",)

    name: Literal["features"] = "features"
    pooling: PoolingSettings = EncoderPooling()
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to; null: as they are pooled."""


LEARNED, ONE_HOT = "learned", "one_hot"
"""Values of ``head.vectors`` that are no file."""


class MLGCNSettings(Settings):
    """ML-GCN: a classifier per label, made by a graph of the labels of the training images."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits")

    name: Literal["ml_gcn"] = "ml_gcn"
    vectors: str = LEARNED
    """Of the labels: ``learned``; ``one_hot``; or a file: text of GloVe's format, a word and its
    numbers a line, or .npy or .safetensors with a row per label in the order of the classes. What
    a file says is saved with the weights."""
    width: int = Field(300, ge=1)
    """Numbers in a vector, learned or of a file."""
    hidden: int = Field(1024, ge=1)
    """Width between the two graph layers."""
    threshold: float = Field(0.4, ge=0, le=1)
    """tau of Eq. 7: share of a label's images in which another is its neighbour."""
    neighbours: float = Field(0.2, ge=0, lt=1)
    """p of Eq. 8: weight of a label's neighbours together."""
    norm: GraphNorm = "paper"
    """Over what it is shared out: ``paper``: the neighbours of the label; ``released``: the labels
    it is a neighbour of, as the published numbers were made."""


class TDRGSettings(Settings):
    """TDRG: a transformer over three scales and a graph of the labels of each image."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits", "auxiliary")

    name: Literal["tdrg"] = "tdrg"
    channels: int = Field(512, ge=4, multiple_of=4)
    """Features of each scale."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Of the transformer."""


GraphSettings = MLGCNSettings | TDRGSettings
"""Heads that read feature maps themselves and have no pooling to choose."""

HeadSettings = Annotated[
    LinearSettings
    | CSRASettings
    | KernelMixtureSettings
    | MixtureDensitySettings
    | FeaturesSettings
    | GraphSettings,
    Field(discriminator="name"),
]

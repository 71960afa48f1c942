"""Settings of the heads: how features are pooled, and what is read off them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from colabel.choices import Activation, Covariance, Initialisation
from colabel.settings.base import Settings


class EncoderPooling(Settings):
    """One vector per image, pooled as the encoder itself does: an average for most."""

    name: Literal["encoder"] = "encoder"


class ClassAttention(Settings):
    """One vector per label: a weighted average over the positions of the feature map."""

    name: Literal["class_attention"] = "class_attention"


Pooling = Annotated[EncoderPooling | ClassAttention, Field(discriminator="name")]


class LinearSettings(Settings):
    """One logit per label, linear in its features."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits")

    name: Literal["linear"] = "linear"
    pooling: Pooling = EncoderPooling()
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to; null: as they are pooled."""


class KernelMixtureSettings(Settings):
    """KMCL's kernel mixture module: a probability and an exponential kernel per label."""

    gives: ClassVar[tuple[str, ...]] = ("features", "logits", "mixture")

    name: Literal["kernel_mixture"] = "kernel_mixture"
    pooling: Pooling = EncoderPooling()
    covariance: Covariance = "isotropic"
    """Form of the kernels' covariance, which decides their similarity (Table 4)."""
    initialisation: Initialisation = "linear"
    """How the three layers of the module start."""
    feature_length: float | None = Field(8, gt=0)
    """Length the features are brought to before means and variances are read off them; null takes
    them as they come, as the paper does. It keeps the overlaps of Eq. 7 away from 0 and 1."""


class MixtureDensitySettings(Settings):
    """ProbMCL's mixture density network: a Gaussian density per label of features of length 1."""

    gives: ClassVar[tuple[str, ...]] = ("features", "mixture")

    name: Literal["mixture_density"] = "mixture_density"
    pooling: EncoderPooling = EncoderPooling()
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
    pooling: Pooling = EncoderPooling()
    feature_length: float | None = Field(None, gt=0)
    """Length the features are brought to; null: as they are pooled."""


HeadSettings = Annotated[
    LinearSettings | KernelMixtureSettings | MixtureDensitySettings | FeaturesSettings,
    Field(discriminator="name"),
]

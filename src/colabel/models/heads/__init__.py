"""Heads: from an image's features to its labels' logits, or to a mixture with logits."""

from colabel.choices import Activation, Covariance, Initialisation
from colabel.models.heads.features import FeaturesHead
from colabel.models.heads.kernel_mixture import KernelMixtureHead
from colabel.models.heads.layers import bring_to_length
from colabel.models.heads.linear import LinearHead
from colabel.models.heads.mixture_density import MixtureDensityHead
from colabel.models.heads.projection import Projection

__all__ = [
    "Activation",
    "Covariance",
    "FeaturesHead",
    "Initialisation",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "Projection",
    "bring_to_length",
]

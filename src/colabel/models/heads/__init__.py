"""Heads: from an image's features to its labels' logits, or to a mixture with logits."""

from colabel.choices import Activation, Covariance, Initialisation
from colabel.models.heads.csra import CSRAHead
from colabel.models.heads.kernel_mixture import KernelMixtureHead
from colabel.models.heads.layers import bring_to_length
from colabel.models.heads.linear import LinearHead
from colabel.models.heads.mixture_density import MixtureDensityHead

__all__ = [
    "Activation",
    "CSRAHead",
    "Covariance",
    "Initialisation",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "bring_to_length",
]

"""Heads: from an image's features to its labels' logits, or to a mixture with logits."""

from colabel.choices import Activation, Covariance, Initialisation
from colabel.models.heads.csra import CSRAHead
from colabel.models.heads.features import FeaturesHead
from colabel.models.heads.graph_of_labels import conditional_frequencies, label_graph
from colabel.models.heads.kernel_mixture import KernelMixtureHead
from colabel.models.heads.layers import bring_to_length
from colabel.models.heads.linear import LinearHead
from colabel.models.heads.mixture_density import MixtureDensityHead
from colabel.models.heads.ml_gcn import FoldedGraphHead, GraphConvolutionHead
from colabel.models.heads.projection import Projection
from colabel.models.heads.tdrg import TransformerGraphHead

__all__ = [
    "Activation",
    "CSRAHead",
    "Covariance",
    "FeaturesHead",
    "FoldedGraphHead",
    "GraphConvolutionHead",
    "Initialisation",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "Projection",
    "TransformerGraphHead",
    "bring_to_length",
    "conditional_frequencies",
    "label_graph",
]

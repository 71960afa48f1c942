"""The losses: a function per equation, per image where there is such, and a thin module around."""

from colabel.losses.asymmetric import AsymmetricLoss, asymmetric_loss
from colabel.losses.binary_cross_entropy import BinaryCrossEntropyLoss, binary_cross_entropy
from colabel.losses.deep_supervision import DeepSupervisionLoss, deep_supervision
from colabel.losses.diagnostics import (
    collapse_warning,
    kernel_overlaps,
    mixture_similarities,
    overlap_warning,
)
from colabel.losses.focal import FocalLoss, focal_loss
from colabel.losses.kernel_contrastive import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.losses.mixture_contrastive import (
    MixtureContrastiveLoss,
    MixturePairs,
    compare_mixtures,
    mixture_contrastive_loss,
)
from colabel.losses.mixture_likelihood import MixtureLikelihoodLoss, mixture_likelihood_loss
from colabel.losses.reconstruction import ReconstructionLoss, log_kernels, reconstruction_loss
from colabel.losses.similarity_dissimilarity import (
    SimilarityDissimilarityLoss,
    similarity_dissimilarity_loss,
)
from colabel.losses.supervised_contrastive import (
    SupervisedContrastiveLoss,
    supervised_contrastive_loss,
)
from colabel.losses.two_way import TwoWayLoss, two_way_loss
from colabel.losses.zlpr import ZLPRLoss, zlpr_loss

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropyLoss",
    "DeepSupervisionLoss",
    "FocalLoss",
    "KernelContrastiveLoss",
    "MixtureContrastiveLoss",
    "MixtureLikelihoodLoss",
    "MixturePairs",
    "ReconstructionLoss",
    "SimilarityDissimilarityLoss",
    "SupervisedContrastiveLoss",
    "TwoWayLoss",
    "ZLPRLoss",
    "asymmetric_loss",
    "binary_cross_entropy",
    "collapse_warning",
    "compare_mixtures",
    "deep_supervision",
    "focal_loss",
    "kernel_contrastive_loss",
    "kernel_overlaps",
    "log_kernels",
    "mixture_contrastive_loss",
    "mixture_likelihood_loss",
    "mixture_similarities",
    "overlap_warning",
    "reconstruction_loss",
    "similarity_dissimilarity_loss",
    "supervised_contrastive_loss",
    "two_way_loss",
    "zlpr_loss",
]

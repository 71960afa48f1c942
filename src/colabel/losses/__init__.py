"""The losses: a function per equation with one value per image, and a thin module around it."""

from colabel.losses.asymmetric import AsymmetricLoss, asymmetric_loss
from colabel.losses.binary_cross_entropy import BinaryCrossEntropyLoss, binary_cross_entropy
from colabel.losses.deep_supervision import DeepSupervisionLoss, deep_supervision
from colabel.losses.diagnostics import collapse_warning, kernel_overlaps, mixture_similarities
from colabel.losses.kernel_contrastive import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.losses.mixture_contrastive import (
    MixtureContrastiveLoss,
    MixturePairs,
    compare_mixtures,
    mixture_contrastive_loss,
)
from colabel.losses.mixture_likelihood import MixtureLikelihoodLoss, mixture_likelihood_loss
from colabel.losses.reconstruction import ReconstructionLoss, log_kernels, reconstruction_loss

__all__ = [
    "AsymmetricLoss",
    "BinaryCrossEntropyLoss",
    "DeepSupervisionLoss",
    "KernelContrastiveLoss",
    "MixtureContrastiveLoss",
    "MixtureLikelihoodLoss",
    "MixturePairs",
    "ReconstructionLoss",
    "asymmetric_loss",
    "binary_cross_entropy",
    "collapse_warning",
    "compare_mixtures",
    "deep_supervision",
    "kernel_contrastive_loss",
    "kernel_overlaps",
    "log_kernels",
    "mixture_contrastive_loss",
    "mixture_likelihood_loss",
    "mixture_similarities",
    "reconstruction_loss",
]

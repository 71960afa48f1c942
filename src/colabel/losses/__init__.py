"""The losses: a function per equation with one value per image, and a thin module around it."""

from colabel.losses.asymmetric import AsymmetricLoss, asymmetric_loss
from colabel.losses.kernel_contrastive import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.losses.mixture_contrastive import (
    MixtureContrastiveLoss,
    MixturePairs,
    MixtureSimilarity,
    Overlap,
    compare_mixtures,
    mixture_contrastive_loss,
)
from colabel.losses.mixture_likelihood import MixtureLikelihoodLoss, mixture_likelihood_loss
from colabel.losses.reconstruction import ReconstructionLoss, log_kernels, reconstruction_loss

__all__ = [
    "AsymmetricLoss",
    "KernelContrastiveLoss",
    "MixtureContrastiveLoss",
    "MixtureLikelihoodLoss",
    "MixturePairs",
    "MixtureSimilarity",
    "Overlap",
    "ReconstructionLoss",
    "asymmetric_loss",
    "compare_mixtures",
    "kernel_contrastive_loss",
    "log_kernels",
    "mixture_contrastive_loss",
    "mixture_likelihood_loss",
    "reconstruction_loss",
]

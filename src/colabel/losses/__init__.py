"""The losses: a function per equation with one value per image, and a thin module around it."""

from colabel.losses.asymmetric import AsymmetricLoss, asymmetric_loss
from colabel.losses.kernel_contrastive import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.losses.reconstruction import ReconstructionLoss, log_kernels, reconstruction_loss

__all__ = [
    "AsymmetricLoss",
    "KernelContrastiveLoss",
    "ReconstructionLoss",
    "asymmetric_loss",
    "kernel_contrastive_loss",
    "log_kernels",
    "reconstruction_loss",
]

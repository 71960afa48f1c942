"""The groups of settings a recipe is made of; free of torch."""

from colabel.settings.base import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.settings.heads import (
    ClassAttention,
    EncoderPooling,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
)
from colabel.settings.problems import explain_problems
from colabel.settings.terms import (
    AsymmetricTerm,
    BaseTerm,
    BinaryCrossEntropyTerm,
    KernelContrastiveTerm,
    MixtureContrastiveTerm,
    MixtureLikelihoodTerm,
    ReconstructionTerm,
    TermSettings,
)
from colabel.settings.training import Evaluation, Training, WarmStart

__all__ = [
    "PRETRAINED",
    "AsymmetricTerm",
    "Augmentation",
    "BaseTerm",
    "BinaryCrossEntropyTerm",
    "ClassAttention",
    "Data",
    "EncoderPooling",
    "EncoderSettings",
    "Evaluation",
    "HeadSettings",
    "KernelContrastiveTerm",
    "KernelMixtureSettings",
    "LinearSettings",
    "MixtureContrastiveTerm",
    "MixtureDensitySettings",
    "MixtureLikelihoodTerm",
    "ReconstructionTerm",
    "Settings",
    "TermSettings",
    "Training",
    "WarmStart",
    "explain_problems",
]

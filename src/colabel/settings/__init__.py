"""The groups of settings a recipe is made of; free of torch."""

from colabel.settings.base import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.settings.heads import (
    ClassAttention,
    EncoderPooling,
    GraphSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
    MLGCNSettings,
    TDRGSettings,
)
from colabel.settings.problems import explain_problems
from colabel.settings.terms import (
    AsymmetricTerm,
    BaseTerm,
    BinaryCrossEntropyTerm,
    DeepSupervisionTerm,
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
    "DeepSupervisionTerm",
    "EncoderPooling",
    "EncoderSettings",
    "Evaluation",
    "GraphSettings",
    "HeadSettings",
    "KernelContrastiveTerm",
    "KernelMixtureSettings",
    "LinearSettings",
    "MLGCNSettings",
    "MixtureContrastiveTerm",
    "MixtureDensitySettings",
    "MixtureLikelihoodTerm",
    "ReconstructionTerm",
    "Settings",
    "TDRGSettings",
    "TermSettings",
    "Training",
    "WarmStart",
    "explain_problems",
]

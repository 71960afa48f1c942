"""The groups of settings a recipe is made of; free of torch."""

from colabel.settings.base import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.settings.heads import (
    ClassAttention,
    EncoderPooling,
    FeaturesSettings,
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
    EmbeddingTerm,
    FocalTerm,
    KernelContrastiveTerm,
    MixtureContrastiveTerm,
    MixtureLikelihoodTerm,
    ReconstructionTerm,
    SimilarityDissimilarityTerm,
    SupervisedContrastiveTerm,
    TermSettings,
    TwoWayTerm,
    ZLPRTerm,
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
    "EmbeddingTerm",
    "EncoderPooling",
    "EncoderSettings",
    "Evaluation",
    "FeaturesSettings",
    "FocalTerm",
    "HeadSettings",
    "KernelContrastiveTerm",
    "KernelMixtureSettings",
    "LinearSettings",
    "MixtureContrastiveTerm",
    "MixtureDensitySettings",
    "MixtureLikelihoodTerm",
    "ReconstructionTerm",
    "Settings",
    "SimilarityDissimilarityTerm",
    "SupervisedContrastiveTerm",
    "TermSettings",
    "Training",
    "TwoWayTerm",
    "WarmStart",
    "ZLPRTerm",
    "explain_problems",
]

"""The groups of settings a recipe is made of; free of torch."""

from colabel.settings.base import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.settings.heads import (
    TEMPERATURES,
    CSRASettings,
    GraphSettings,
    HeadSettings,
    KernelMixtureSettings,
    LinearSettings,
    MixtureDensitySettings,
    MLGCNSettings,
    TDRGSettings,
)
from colabel.settings.poolings import (
    AveragePooling,
    ClassAttention,
    CSRAPooling,
    EncoderPooling,
    GeneralisedMeanPooling,
    MaxPooling,
    MLDecoderPooling,
    PoolingSettings,
    Query2LabelPooling,
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
    "TEMPERATURES",
    "AsymmetricTerm",
    "Augmentation",
    "AveragePooling",
    "BaseTerm",
    "BinaryCrossEntropyTerm",
    "CSRAPooling",
    "CSRASettings",
    "ClassAttention",
    "Data",
    "DeepSupervisionTerm",
    "EncoderPooling",
    "EncoderSettings",
    "Evaluation",
    "GeneralisedMeanPooling",
    "GraphSettings",
    "HeadSettings",
    "KernelContrastiveTerm",
    "KernelMixtureSettings",
    "LinearSettings",
    "MLDecoderPooling",
    "MLGCNSettings",
    "MaxPooling",
    "MixtureContrastiveTerm",
    "MixtureDensitySettings",
    "MixtureLikelihoodTerm",
    "PoolingSettings",
    "Query2LabelPooling",
    "ReconstructionTerm",
    "Settings",
    "TDRGSettings",
    "TermSettings",
    "Training",
    "WarmStart",
    "explain_problems",
]

"""Encoders, heads, the model they make, and what it costs."""

from colabel.models.classifier import Classifier, Output, mixture_of
from colabel.models.cost import Cost, cost, cost_of_model
from colabel.models.encoders import Encoder, build_encoder, list_encoders
from colabel.models.heads import KernelMixtureHead, LinearHead, MixtureDensityHead

__all__ = [
    "Classifier",
    "Cost",
    "Encoder",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "Output",
    "build_encoder",
    "cost",
    "cost_of_model",
    "list_encoders",
    "mixture_of",
]

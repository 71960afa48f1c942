"""Encoders, heads, the model they make, and what it costs."""

from colabel.models.classifier import (
    Classifier,
    Head,
    HeadWithEmbeddings,
    Output,
    as_deployed,
)
from colabel.models.cost import Cost, cost, cost_of_model
from colabel.models.encoders import Encoder, build_encoder, list_encoders
from colabel.models.features import Features
from colabel.models.heads import (
    FeaturesHead,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    Projection,
)
from colabel.models.pooling import ClassAttentionPooling, EncoderPooling

__all__ = [
    "ClassAttentionPooling",
    "Classifier",
    "Cost",
    "Encoder",
    "EncoderPooling",
    "Features",
    "FeaturesHead",
    "Head",
    "HeadWithEmbeddings",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "Output",
    "Projection",
    "as_deployed",
    "build_encoder",
    "cost",
    "cost_of_model",
    "list_encoders",
]

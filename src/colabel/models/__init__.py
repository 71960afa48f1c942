"""Encoders, heads, the model they make, and what it costs."""

from colabel.models.classifier import Classifier, GraphHead, Head, Output
from colabel.models.cost import Cost, cost, cost_of_model
from colabel.models.encoders import Encoder, build_encoder, list_encoders
from colabel.models.features import Features
from colabel.models.heads import (
    FoldedGraphHead,
    GraphConvolutionHead,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    TransformerGraphHead,
)
from colabel.models.pooling import ClassAttentionPooling, EncoderPooling

__all__ = [
    "ClassAttentionPooling",
    "Classifier",
    "Cost",
    "Encoder",
    "EncoderPooling",
    "Features",
    "FoldedGraphHead",
    "GraphConvolutionHead",
    "GraphHead",
    "Head",
    "KernelMixtureHead",
    "LinearHead",
    "MixtureDensityHead",
    "Output",
    "TransformerGraphHead",
    "build_encoder",
    "cost",
    "cost_of_model",
    "list_encoders",
]

"""Encoders, heads, the model they make, and what it costs."""

from colabel.models.classifier import AnyHead, Classifier, GraphHead, Head
from colabel.models.cost import Cost, cost, cost_of_model
from colabel.models.encoders import Encoder, build_encoder, list_encoders
from colabel.models.features import Features
from colabel.models.heads import (
    CSRAHead,
    FoldedGraphHead,
    GraphConvolutionHead,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    TransformerGraphHead,
)
from colabel.models.output import Output
from colabel.models.pooling import (
    AveragePooling,
    ClassAttentionPooling,
    CSRAPooling,
    EncoderPooling,
    GeneralisedMeanPooling,
    MaxPooling,
    MLDecoderPooling,
    Query2LabelPooling,
)

__all__ = [
    "AnyHead",
    "AveragePooling",
    "CSRAHead",
    "CSRAPooling",
    "ClassAttentionPooling",
    "Classifier",
    "Cost",
    "Encoder",
    "EncoderPooling",
    "Features",
    "FoldedGraphHead",
    "GeneralisedMeanPooling",
    "GraphConvolutionHead",
    "GraphHead",
    "Head",
    "KernelMixtureHead",
    "LinearHead",
    "MLDecoderPooling",
    "MaxPooling",
    "MixtureDensityHead",
    "Output",
    "Query2LabelPooling",
    "TransformerGraphHead",
    "build_encoder",
    "cost",
    "cost_of_model",
    "list_encoders",
]

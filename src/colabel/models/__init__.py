"""Encoders, heads, the model they make, and what it costs."""

from colabel.models.backbones import list_encoders
from colabel.models.classifier import (
    AnyHead,
    Classifier,
    GraphHead,
    Head,
    HeadWithEmbeddings,
    as_deployed,
)
from colabel.models.cost import Cost, cost, cost_of_model
from colabel.models.encoders import Encoder, build_encoder
from colabel.models.features import Features
from colabel.models.heads import (
    CSRAHead,
    FeaturesHead,
    FoldedGraphHead,
    GraphConvolutionHead,
    KernelMixtureHead,
    LinearHead,
    MixtureDensityHead,
    Projection,
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
    "FeaturesHead",
    "FoldedGraphHead",
    "GeneralisedMeanPooling",
    "GraphConvolutionHead",
    "GraphHead",
    "Head",
    "HeadWithEmbeddings",
    "KernelMixtureHead",
    "LinearHead",
    "MLDecoderPooling",
    "MaxPooling",
    "MixtureDensityHead",
    "Output",
    "Projection",
    "Query2LabelPooling",
    "TransformerGraphHead",
    "as_deployed",
    "build_encoder",
    "cost",
    "cost_of_model",
    "list_encoders",
]

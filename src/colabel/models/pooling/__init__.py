"""Pooling: from what the encoder gives to one vector per image, or one per class."""

from colabel.models.pooling.base import Pooling
from colabel.models.pooling.class_attention import ClassAttentionPooling
from colabel.models.pooling.csra import CSRAPooling
from colabel.models.pooling.ml_decoder import MLDecoderPooling
from colabel.models.pooling.plain import (
    AveragePooling,
    EncoderPooling,
    GeneralisedMeanPooling,
    MaxPooling,
)
from colabel.models.pooling.query2label import Query2LabelPooling

__all__ = [
    "AveragePooling",
    "CSRAPooling",
    "ClassAttentionPooling",
    "EncoderPooling",
    "GeneralisedMeanPooling",
    "MLDecoderPooling",
    "MaxPooling",
    "Pooling",
    "Query2LabelPooling",
]

"""Settings of poolings: from what the encoder gives to one vector per image, or one per label."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from colabel.settings.base import Settings


class EncoderPooling(Settings):
    """One vector per image, pooled as the encoder itself does: an average for most."""

    name: Literal["encoder"] = "encoder"


class AveragePooling(Settings):
    """One vector per image: the mean over the positions of the feature map."""

    name: Literal["average"] = "average"


class MaxPooling(Settings):
    """One vector per image: the largest value of each channel over the positions."""

    name: Literal["max"] = "max"


class GeneralisedMeanPooling(Settings):
    """One vector per image: what lies between average and maximum, with a learned exponent."""

    name: Literal["generalised_mean"] = "generalised_mean"
    exponent: float = Field(3, ge=1)
    """To begin with: 1 is the average."""


class ClassAttention(Settings):
    """One vector per label: a weighted average over the positions of the feature map."""

    name: Literal["class_attention"] = "class_attention"


class CSRAPooling(Settings):
    """One vector per label: the average, and what CSRA's attention adds to it."""

    name: Literal["csra"] = "csra"
    temperature: float = Field(1, gt=0)
    """T; 99 is the maximum."""
    residual: float = Field(0.1, ge=0)
    """lambda: weight of what is attended to."""


class MLDecoderPooling(Settings):
    """One vector per label: what the fixed query of its group sees (ML-Decoder)."""

    name: Literal["ml_decoder"] = "ml_decoder"
    queries: int | None = Field(None, ge=1)
    """How many; null: as many as labels, 100 at most. Labels beyond share them, in their order."""
    width: int = Field(768, ge=1)
    heads: int = Field(8, ge=1)
    """Of the attention; divides the width."""
    hidden: int = Field(2048, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> MLDecoderPooling:
        return check_attention(self)


class Query2LabelPooling(Settings):
    """One vector per label: what its learned query sees in a transformer decoder (Query2Label)."""

    name: Literal["query2label"] = "query2label"
    width: int = Field(512, ge=2, multiple_of=2)
    """The paper's is that of the encoder's features, 2048."""
    heads: int = Field(4, ge=1)
    """Of each attention; divides the width."""
    hidden: int | None = Field(None, ge=1)
    """Null: four times the width."""
    encoder_layers: int = Field(1, ge=0)
    decoder_layers: int = Field(2, ge=1)
    self_attention: bool = False
    """Whether queries look at each other."""
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_fit(self) -> Query2LabelPooling:
        return check_attention(self)


_Decoder = TypeVar("_Decoder", MLDecoderPooling, Query2LabelPooling)


def check_attention(decoder: _Decoder) -> _Decoder:
    """Refuse a width that the heads of an attention cannot share.

    Raises:
        ValueError: saying what would do.
    """
    if decoder.width % decoder.heads:
        nearest = max(decoder.width // decoder.heads, 1) * decoder.heads
        raise ValueError(
            f"the width {decoder.width} must be a multiple of the number of heads, "
            f"{decoder.heads}; take {nearest}, or other heads"
        )
    return decoder


ImagePooling = Annotated[
    EncoderPooling | AveragePooling | MaxPooling | GeneralisedMeanPooling,
    Field(discriminator="name"),
]
"""One vector per image."""

PoolingSettings = Annotated[
    EncoderPooling
    | AveragePooling
    | MaxPooling
    | GeneralisedMeanPooling
    | ClassAttention
    | CSRAPooling
    | MLDecoderPooling
    | Query2LabelPooling,
    Field(discriminator="name"),
]
"""One vector per image, or one per label."""

"""What methods share that train an encoder by comparing images, and then a classifier on it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from colabel.errors import ConfigError
from colabel.methods.plan import StagePlan
from colabel.settings import (
    AsymmetricTerm,
    HeadSettings,
    LinearSettings,
    Settings,
    TermSettings,
    Training,
)

VIEWS = 2
"""Augmented versions of each image in a batch of stage 1."""


class Classification(Settings):
    """Stage 2: a classifier on the frozen encoder."""

    epochs: int = Field(40, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    """The largest of the schedule; null: that of stage 1."""
    augmented: bool = True
    """Augment the images, as the paper does, which encodes every image again in every epoch; false
    encodes each once."""
    head: HeadSettings = LinearSettings(feature_length=1)
    """The classifier. Its features have length 1 in the paper."""
    terms: dict[str, TermSettings] = Field({"classification": AsymmetricTerm()})


def two_stages(
    name: str,
    second: Classification,
    head: HeadSettings,
    terms: Mapping[str, TermSettings],
    training: Training,
) -> tuple[StagePlan, ...]:
    """Return the contrastive and the classification stage, which share the encoder.

    Args:
        name: of the method, for the message.
        second: stage 2.
        head: of stage 1.
        terms: of stage 1.
        training: the schedule.

    Raises:
        ConfigError: if the schedule asks for what only a method of one stage has.
    """
    if training.warm_start.epochs or training.freeze_encoder:
        raise ConfigError(
            "training.warm_start and training.freeze_encoder are for methods of one stage; "
            f"{name} trains its classifier on a frozen encoder in any case."
        )
    rate = training.learning_rate
    classifier_rate = second.learning_rate or rate
    return (
        StagePlan(
            "contrastive",
            head,
            terms,
            training.epochs,
            rate,
            training.rate_of_head(rate),
            views=VIEWS,
        ),
        StagePlan(
            "classification",
            second.head,
            second.terms,
            second.epochs,
            classifier_rate,
            classifier_rate,
            frozen=True,
            augmented=second.augmented,
            key="method.classification.",
        ),
    )

r"""ProbMCL: first an encoder that puts images with the same labels together, then a classifier.

Stage 1 sees two augmented views of every image. The encoder's features ``h``, of length 1, become
a mixture of ``C`` Gaussian densities, one per class, by a small network that is dropped later. Two
losses train both:

.. math:: L = L_{NLL} + \lambda L_{PCL}

the likelihood of the features under their own mixture, and a contrastive loss that makes the
mixtures of images alike whose labels overlap by at least ``alpha``. The recipe's ``head`` and
``terms`` are those of this stage.

Stage 2 keeps the encoder as it is and trains a linear classifier on it with the asymmetric loss.
Encoder and classifier are what is deployed.

Source: ProbMCL, Sec. 2 and 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from colabel.errors import ConfigError
from colabel.methods.plan import Method, StagePlan
from colabel.settings import (
    AsymmetricTerm,
    HeadSettings,
    LinearSettings,
    MixtureContrastiveTerm,
    MixtureDensitySettings,
    MixtureLikelihoodTerm,
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


class ProbMCL(Settings):
    """Settings of the second stage; the defaults are the paper's."""

    name: Literal["probmcl"] = "probmcl"
    classification: Classification = Classification()


def plan(
    settings: ProbMCL, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the contrastive and the classification stage, which share the encoder.

    Raises:
        ConfigError: if the schedule asks for what only a method of one stage has.
    """
    if training.warm_start.epochs or training.freeze_encoder:
        raise ConfigError(
            "training.warm_start and training.freeze_encoder are for methods of one stage; "
            "probmcl trains its classifier on a frozen encoder in any case."
        )
    second = settings.classification
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
        ),
    )


METHOD = Method(
    ProbMCL,
    head=MixtureDensitySettings(),
    terms={
        "likelihood": MixtureLikelihoodTerm(weight=1.0),
        "contrastive": MixtureContrastiveTerm(weight=0.3),
    },
    plan=plan,
)

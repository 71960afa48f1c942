"""The baselines: an encoder with a linear head and one loss that looks at each label alone.

``bce`` is binary cross-entropy, ``asl`` the asymmetric loss (KMCL, Eq. 6, as a method of its own).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from colabel.losses import AsymmetricLoss
from colabel.models import Classifier, Encoder, LinearHead, Output
from colabel.settings import Settings
from colabel.training import Objective, Stage


class BCE(Settings):
    """Binary cross-entropy, the mean over the images and labels of a batch."""

    name: Literal["bce"] = "bce"
    freeze_encoder: bool = False
    """Train the classifier alone: how much the encoder knows already."""
    feature_length: float | None = Field(None, gt=0)
    """Length of the features the classifier sees; null: as the encoder gives them."""


class AsymmetricSettings(Settings):
    """Settings of the asymmetric loss (KMCL, Eq. 6), wherever a method uses it."""

    reduction: Literal["sum", "mean"] = "sum"
    """Over the batch: "mean" is Eq. 6, "sum" its original form. Where it is the only term, Adam
    does not see the factor, weight decay does."""
    detach_focusing: bool = True
    """Whether the focusing factors are constants to the gradient."""
    gamma_positive: float = Field(0, ge=0)
    gamma_negative: float = Field(4, ge=0)
    margin: float = Field(0.05, ge=0, lt=1)

    def loss(self) -> AsymmetricLoss:
        """Return the loss with these settings."""
        return AsymmetricLoss(
            self.gamma_positive,
            self.gamma_negative,
            self.margin,
            self.reduction,
            self.detach_focusing,
        )


class ASL(AsymmetricSettings):
    """The asymmetric loss with the settings of KMCL's classification term."""

    name: Literal["asl"] = "asl"
    freeze_encoder: bool = False
    """Train the classifier alone: how much the encoder knows already."""
    feature_length: float | None = Field(None, gt=0)
    """Length of the features the classifier sees; null: as the encoder gives them."""


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over images and labels; an unknown label adds 0.

    Args:
        logits: log-odds, shape (batch, classes).
        targets: 1 present, 0 absent, -1 unknown; the same shape.

    Returns:
        A scalar, at least 0.

    Example:
        >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1, -1]]))
        tensor(0.3466)
    """
    known = targets >= 0
    each = functional.binary_cross_entropy_with_logits(
        logits, (targets == 1).to(logits.dtype), reduction="none"
    )
    return torch.where(known, each, 0.0).mean()


def classifier(encoder: Encoder, classes: int, settings: BCE | ASL) -> Classifier:
    """Return the encoder with a linear head.

    Args:
        encoder: gives features of ``encoder.width`` dimensions.
        classes: number of labels.
        settings: the length of the features.

    Returns:
        The model that is trained and deployed.
    """
    return Classifier(encoder, LinearHead(encoder.width, classes), settings.feature_length)


def stages(
    model: Classifier, settings: BCE | ASL, *, epochs: int, learning_rate: float
) -> tuple[Stage, ...]:
    """Return the single stage of a baseline.

    Args:
        model: as :func:`classifier` made it.
        settings: which loss, and how.
        epochs: passes over the training images.
        learning_rate: the largest of the one-cycle schedule.

    Returns:
        One stage.
    """
    objective = classification_objective(settings if isinstance(settings, ASL) else None)
    encoder = model.encoder if settings.freeze_encoder else None
    return (
        Stage(
            settings.name,
            model,
            objective,
            epochs,
            learning_rate,
            frozen=() if encoder is None else (encoder,),
            encoder=encoder,
        ),
    )


def classification_objective(settings: AsymmetricSettings | None) -> Objective:
    """Return the objective of a model with logits that looks at each image alone.

    Args:
        settings: of the asymmetric loss; ``None`` for binary cross-entropy.
    """
    loss = binary_cross_entropy if settings is None else settings.loss()

    def classify(output: Output, targets: Tensor) -> Tensor:
        if output.logits is None:
            raise TypeError("the model must return logits.")
        value: Tensor = loss(output.logits, targets)
        return value

    return Objective(
        terms={"classification": classify},
        weights={"classification": 1.0},
        pairwise=False,
        reductions={"classification": "mean" if settings is None else settings.reduction},
    )

"""Settings of the schedule and of how a model is scored."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from colabel.choices import APProtocol
from colabel.settings.base import Settings

MOST_WARM_EPOCHS = 100
"""Of a warm start that is to see some number of images."""


class WarmStart(Settings):
    """Epochs in which the head alone learns, on features that the encoder computes once."""

    epochs: int = Field(0, ge=0)
    """0 for none; given as such, it switches off what a recipe says of the others, too."""
    images: int | None = Field(None, ge=1)
    """To be passed at least, those that batches leave out counted: a small set gets more epochs
    than ``epochs``, up to 100; null: no more."""
    learning_rate: float | None = Field(None, gt=0)
    """The largest of its schedule; null: that of the head."""

    @model_validator(mode="after")
    def _is_used(self) -> WarmStart:
        said_none = "epochs" in self.model_fields_set
        for name in ("learning_rate", "images"):
            given = getattr(self, name)
            if given is not None and not self.epochs and not said_none:
                raise ValueError(
                    f"{name} is {given:g} and no epochs are given, so there is no warm start "
                    "that it would be for; set training.warm_start.epochs to 1 or more"
                )
        return self

    def for_images(self, count: int) -> WarmStart:
        """Return the warm start for so many training images, with its number of epochs.

        Example:
            >>> warm = WarmStart(epochs=3, images=18000)
            >>> [warm.for_images(count).epochs for count in (60_000, 6000, 600, 60)]
            [3, 3, 30, 100]
        """
        if self.images is None or not self.epochs:
            return self
        wanted = min(-(-self.images // max(count, 1)), MOST_WARM_EPOCHS)
        return WarmStart(epochs=max(self.epochs, wanted), learning_rate=self.learning_rate)


class Training(Settings):
    """The schedule (KMCL, Table 6)."""

    epochs: int = Field(40, ge=1)
    minutes: float | None = Field(None, gt=0)
    """Longest time of the run, that before a kill included, that of interruptions not: if it
    becomes too short for the epochs, the schedule is shortened to end in time, and the result
    depends on the speed of the machine.
    Only the last stage is shortened, and one before it has to be a warm start; a classifier on
    features that are encoded once is not cut short."""
    batch_size: int = Field(128, ge=1)
    """Images in a batch over all processes together."""
    learning_rate: float = Field(2e-4, gt=0)
    """The largest of the one-cycle schedule."""
    head_learning_rate: float | str = "x1"
    """The same for the head: a number, or a multiple of ``learning_rate`` such as ``x10``."""
    warm_start: WarmStart = WarmStart()
    freeze_encoder: bool = False
    """Train the head alone: how much the encoder knows already."""
    weight_decay: float = Field(1e-4, ge=0)
    """On matrices only, as part of Adam's gradient."""
    warm_up: float = Field(0.2, gt=0, lt=1)
    """Share of the steps in which the one-cycle learning rate rises (pct_start)."""
    ema_decay: float = Field(0.9997, ge=0, lt=1)
    """Of the averaged weights that are validated and kept; 0 keeps the raw ones."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Automatic mixed precision of the encoder."""
    accumulation: int = Field(1, ge=1)
    """Parts a batch is computed in; only for losses that look at each image alone."""
    synchronise_batch_norm: bool = False
    """Batch-norm layers that train take the statistics of the batch of all processes; false: of
    each process's part. No effect with one process."""
    clip_gradient: float | None = Field(None, gt=0)
    """Largest norm of the gradient; not in the paper."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; default: the cores of this process less one, at most 8."""
    seed: int = Field(0, ge=0, lt=2**63)
    save_minutes: float = Field(15, ge=0)
    """Longest time between two saves of the state to resume from; 0 saves after every step."""
    log_every: int = Field(10, ge=1)
    """Steps between two lines of the log; the last step of an epoch is always logged."""

    @field_validator("precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, given: Any) -> Any:
        return "no" if given is False else given  # YAML reads the word as false

    @field_validator("head_learning_rate", mode="before")
    @classmethod
    def _is_a_rate_or_a_multiple(cls, given: Any) -> Any:
        text = str(given)
        try:
            number = float(text.removeprefix("x"))
        except ValueError:
            number = math.nan
        if isinstance(given, bool) or not 0 < number < math.inf:
            raise ValueError(
                "expected a positive number, or a multiple of learning_rate such as x10, got "
                f"{given!r}"
            )
        return text if text.startswith("x") else number

    def rate_of_head(self, rate: float) -> float:
        """Return the head's learning rate where the encoder's is ``rate``.

        Example:
            >>> Training(head_learning_rate="x10").rate_of_head(2e-4)
            0.002
            >>> Training(head_learning_rate=0.01).rate_of_head(2e-4)
            0.01
        """
        own = self.head_learning_rate
        return float(own[1:]) * rate if isinstance(own, str) else own


class Evaluation(Settings):
    """How a model is scored."""

    protocol: APProtocol = "noninterpolated"
    """Of average precision."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Probability from which a label counts as predicted."""
    batch_size: int = Field(128, ge=1)

"""Settings of the schedule and of how a model is scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from colabel.settings import Settings


class Training(Settings):
    """The schedule (KMCL, Table 6)."""

    epochs: int = Field(40, ge=1)
    batch_size: int = Field(128, ge=1)
    """Images in a batch over all processes together."""
    learning_rate: float = Field(2e-4, gt=0)
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
    save_minutes: float = Field(15, gt=0)
    """Longest time between two saves of the state to resume from."""


class Evaluation(Settings):
    """How a model is scored."""

    protocol: Literal["noninterpolated", "voc11", "interpolated"] = "noninterpolated"
    """Of average precision."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Probability from which a label counts as predicted."""
    batch_size: int = Field(128, ge=1)

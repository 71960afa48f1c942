"""The numbers of a training run that all its stages share."""

from __future__ import annotations

from dataclasses import dataclass

from colabel.errors import ConfigError


@dataclass(frozen=True)
class LoopSettings:
    """How every stage is trained.

    Args:
        weight_decay: of Adam, on matrices only, at least 0.
        warm_up: part of a stage's steps in which the learning rate rises, in (0, 1).
        ema_decay: of the running average of the weights, in [0, 1); 0 switches it off.
        clip_gradient: largest length of the gradient, or ``None`` for no limit.
        accumulation: pieces in which a batch passes the model, to save memory; at least 1. The
            batch of the schedule and of the losses stays the whole one.
        synchronise_batch_norm: whether batch-norm layers that train take the statistics of the
            batch of all processes, not of this process's part; no effect with one process.
        log_every: steps between two lines of the log, at least 1. The last step of an epoch is
            always logged.
        save_every_minutes: time between two saved states within an epoch, at least 0; 0 saves
            after every step. A state is saved after every epoch in any case.

    Raises:
        ConfigError: if a number is out of range.

    Example:
        >>> LoopSettings(ema_decay=0).warm_up
        0.2
    """

    weight_decay: float = 1e-4
    warm_up: float = 0.2
    ema_decay: float = 0.9997
    clip_gradient: float | None = None
    accumulation: int = 1
    synchronise_batch_norm: bool = False
    log_every: int = 10
    save_every_minutes: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        clip = self.clip_gradient
        for name, good, wanted in (
            ("weight_decay", 0 <= self.weight_decay < float("inf"), "at least 0"),
            ("warm_up", 0 < self.warm_up < 1, "between 0 and 1"),
            ("ema_decay", 0 <= self.ema_decay < 1, "at least 0 and below 1"),
            ("clip_gradient", clip is None or 0 < clip < float("inf"), "positive or null"),
            ("accumulation", self.accumulation >= 1, "at least 1"),
            ("log_every", self.log_every >= 1, "at least 1"),
            ("save_every_minutes", self.save_every_minutes >= 0, "at least 0"),
        ):
            if not good:
                raise ConfigError(f"{name} must be {wanted}, got {getattr(self, name)}.")

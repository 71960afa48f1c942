"""A learning-rate range test: how the loss answers to learning rates that grow step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from colabel.data.loader import read_batches, set_epoch
from colabel.errors import ConfigError, NonFiniteLossError
from colabel.settings import Training
from colabel.training.distributed import prepare_model
from colabel.training.optimiser import build_optimiser, parameter_groups
from colabel.training.stage import Stage
from colabel.training.step import compute_gradients

SMOOTHING = 0.95
"""Share of the mean loss so far in the next mean; the batches differ too much by themselves."""
_EXPLODED = 4
"""The test ends where the smoothed loss is this many times its lowest."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Args:
        stage: name of the stage.
        learning_rates: of the encoder, one per step, growing. Where the head alone learns, the
            recipe's ``training.learning_rate``, of which the head's is a multiple.
        losses: of each step.
        smoothed: the running mean of the losses, corrected for its beginning.
        head_multiple: how many times as large the head's learning rate was.
        trained: what learned: ``encoder`` and ``head``, ``head`` where the encoder is frozen, or
            ``model`` where all of it shares a learning rate.
        head_rate_is_number: whether the recipe gives the head's learning rate as a number, which
            stays where it is when only ``training.learning_rate`` is set.
        complete: whether all steps were taken; false where the loss exploded or was no longer
            finite.
    """

    stage: str
    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    head_multiple: float
    trained: tuple[str, ...] = ("encoder", "head")
    head_rate_is_number: bool = False
    complete: bool = True

    @property
    def lowest(self) -> float | None:
        """The learning rate at which the smoothed loss was lowest.

        The first tenth of the steps, of which the running mean knows too few, does not count: the
        first batch by itself may have a lower loss than any mean. ``None`` where no minimum was
        seen: the loss did not fall, or was still falling at the end of the range.
        """
        still_falling = self.complete and self._place == len(self.smoothed) - 1
        return None if still_falling or not self._falls else self.learning_rates[self._place]

    @property
    def steepest(self) -> float | None:
        """The learning rate at which the smoothed loss fell fastest, below that of the lowest.

        The slope is that of a straight line through a tenth of the steps, over the logarithm of
        the rate. The first tenth does not count, as for the lowest. ``None`` where the loss did
        not fall after it.
        """
        if not self._falls:
            return None
        slopes = _slopes(np.asarray(self.smoothed), max(3, len(self.losses) // 10))
        begin = self._begin
        return self.learning_rates[begin + int(np.argmin(slopes[begin : self._place + 1]))]

    @property
    def suggested(self) -> float | None:
        """What to try as ``training.learning_rate``: the geometric mean of two rules.

        They are where the loss falls fastest, and a tenth of where it is lowest; where no minimum
        was seen, the first alone. ``None`` where the loss did not fall. A one-cycle schedule goes
        up to this rate, and not beyond.
        """
        if self.steepest is None:
            return None
        rate = (
            self.steepest if self.lowest is None else math.sqrt(self.steepest * self.lowest / 10)
        )
        return float(f"{rate:.2g}")

    @property
    def suggested_head(self) -> float | None:
        """What to try as ``training.head_learning_rate`` beside it.

        ``None`` where the head has a multiple of the other, which need not be set, or where
        nothing is suggested.
        """
        if self.suggested is None or not self.head_rate_is_number:
            return None
        return float(f"{self.suggested * self.head_multiple:.3g}")

    @property
    def changes(self) -> tuple[str, ...]:
        """What to give as ``--set``, so that the recipe is the one that was tested."""
        rates = {"learning_rate": self.suggested, "head_learning_rate": self.suggested_head}
        return tuple(
            f"training.{name}={rate:.3g}" for name, rate in rates.items() if rate is not None
        )

    @property
    def finding(self) -> str:
        """What the curve shows, in words."""
        if self.steepest is None:
            first, last = self.learning_rates[0], self.learning_rates[-1]
            return f"the loss did not fall at any rate from {first:.2g} to {last:.2g}"
        falls = f"the loss falls fastest at {self.steepest:.2g} and"
        if self.lowest is None:
            last = self.learning_rates[-1]
            return f"{falls} was still falling at the end of the range, {last:.2g}"
        return f"{falls} is lowest at {self.lowest:.2g}"

    @property
    def _begin(self) -> int:
        """The first step that counts."""
        return len(self.smoothed) // 10

    @property
    def _place(self) -> int:
        """The step with the lowest smoothed loss."""
        return self._begin + int(np.argmin(self.smoothed[self._begin :]))

    @property
    def _falls(self) -> bool:
        """Whether the loss became lower than at the first step that counts."""
        return self._place > self._begin


def _slopes(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """Return the slope of a line through the values around each."""
    half = window // 2
    slopes = np.empty(len(values))
    for index in range(len(values)):
        part = values[max(index - half, 0) : index + half + 1]
        places = np.arange(len(part)) - (len(part) - 1) / 2
        slopes[index] = (places * part).sum() / (places**2).sum() if len(part) > 1 else 0.0
    return slopes


def range_test(
    stage: Stage,
    loader: DataLoader[Any],
    *,
    accelerator: Accelerator,
    settings: Training,
    lowest: float = 1e-7,
    highest: float = 1.0,
    steps: int = 100,
    told: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Train for some steps with a learning rate that grows by the same factor in each.

    The stage's model is trained by it and should not be used any more. The head's learning rate
    keeps its ratio to the encoder's, also where the settings give it as a number.

    Args:
        stage: what is trained; its model is on the device.
        loader: its training batches, not prepared by accelerate; begun anew where it ends.
        accelerator: from :func:`colabel.training.make_accelerator`.
        settings: of them weight decay, accumulation, clipping, and how the head's learning rate is
            given.
        lowest: first learning rate of the encoder, positive.
        highest: last one.
        steps: at least 10. The test ends before where the loss explodes.
        told: hears after each step how many of how many are done.

    Returns:
        Learning rates and losses of the steps that were taken.

    Raises:
        ConfigError: if a number is out of range.
        NonFiniteLossError: if the loss is not finite from the first steps on.
    """
    if not 0 < lowest < highest < math.inf:
        raise ConfigError(
            f"the range test needs 0 < lowest < highest, got {lowest:g} and {highest:g}."
        )
    if steps < 10:
        raise ConfigError(f"a range test needs at least 10 steps, got {steps}.")
    stage.model.train()
    for module in stage.frozen:
        module.eval()
        module.requires_grad_(False)
    groups = parameter_groups(stage)
    optimiser = build_optimiser(groups, weight_decay=settings.weight_decay)
    multiples = [group["lr"] / stage.learning_rate for group in optimiser.param_groups]
    model = prepare_model(stage.model, accelerator)
    prepared = accelerator.prepare_optimizer(optimiser)
    batches: DataLoader[Any] = accelerator.prepare_data_loader(loader)
    rates = np.geomspace(lowest, highest, steps)
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    images = _endless(batches)
    for step, rate in enumerate(rates.tolist()):
        pixels, targets = next(images)
        if stage.views > 1 and isinstance(pixels, torch.Tensor):
            pixels, targets = pixels.flatten(0, 1), targets.repeat_interleave(stage.views, dim=0)
        for group, multiple in zip(optimiser.param_groups, multiples, strict=True):
            group["lr"] = rate * multiple
        computed = compute_gradients(
            model,
            stage.objective,
            pixels,
            targets,
            accelerator=accelerator,
            optimiser=prepared,
            parts=settings.accumulation,
            clip=settings.clip_gradient,
        )
        loss = sum(computed.weighted.values())
        if not computed.finite(scaled=prepared.scaler is not None):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        losses.append(loss)
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        prepared.step()
        prepared.zero_grad()
        if told is not None:
            told(step + 1, steps)
        if _has_exploded(smoothed):
            break
    if len(losses) < 10:
        raise NonFiniteLossError(
            f"stage {stage.name!r}: the loss is not finite after {len(losses)} steps at learning "
            f"rates up to {rates[len(losses) - 1]:.2g}; the recipe cannot be trained as it is."
        )
    return RangeTest(
        stage.name,
        tuple(rates[: len(losses)].tolist()),
        tuple(losses),
        tuple(smoothed),
        multiples[-1],
        trained=tuple(dict.fromkeys(group["name"] for group in optimiser.param_groups)),
        head_rate_is_number=isinstance(settings.head_learning_rate, float),
        complete=len(losses) == steps,
    )


def _has_exploded(smoothed: list[float]) -> bool:
    """Tell whether the loss has grown beyond what any rate of use would give."""
    if len(smoothed) < 10:
        return False
    low, first = min(smoothed), smoothed[0]
    return smoothed[-1] - low > (_EXPLODED - 1) * max(abs(low), abs(first) / _EXPLODED)


def _endless(loader: DataLoader[Any]) -> Any:
    """Yield images and targets, epoch after epoch."""
    epoch = 0
    while True:
        set_epoch(loader, epoch)
        for images, targets, _ in read_batches(loader):
            yield images, targets
        epoch += 1

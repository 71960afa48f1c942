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
        learning_rates: of the encoder, one per step, growing.
        losses: of each step.
        smoothed: the running mean of the losses, corrected for its beginning.
        head_multiple: how many times as large the head's learning rate was.
    """

    stage: str
    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    head_multiple: float

    @property
    def lowest(self) -> float:
        """The learning rate at which the smoothed loss was lowest."""
        return self.learning_rates[int(np.argmin(self.smoothed))]

    @property
    def steepest(self) -> float:
        """The learning rate at which the smoothed loss fell fastest, below that of the lowest.

        The slope is that of a straight line through a tenth of the steps, over the logarithm of
        the rate. The first steps, of which the running mean knows too few, do not count.
        """
        end = int(np.argmin(self.smoothed)) + 1
        slopes = _slopes(np.asarray(self.smoothed), max(3, len(self.losses) // 10))
        begin = min(len(self.losses) // 20, max(end - 2, 0))
        return self.learning_rates[begin + int(np.argmin(slopes[begin:end]))]

    @property
    def suggested(self) -> float:
        """What to try as ``training.learning_rate``: the geometric mean of two rules.

        They are where the loss falls fastest, and a tenth of where it is lowest. A one-cycle
        schedule goes up to this rate, and not beyond.
        """
        return float(f"{math.sqrt(self.steepest * self.lowest / 10):.2g}")


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
    keeps its ratio to the encoder's.

    Args:
        stage: what is trained; its model is on the device.
        loader: its training batches, not prepared by accelerate; begun anew where it ends.
        accelerator: from :func:`colabel.training.make_accelerator`.
        settings: of them weight decay, accumulation and clipping.
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

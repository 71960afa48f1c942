"""What fits into a time: seconds of reading, of steps and of validation, measured and scaled."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from accelerate import Accelerator

from colabel.build.records import decoding_threads
from colabel.build.stages import build_model, build_stages
from colabel.config import Config
from colabel.config.budget import Budget
from colabel.data import Records
from colabel.data.cache import PixelCache
from colabel.data.dataset import TrainingImages, without_corrupt
from colabel.data.transforms import Augment
from colabel.errors import ConfigError, ImageError
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime, measure_step
from colabel.workflows.candidates import (
    HEAD_EPOCHS,
    MOST_EPOCHS,
    Candidate,
    changes_for,
    expected_gain,
    frozen_changes,
    with_values,
)

HEAD_SECONDS = 0.0002
"""What an epoch of a classifier on features takes for each image, on one core."""
SURE = 1.1
"""Factor for the time of encoding every image once, which no clock can cut short."""
_SAMPLE = 24
"""Images that are read to see how long it takes and how large they are."""


@dataclass(frozen=True)
class Plan:
    """A recipe that was chosen, and why.

    Args:
        config: complete.
        reasons: sentences for the user.
    """

    config: Config
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What reading a training image takes.

    Args:
        decode: seconds to decode and resize one, once.
        augment: seconds to take it from memory and augment it.
        side: median of the shorter sides, in pixels.
    """

    decode: float
    augment: float
    side: int


@dataclass(frozen=True)
class Option:
    """An encoder and a size, with what they come to.

    Args:
        candidate: the encoder.
        size: of the images.
        training: seconds of an epoch.
        validation: seconds after each of them.
        epochs: that fit into the time, a fraction; at most :data:`MOST_EPOCHS`.
        gain: by :func:`expected_gain`.
        frozen: whether the encoder stays as it came; ``training`` is then the whole of it.
    """

    candidate: Candidate
    size: int
    training: float
    validation: float
    epochs: float
    gain: float
    frozen: bool = False

    @property
    def epoch(self) -> float:
        """Seconds of an epoch with its validation."""
        return self.training + self.validation


@dataclass(frozen=True)
class Planner:
    """Chooses what is worth most of what fits into a time.

    Args:
        config: the recipe.
        budget: a time.
        train: images to learn from.
        validation: images to choose by.
        reading: what it takes to read them.
        accelerator: from :func:`colabel.training.make_accelerator`.
        fixed: dotted keys of settings that the user has set.
        began: reading of :func:`time.monotonic` from which on the time counts.
    """

    config: Config
    budget: Budget
    train: Records
    validation: Records
    reading: Reading
    accelerator: Accelerator
    fixed: Collection[str]
    began: float

    def choose(self, candidates: Sequence[Candidate], sizes: Sequence[int]) -> Plan:
        """Measure every encoder once, choose, and measure the choice at its own size.

        Raises:
            ConfigError: if not one epoch of the quickest choice fits, saying what would.
        """
        middle = sizes[len(sizes) // 2]
        options = []
        for candidate in candidates:
            taken = self._measure(candidate, middle)
            options += [self._option(candidate, size, middle, taken) for size in sizes]
            options += [self._frozen(candidate, size, middle, taken) for size in sizes]
        options.sort(key=lambda option: -option.gain)
        for option in options:
            if option.epochs < 1:
                continue
            taken = self._measure(option.candidate, option.size)
            estimate = self._frozen if option.frozen else self._option
            exact = estimate(option.candidate, option.size, option.size, taken)
            if exact.epochs >= 1:
                return self._plan(exact, options)
        least = min(options, key=lambda option: option.epoch)
        seconds = time.monotonic() - self.began + self._around(least.size) + least.epoch
        raise ConfigError(
            f"a budget of {self.budget} is too small: the quickest choice, {least.candidate.name} "
            f"at {least.size} pixels {'left as it came' if least.frozen else 'for one epoch'}, "
            f"takes about {least.epoch:.0f} s for {len(self.train)} images on this machine, and "
            f"{seconds - least.epoch:.0f} s around it; give at least "
            f"--budget {math.ceil(1.1 * seconds)}s."
        )

    def _plan(self, chosen: Option, options: Sequence[Option]) -> Plan:
        assert self.budget.minutes is not None
        told = f"chosen for {self.budget}: {_told(chosen)}"
        reasons = [told]
        taken = (chosen.candidate, chosen.size, chosen.frozen)
        others = [
            each
            for each in options
            if each.epochs >= 1 and (each.candidate, each.size, each.frozen) != taken
        ]
        if others:
            less = max(chosen.gain - others[0].gain, 0)
            reasons.append(
                f"next best: {_told(others[0])}; {less:.1f} points of mAP less by the rule in "
                "docs/tuning.md"
            )
        # the time ends the last epoch where it is not a whole one
        epochs = HEAD_EPOCHS if chosen.frozen else max(1, math.ceil(chosen.epochs - 0.02))
        values = {
            **changes_for(chosen.candidate, chosen.size, self.fixed),
            **(frozen_changes(self.config, self.fixed) if chosen.frozen else {}),
            "training.epochs": epochs,
            "training.minutes": round(self.budget.minutes, 4),
            "description": told,
        }
        on_processor = self.accelerator.device.type == "cpu"
        if "training.workers" not in self.fixed and on_processor and self._in_memory(chosen.size):
            values["training.workers"] = 0
        return Plan(with_values(self.config, values), tuple(reasons))

    def _measure(self, candidate: Candidate, size: int) -> StepTime:
        config = with_values(self.config, changes_for(candidate, size, self.fixed))
        model = build_model(config, len(self.train.classes)).to(self.accelerator.device)
        stage = build_stages(model, config)[-1]
        return measure_step(
            stage, image_size=size, accelerator=self.accelerator, settings=config.training
        )

    def _option(self, candidate: Candidate, size: int, at: int, taken: StepTime) -> Option:
        """Scale what was measured at one size to another, and see what fits."""
        assert self.budget.minutes is not None
        scale = (size / at) ** 2
        batch = self.config.training.batch_size
        read = self.reading.augment if self._in_memory(size) else self.reading.decode
        training = len(self.train) // batch * (taken.step * scale + batch * read)
        validation = len(self.validation) * taken.score * scale
        left = 60 * self.budget.minutes - (time.monotonic() - self.began) - self._around(size)
        epochs = min(left / (training + validation), MOST_EPOCHS)
        images = epochs * len(self.train)
        gain = expected_gain(size, images, candidate.accuracy) if images > 0 else -math.inf
        return Option(candidate, size, training, validation, epochs, gain)

    def _frozen(self, candidate: Candidate, size: int, at: int, taken: StepTime) -> Option:
        """Scale the time of encoding every image once, and of the classifier's epochs."""
        assert self.budget.minutes is not None
        images = len(self.train) + len(self.validation)
        once = SURE * taken.score * (size / at) ** 2
        training = images * (once + HEAD_EPOCHS * HEAD_SECONDS)
        left = 60 * self.budget.minutes - (time.monotonic() - self.began) - self._around(size)
        if {"training.freeze_encoder", "training.learning_rate"} & set(self.fixed):
            left = 0.0  # how the encoder is trained is the user's
        fits = 1.0 if left >= training else 0.0
        gain = expected_gain(size, None, candidate.accuracy)
        return Option(candidate, size, training, 0.0, fits, gain, frozen=True)

    def _around(self, size: int) -> float:
        """Return the seconds before the first step and after the last."""
        images = len(self.train) + len(self.validation)
        once = self.config.data.verify or self._in_memory(size)
        return TO_FINISH + (images * self.reading.decode / decoding_threads(1) if once else 0.0)

    def _in_memory(self, size: int) -> bool:
        images = len(self.train) + len(self.validation)
        return images * size * size * 3 <= self.config.data.cache_mb * 2**20


def _told(option: Option) -> str:
    """Return an option in words."""
    what = f"{option.candidate.name} at {option.size} pixels"
    if option.frozen:
        return (
            f"{what} left as it came, every image encoded once, and {HEAD_EPOCHS} epochs of the "
            f"classifier alone, about {option.training:.0f} s in all"
        )
    return (
        f"{what}, {option.epochs:.1f} epochs of about {option.training:.1f} s, each with "
        f"{option.validation:.1f} s of validation"
    )


def measure_reading(train: Records, config: Config) -> Reading:
    """Read some images, spread over the set.

    Raises:
        ImageError: if one cannot be decoded, unless such images are to be left out.
    """
    positions = np.unique(np.linspace(0, len(train) - 1, _SAMPLE).round().astype(int)).tolist()
    some = train.subset(positions)
    sides, corrupt = [], []
    for index in range(len(some)):
        try:
            sides.append(min(some.images.open(index).size))
        except ImageError as error:
            corrupt.append((index, str(error)))
    some = without_corrupt(some, corrupt, on_corrupt=config.data.on_corrupt)
    size = config.data.image_size
    dataset = TrainingImages(
        some,
        size=size,
        augment=Augment(**config.augmentation.model_dump()),
        seed=0,
        views=1,
        cache=PixelCache(images=len(some), size=size, limit=len(some) * size * size * 3),
    )
    seconds = []
    for _ in range(2):  # decoded, then from memory
        began = time.perf_counter()
        for index in range(len(dataset)):
            dataset[index, 0]
        seconds.append((time.perf_counter() - began) / len(dataset))
    return Reading(max(seconds[0] - seconds[1], 0.0), seconds[1], int(median(sides)))

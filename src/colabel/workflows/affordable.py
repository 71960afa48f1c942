"""What fits into a time: seconds of reading, of steps and of validation, measured and scaled."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch

from colabel.build.records import decoding_threads
from colabel.build.stages import build_model, build_stages
from colabel.config import Config
from colabel.config.budget import Budget
from colabel.data import Records
from colabel.data.cache import PixelCache
from colabel.data.dataset import TrainingImages, without_corrupt
from colabel.data.transforms import Augment
from colabel.errors import ConfigError, ImageError
from colabel.models import Classifier
from colabel.training import make_accelerator
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime, measure_score, measure_step
from colabel.workflows.candidates import (
    MOST_EPOCHS,
    Candidate,
    changes_for,
    expected_gain,
    frozen_changes,
    head_epochs,
    may_stay,
    with_values,
)

HEAD_SECONDS = 0.0002
"""What an epoch of a classifier on features takes for each image, on one core."""
HEAD_EPOCH_SECONDS = 0.05
"""What an epoch takes beside it: scores, a line of the log."""
SURE = 1.4
"""Factor for the time of encoding every image once, which no clock can cut short: on two cores of
a shared machine it took up to 1.4 times what was measured."""
_SAMPLE = 24
"""Images that are read to see how long it takes and how large they are."""
_TO_MEASURE = 0.02
"""Share of the budget that one measurement may take, a second at least."""
_TO_CHOOSE = 0.2
"""Share of the budget after which no further encoder is measured."""
_WORTH_IT = 0.85
"""Time in bfloat16, of that in float32, from which on it is taken."""
_MANY_POINTS = 20
"""Differences beyond it are not told by their number: the rule was not measured there."""


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
class Speed:
    """What an encoder takes on this machine, in the precision that is the quicker one.

    Args:
        taken: measured.
        size: of the images it was measured with.
        precision: of the encoder's arithmetic, as ``training.precision`` names it.
        ratio: of a step to one in float32.
    """

    taken: StepTime
    size: int
    precision: str
    ratio: float = 1.0


@dataclass(frozen=True)
class Option:
    """An encoder and a size, with what they come to.

    Args:
        candidate: the encoder.
        size: of the images.
        speed: that the times are scaled from.
        training: seconds of an epoch.
        validation: seconds after each of them.
        epochs: that fit into the time, a fraction, at most :data:`MOST_EPOCHS`; of the
            classifier where the encoder is frozen.
        gain: by :func:`expected_gain`.
        frozen: whether the encoder stays as it came; ``training`` is then the whole of it.
    """

    candidate: Candidate
    size: int
    speed: Speed
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
        cpu: do not use an accelerator.
        fixed: dotted keys of settings that the user has set.
        began: reading of :func:`time.monotonic` from which on the time counts.
    """

    config: Config
    budget: Budget
    train: Records
    validation: Records
    reading: Reading
    cpu: bool
    fixed: Collection[str]
    began: float

    def choose(self, candidates: Sequence[Candidate], sizes: Sequence[int]) -> Plan:
        """Measure every encoder once, choose, and measure the choice at its own size.

        Raises:
            ConfigError: if not one epoch of the quickest choice fits, saying what would.
        """
        middle = sizes[len(sizes) // 2]
        options: list[Option] = []
        begun = time.monotonic()
        for candidate in candidates:
            if options and time.monotonic() - begun > _TO_CHOOSE * self._seconds:
                break
            speed = self._quicker(candidate, middle)
            options += [self._option(candidate, size, speed) for size in sizes]
            if may_stay(candidate, self.fixed):
                options += [self._frozen(candidate, size, speed) for size in sizes]
        options.sort(key=lambda option: -option.gain)
        for option in options:
            estimate = self._frozen if option.frozen else self._option
            if estimate(option.candidate, option.size, option.speed).epochs < 1:
                continue  # by now, after what measuring has taken
            model, config = self._build(option.candidate, option.size)
            taken = self._measure(model, config, option.speed.precision)
            speed = replace(option.speed, taken=taken, size=option.size)
            exact = estimate(option.candidate, option.size, speed)
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
            points = f"{less:.1f}" if less < _MANY_POINTS else f"more than {_MANY_POINTS}"
            reasons.append(
                f"next best: {_told(others[0])}; {points} points of mAP less by the rule in "
                "docs/tuning.md"
            )
        speed = chosen.speed
        if speed.ratio < 1:
            reasons.append(
                f"in {speed.precision}, in which a step takes {speed.ratio:.2f} of its time in "
                "float32 here; --set training.precision=no keeps float32"
            )
        # the time ends the last epoch where it is not a whole one
        epochs = max(1, math.ceil(chosen.epochs - 0.02))
        values = {
            **changes_for(chosen.candidate, chosen.size, self.fixed),
            **(frozen_changes(self.config, self.fixed) if chosen.frozen else {}),
            "training.epochs": epochs,
            "training.minutes": round(self._seconds / 60, 4),
            "training.precision": speed.precision,
            "description": told,
        }
        on_processor = self.cpu or not torch.cuda.is_available()
        if "training.workers" not in self.fixed and on_processor and self._in_memory(chosen.size):
            values["training.workers"] = 0
        return Plan(with_values(self.config, values), tuple(reasons))

    def _quicker(self, candidate: Candidate, size: int) -> Speed:
        """Measure an encoder in float32 and in bfloat16, unless the user has set the precision."""
        given = self.config.training.precision
        model, config = self._build(candidate, size)
        plain = self._measure(model, config, given)
        if "training.precision" in self.fixed or given != "no":
            return Speed(plain, size, given)
        accelerator = make_accelerator(mixed_precision="bf16", cpu=self.cpu)
        rows = max(2, min(self.config.training.batch_size, int(self._limit() / 8 / plain.score)))
        images = torch.zeros(rows, 3, size, size, dtype=torch.uint8, device=accelerator.device)
        # without units for it a step in bfloat16 may take for ever, so a look comes first
        if measure_score(model, images, accelerator) > _WORTH_IT * plain.score:
            return Speed(plain, size, "no")
        half = self._measure(model, config, "bf16")
        if half.step > _WORTH_IT * plain.step:
            return Speed(plain, size, "no")
        return Speed(half, size, "bf16", half.step / plain.step)

    def _measure(self, model: Classifier, config: Config, precision: str) -> StepTime:
        accelerator = make_accelerator(mixed_precision=precision, cpu=self.cpu)
        return measure_step(
            build_stages(model.to(accelerator.device), config)[-1],
            image_size=config.data.image_size,
            accelerator=accelerator,
            settings=config.training,
            limit=self._limit(),
        )

    def _build(self, candidate: Candidate, size: int) -> tuple[Classifier, Config]:
        config = with_values(self.config, changes_for(candidate, size, self.fixed))
        return build_model(config, len(self.train.classes)), config

    @property
    def _seconds(self) -> float:
        """The budget, which is a time."""
        assert self.budget.minutes is not None
        return 60 * self.budget.minutes

    def _limit(self) -> float:
        """Return the seconds that one measurement may take."""
        return max(1.0, _TO_MEASURE * self._seconds)

    def _left(self, size: int) -> float:
        """Return the seconds that are left for training and validation."""
        return self._seconds - (time.monotonic() - self.began) - self._around(size)

    def _option(self, candidate: Candidate, size: int, speed: Speed) -> Option:
        """Scale what was measured at one size to another, and see what fits."""
        scale, taken = (size / speed.size) ** 2, speed.taken
        batch = self.config.training.batch_size
        read = self.reading.augment if self._in_memory(size) else self.reading.decode
        training = len(self.train) // batch * (taken.step * scale + batch * read)
        validation = len(self.validation) * taken.score * scale
        epochs = min(self._left(size) / (training + validation), MOST_EPOCHS)
        steps = epochs * (len(self.train) // batch)
        gain = -math.inf
        if steps > 0:
            gain = expected_gain(
                size, candidate.accuracy, images=len(self.train), training=(epochs, steps)
            )
        return Option(candidate, size, speed, training, validation, epochs, gain)

    def _frozen(self, candidate: Candidate, size: int, speed: Speed) -> Option:
        """Scale the time of encoding every image once, and of the classifier's epochs."""
        images = len(self.train) + len(self.validation)
        once = SURE * speed.taken.score * (size / speed.size) ** 2
        epochs = head_epochs(len(self.train))
        training = images * once + epochs * (images * HEAD_SECONDS + HEAD_EPOCH_SECONDS)
        fits = epochs if self._left(size) >= training else 0
        gain = expected_gain(size, candidate.accuracy, images=len(self.train))
        return Option(candidate, size, speed, training, 0.0, fits, gain, frozen=True)

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
            f"{what} left as it came, every image encoded once, and {option.epochs:.0f} epochs of "
            f"the classifier alone, about {option.training:.0f} s in all"
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

"""The best that fits into a time: every encoder is measured, every way to train it estimated."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator

from colabel.build.stages import build_model, build_stages
from colabel.config import Config
from colabel.config.budget import Budget
from colabel.data import Records
from colabel.errors import ConfigError
from colabel.models import Classifier, Encoder
from colabel.training import Stage, make_accelerator
from colabel.training.timing import StepTime, measure_head, measure_score, measure_step
from colabel.workflows.candidates import (
    Candidate,
    changes_for,
    frozen_changes,
    kept_changes,
    may_keep,
    may_stay,
    unaugmented,
    with_values,
)
from colabel.workflows.reading_time import Reading
from colabel.workflows.ways import Option, Speed, Way, Ways

_TO_MEASURE = 0.02
"""Share of the budget that one measurement may take, a second at least."""
_TO_CHOOSE = 0.2
"""Share of the budget after which no further encoder is measured."""
_TO_MEASURE_AGAIN = 0.25
"""Share of the budget after which a choice is not measured again at its own size."""
_TO_BE_SURE = 1.2
"""Factor for the least budget that is named: the next measurement may come out slower."""
_WORTH_IT = 0.85
"""Time in bfloat16, of that in float32, from which on it is taken."""
_NO_DIFFERENCE = 0.5
"""Points of mAP that two seeds may differ by."""
_MANY_POINTS = 20
"""Differences beyond it are not told by their number: the rule was not measured there."""
_AT_LEAST: dict[Way, str] = {
    "augmented": "for one epoch",
    "kept": "for a quarter of an epoch after the classifier alone",
    "stays": "left as it came",
}


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
        middle, ways = sizes[len(sizes) // 2], self._ways
        options: list[Option] = []
        speeds: dict[Candidate, Speed] = {}
        for candidate in candidates:
            if options and self._spent() > _TO_CHOOSE * self._seconds:
                break
            speeds[candidate] = speed = self._quicker(candidate, middle)
            stays = may_stay(candidate, self.config, self.fixed)
            possible: dict[Way, bool] = {
                "augmented": not (stays and self.config.training.freeze_encoder),
                "kept": speed.rest is not None,
                "stays": stays,
            }
            options += [
                ways.estimate(way, candidate, size, speed)
                for way, can_be in possible.items()
                if can_be
                for size in sizes
            ]
        options.sort(key=lambda option: -option.gain)
        for option in options:
            # by now, after what measuring has taken, and with what it has found last
            chosen = ways.again(option, speeds[option.candidate])
            if chosen.fits and self._spent() <= _TO_MEASURE_AGAIN * self._seconds:
                speeds[option.candidate] = self._at_its_size(option)
                chosen = ways.again(option, speeds[option.candidate])
            if chosen.fits:
                return self._plan(chosen, options)
        known = [ways.again(option, speeds[option.candidate]) for option in options]
        least = min(known, key=lambda option: option.least + ways.around(option.size))
        before = self._spent() + ways.around(least.size)
        raise ConfigError(
            f"a budget of {self.budget} is too small: the quickest choice, {least.candidate.name} "
            f"at {least.size} pixels {_AT_LEAST[least.way]}, takes about {least.least:.0f} s for "
            f"{len(self.train)} images on this machine, and measuring, reading the images and "
            f"finishing {before:.0f} s; give at least "
            f"--budget {math.ceil(_TO_BE_SURE * (before + least.least))}s."
        )

    def _plan(self, chosen: Option, options: Sequence[Option]) -> Plan:
        told = f"chosen for {self.budget}: {chosen}"
        reasons = [told]
        taken = (chosen.candidate, chosen.size, chosen.way)
        others = [
            each
            for each in options
            if each.fits and (each.candidate, each.size, each.way) != taken
        ]
        if others:
            less = max(chosen.gain - others[0].gain, 0)
            points = f"{less:.1f}" if less < _MANY_POINTS else f"more than {_MANY_POINTS}"
            points += " points of mAP less by the rule in docs/tuning.md"
            if less < _NO_DIFFERENCE:
                points = "as good by the rule in docs/tuning.md"
            reasons.append(f"next best: {others[0]}; {points}")
        speed = chosen.speed
        if speed.ratio < 1:
            reasons.append(
                f"in {speed.precision}, in which a step takes {speed.ratio:.2f} of its time in "
                "float32 here; --set training.precision=no keeps float32"
            )
        # the time ends the last epoch where it is not a whole one
        epochs = max(1, math.ceil(chosen.epochs - 0.02))
        values: dict[str, Any] = {
            **changes_for(chosen.candidate, chosen.size, self.fixed),
            "training.epochs": epochs,
            "training.minutes": round(self._seconds / 60, 4),
            "training.precision": speed.precision,
            "description": told,
        }
        if chosen.way == "stays":
            values |= frozen_changes(self.config, self.fixed)
        elif chosen.way == "kept":
            images, mirrored = len(self.train), chosen.mirrored
            values |= kept_changes(self.config, self.fixed, images=images, mirrored=mirrored)
        on_processor = self.cpu or not torch.cuda.is_available()
        in_memory = self._ways.in_memory(chosen.size)
        if "training.workers" not in self.fixed and on_processor and in_memory:
            values["training.workers"] = 0
        return Plan(with_values(self.config, values), tuple(reasons))

    def _quicker(self, candidate: Candidate, size: int) -> Speed:
        """Measure an encoder in float32 and in bfloat16, unless the user has set the precision."""
        given = self.config.training.precision
        model, config = self._build(candidate, size)
        plain = self._measure(model, config, given)
        precision, ratio = given, 1.0
        if "training.precision" not in self.fixed and given == "no":
            accelerator = make_accelerator(mixed_precision="bf16", cpu=self.cpu)
            affordable = int(self._limit() / 8 / plain.score)
            rows = max(2, min(self.config.training.batch_size, affordable))
            images = torch.zeros(rows, 3, size, size, dtype=torch.uint8, device=accelerator.device)
            # without units for it a step in bfloat16 may take for ever, so a look comes first
            if measure_score(model, images, accelerator) <= _WORTH_IT * plain.score:
                half = self._measure(model, config, "bf16")
                if half.step <= _WORTH_IT * plain.step:
                    plain, precision, ratio = half, "bf16", half.step / plain.step
        head = self._measure_head(model, config, precision) if candidate.weights else 0.0
        speed = Speed(size, plain, head, precision=precision, ratio=ratio)
        return self._with_rest(speed, candidate, model, config)

    def _at_its_size(self, option: Option) -> Speed:
        """Measure a choice at its own size."""
        model, config = self._build(option.candidate, option.size)
        whole = self._measure(model, config, option.speed.precision)
        speed = replace(option.speed, size=option.size, whole=whole)
        return self._with_rest(speed, option.candidate, model, config)

    def _with_rest(
        self, speed: Speed, candidate: Candidate, model: Classifier, config: Config
    ) -> Speed:
        """Measure what follows the frozen first stages, where these may be left out of epochs."""
        if not may_keep(candidate, config, self.fixed):
            return speed
        assert isinstance(model.encoder, Encoder)
        numbers = model.encoder.find_halfway(speed.size)
        if numbers is None:
            return replace(speed, rest=None)
        rest = self._measure(model, config, speed.precision, halfway=True)
        return replace(speed, rest=rest, numbers=numbers)

    def _measure(
        self, model: Classifier, config: Config, precision: str, *, halfway: bool = False
    ) -> StepTime:
        stage, accelerator = self._prepared(model, config, precision)
        return measure_step(
            stage,
            image_size=config.data.image_size,
            accelerator=accelerator,
            settings=config.training,
            limit=self._limit(),
            halfway=halfway,
        )

    def _measure_head(self, model: Classifier, config: Config, precision: str) -> float:
        """Measure a step of the classifier alone."""
        frozen = with_values(config, {"training.freeze_encoder": True})
        stage, accelerator = self._prepared(model, frozen, precision)
        size = config.data.image_size
        return measure_head(
            stage, image_size=size, accelerator=accelerator, settings=config.training
        )

    def _prepared(
        self, model: Classifier, config: Config, precision: str
    ) -> tuple[Stage, Accelerator]:
        """Return the last stage of a recipe, its model on the device, and what computes it."""
        accelerator = make_accelerator(mixed_precision=precision, cpu=self.cpu)
        return build_stages(model.to(accelerator.device), config)[-1], accelerator

    def _build(self, candidate: Candidate, size: int) -> tuple[Classifier, Config]:
        config = with_values(self.config, changes_for(candidate, size, self.fixed))
        return build_model(config, len(self.train.classes)), config

    @property
    def _ways(self) -> Ways:
        return Ways(
            self.config,
            len(self.train),
            len(self.validation),
            self.reading,
            lambda: self._seconds - self._spent(),
            unaugmented(self.config, self.fixed),
        )

    @property
    def _seconds(self) -> float:
        """The budget, which is a time."""
        assert self.budget.minutes is not None
        return 60 * self.budget.minutes

    def _spent(self) -> float:
        """Return the seconds of the budget that are gone."""
        return time.monotonic() - self.began

    def _limit(self) -> float:
        """Return the seconds that one measurement may take."""
        return max(1.0, _TO_MEASURE * self._seconds)

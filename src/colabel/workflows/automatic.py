"""A recipe for the time a user has: encoder, image size and epochs, by what this machine takes."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from colabel.build.division import open_training_data, take_fraction
from colabel.config import Config
from colabel.config.budget import Budget
from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError
from colabel.models.backbones import check_encoder_name
from colabel.settings.encoder import PRETRAINED
from colabel.training import make_accelerator
from colabel.workflows.affordable import Plan, Planner
from colabel.workflows.candidates import (
    ENCODERS,
    MIRRORED_FROM,
    MOST_MIRRORED_EPOCHS,
    SIZES,
    Candidate,
    at_hand,
    changes_for,
    first_epochs,
    kept_changes,
    may_keep,
    unaugmented,
    with_values,
)
from colabel.workflows.reading_time import measure_reading

_MADE_FOR = 224
"""Side of the images that published weights were trained on, in pixels."""


def plan_training(
    config: Config,
    budget: Budget,
    *,
    data: str | None = None,
    changed: Iterable[str] = (),
    cpu: bool = False,
    began: float | None = None,
) -> Plan:
    """Choose encoder, image size and number of epochs for a budget.

    Args:
        config: the recipe; what it says of ``changed`` is kept.
        budget: time or epochs.
        data: source of the images, instead of the recipe's.
        changed: dotted keys of settings that the user has set.
        cpu: do not use an accelerator.
        began: reading of :func:`time.monotonic` from which on the time counts; ``None`` for now.

    Returns:
        A complete recipe, and sentences about it.

    Raises:
        ConfigError: if no encoder's weights are at hand, the budget is too small for one epoch,
            or a setting contradicts it.
        DataError: if the data cannot be read.
    """
    began = time.monotonic() if began is None else began
    fixed = set(changed)
    taken = fixed & {"training.epochs", "training.minutes"}
    if taken:
        raise ConfigError(
            f"--budget decides about {' and '.join(sorted(taken))}; leave one of the two out."
        )
    stages = [stage.name for stage in config.stages()]
    if budget.minutes is not None and len(stages) > 1:
        raise ConfigError(
            f"a budget of time is for runs of one stage, this one has {len(stages)} "
            f"({', '.join(stages)}); give epochs, as in --budget 3epochs, or take a method of one "
            "stage without training.warm_start."
        )
    candidates = _candidates(config, fixed)
    config = with_absolute_paths(config, data)
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    if accelerator.num_processes > 1:
        raise ConfigError(
            "a recipe is chosen in one process: write it with --print, and train it with torchrun."
        )
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(config.training.seed)
        seed = config.training.seed
        opened = open_training_data(config.data, seed=seed)
        records = take_fraction(opened.records, config.data, seed=seed)
        train, validation = records["train"], records["val"]
        batch = config.training.batch_size
        if len(train) < batch and "training.batch_size" in fixed:
            raise ConfigError(
                f"a batch of {batch} cannot be filled from {len(train)} training images; set "
                f"training.batch_size to {len(train)} or less, or leave it out."
            )
        if len(train) < batch:
            config = with_values(config, {"training.batch_size": max(len(train), 1)})
        reading = measure_reading(train, config)
        sizes = _sizes(config, fixed, reading.side)
        if budget.epochs is not None:
            return _for_epochs(config, budget, candidates, sizes, fixed, len(train))
        planner = Planner(config, budget, train, validation, reading, cpu, fixed, began)
        return planner.choose(candidates, sizes)


def _for_epochs(
    config: Config,
    budget: Budget,
    candidates: tuple[Candidate, ...],
    sizes: tuple[int, ...],
    fixed: set[str],
    images: int,
) -> Plan:
    """Return the recipe where time is no object: as large as the weights were made for.

    The classifier comes first where that was measured: in runs of so many epochs, whose images
    are mirrored at most.
    """
    best = max(candidates, key=lambda candidate: candidate.accuracy)
    size = max((size for size in sizes if size <= _MADE_FOR), default=sizes[0])
    assert budget.epochs is not None
    values = {**changes_for(best, size, fixed), "training.epochs": budget.epochs}
    encoder = (
        "which was given"
        if {"encoder.name", "encoder.weights"} & fixed
        else "the most accurate encoder whose weights are on this machine"
    )
    if "data.image_size" in fixed:
        why = "the size was given"
    elif size == _MADE_FOR:
        why = "the size that such weights are made for"
    else:
        why = "no larger than the images"
    way = "all learns from the start"
    if may_keep(best, config, fixed) and budget.epochs <= MOST_MIRRORED_EPOCHS:
        possible = unaugmented(config, fixed)
        mirrored = max(possible) if budget.epochs >= MIRRORED_FROM else min(possible)
        values |= kept_changes(config, fixed, images=images, mirrored=mirrored)
        way = (
            f"the classifier learns alone for {first_epochs(config, images)} epochs before, and "
            f"images are {'mirrored and not augmented otherwise' if mirrored else 'as they are'}"
        )
    reason = f"chosen for {budget}: {best.name}, {encoder}, at {size} pixels, {why}; {way}"
    return Plan(with_values(config, {**values, "description": reason}), (reason,))


def _candidates(config: Config, fixed: set[str]) -> tuple[Candidate, ...]:
    """Return the encoders whose weights the user gave, or that are on the machine."""
    encoder = config.encoder
    named = "encoder.name" in fixed
    if named:
        check_encoder_name(encoder.name)
    if "encoder.weights" in fixed:
        return (Candidate(encoder.name, ENCODERS[0].accuracy, str(encoder.weights or "")),)
    found = at_hand(encoder.name if named else None)
    if not found:
        names = [encoder.name] if named else [candidate.name for candidate in ENCODERS]
        raise ConfigError(
            f"no weights of {' or '.join(names)} are on this machine, and none are fetched "
            "unasked. Add "
            f"--set encoder.weights={PRETRAINED} to fetch those of {encoder.name} once, or "
            "--set encoder.weights=FILE, with --set encoder.name=NAME if they are another's."
        )
    return found


def _sizes(config: Config, fixed: set[str], side: int) -> tuple[int, ...]:
    """Return the sizes to try: none that the images would have to be enlarged to."""
    if "data.image_size" in fixed:
        return (config.data.image_size,)
    return tuple(size for size in SIZES if size <= max(side, SIZES[0]))

"""A learning-rate range test of a recipe: which learning rate to give it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from colabel.build.batches import Batches, build_caches
from colabel.build.division import open_training_data, take_fraction
from colabel.build.records import decodable
from colabel.build.stages import build_model, build_stages
from colabel.build.told import news
from colabel.config import Config
from colabel.config.paths import with_absolute_paths
from colabel.errors import ConfigError, RunError
from colabel.figures.learning_rates import learning_rate_chart
from colabel.files import replace_file
from colabel.runs.folder import RunFolder
from colabel.training import Display, RangeTest, check_stages, make_accelerator, range_test
from colabel.workflows.memory import check_memory

CHART, NUMBERS = "learning-rates.png", "learning-rates.json"
_BEGINS_UNTRAINED = (
    "the test begins with an untrained head; the recipe has one that has learned alone before "
    "(training.warm_start, whose own learning rate is not tested), so take the suggested rates "
    "with care."
)


def find_learning_rate(
    config: Config,
    out: Path,
    *,
    data: str | None = None,
    cpu: bool = False,
    steps: int = 100,
    display: Display | None = None,
    told: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Test growing learning rates on the first stage in which the encoder learns; write a chart.

    Nothing of the model that was trained for it is kept.

    Args:
        config: a complete recipe.
        out: folder for ``learning-rates.png`` and ``learning-rates.json``; made if missing.
        data: source of the images, instead of the recipe's.
        cpu: do not use an accelerator.
        steps: of the test, at least 10.
        display: shows notes; ``None`` shows nothing.
        told: hears after each step how many of how many are done.

    Returns:
        What the test saw, with the learning rates that it suggests.

    Raises:
        ColabelError: with what to do about it.
    """
    config = with_absolute_paths(config, data)
    if RunFolder(out).has_begun:
        raise RunError(f"{out} holds a run; choose another folder with --out.")
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    if accelerator.num_processes > 1:
        raise ConfigError("a range test runs in one process; start it without torchrun.")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(config.training.seed)
        seed = config.training.seed
        opened = open_training_data(config.data, seed=seed)
        records = take_fraction(opened.records, config.data, seed=seed)
        model = build_model(config, len(records["train"].classes), train=records["train"])
        stages = build_stages(model, config, train=records["train"])
        check_stages(stages, config.training, accelerator)
        check_memory(stages, config, accelerator)
        stage = next((stage for stage in stages if not stage.frozen), stages[0])
        stage.model.to(accelerator.device)
        seen = {split: records[split] for split in ("train", "val")}
        caches = build_caches(config, seen)
        if config.data.on_corrupt == "skip":  # else the first that is met stops the test
            seen = {
                split: decodable(seen[split], split, config, accelerator, display, cache=cache)
                for split, cache in caches.items()
            }
        if display is not None:
            for sentence in news(seen, set()):
                display.note(sentence)
            if config.training.warm_start.epochs and not stage.frozen:
                display.note(_BEGINS_UNTRAINED)
        batches = Batches(
            config, accelerator, seen["train"], seen["val"], display, caches, keep=False
        )
        found = range_test(
            stage,
            batches.training(stage),
            accelerator=accelerator,
            settings=config.training,
            steps=steps,
            told=told,
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} cannot be made: {error.strerror or error}.") from error
    read = ("lowest", "steepest", "suggested", "suggested_head")
    numbers = {**asdict(found), **{name: getattr(found, name) for name in read}}
    text = json.dumps(numbers, indent=1) + "\n"
    replace_file(out / NUMBERS, lambda file: file.write(text.encode()))
    learning_rate_chart(found, out / CHART)
    return found

"""Runs compared, and methods trained to be compared.

Validation has chosen the weights and the operating point of every run before; what is compared
here is a split that chose nothing, the test split unless another is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colabel.errors import ConfigError, DataError, RunError
from colabel.files import make_folder, write_json
from colabel.metrics.bootstrap import Resamples
from colabel.metrics.significance import usual_draws
from colabel.runs.description import load_description
from colabel.runs.folder import RunFolder
from colabel.runs.measured import measure
from colabel.training import Display, make_accelerator
from colabel.workflows.comparison.aligned import align, group_numbers
from colabel.workflows.comparison.asked import RESULTS, check_asked
from colabel.workflows.comparison.document import PICTURE, TIMINGS, document
from colabel.workflows.comparison.drawing import draw
from colabel.workflows.comparison.entries import group_by_recipe, make_entries
from colabel.workflows.comparison.notes import Setting
from colabel.workflows.comparison.spending import (
    costs_of,
    describe_cost,
    images_per_second,
    timings_of,
)
from colabel.workflows.comparison.statistics import compare_answers
from colabel.workflows.grid.planning import Planned
from colabel.workflows.grid.training import Interruption, rehearse, train_planned
from colabel.workflows.kept_predictions import predictions_of

THRESHOLD = 0.5
"""Of the papers' protocol, the same for all runs whatever their recipes say."""


@dataclass(frozen=True)
class Comparison:
    """A comparison that was written.

    Args:
        folder: where ``compare.json``, ``compare.png`` and ``timings.json`` are.
        document: what ``compare.json`` says.
        timings: what ``timings.json`` says.
    """

    folder: Path
    document: dict[str, Any]
    timings: dict[str, Any]


def compare(
    folders: Sequence[Path | str],
    *,
    split: str = "test",
    out: Path | str = "comparison",
    draws: int | None = None,
    seed: int = 0,
    metric: str = "mAP",
    speed: bool = False,
    tuning: Mapping[str, Any] | None = None,
    cpu: bool = False,
    display: Display | None = None,
) -> Comparison:
    """Compare runs on the same images, with the same resamples of them.

    Predictions that a run has of the split are used if they are of its present weights.

    Args:
        folders: of at least two runs.
        split: that is compared on.
        out: folder that gets ``compare.json``, ``compare.png`` and ``timings.json``.
        draws: how often the images are resampled; ``None`` for 1,000, or what many pairs need.
        seed: of the draws.
        metric: of the pairs: mAP, CF1, OF1, operating_point.CF1 or operating_point.OF1.
        speed: measure how many images a second each model takes.
        tuning: how many trials each method had before, and the settings that they chose.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.

    Returns:
        What was written.

    Raises:
        ConfigError: if there is one run only, no such metric, or no draw.
        RunError: if a folder holds no usable model, or says what is no number, or a file cannot
            be written.
        DataError: if the runs were measured on other images, classes or labels.
    """
    check_asked(len(folders), metric=metric, out=Path(out))
    if draws is not None and draws < 1:
        raise ConfigError(f"{draws} draws, expected at least 1; 1000 are usual.")
    paths = [Path(folder) for folder in folders]
    runs = [RunFolder(path) for path in paths]
    descriptions = [load_description(path) for path in paths]
    entries = make_entries(paths, [run.config() for run in runs])
    main = make_accelerator(cpu=cpu).is_main_process
    found = {}
    for number, (entry, run) in enumerate(zip(entries, runs, strict=True), start=1):
        if display is not None and main:
            display.note(f"{number} of {len(runs)}: predictions of {entry.name}")
        found[entry.name], _, _ = predictions_of(
            run, data=None, split=split, with_groups=True, cpu=cpu
        )
        if not np.isfinite(found[entry.name].logits).all():
            raise RunError(
                f"{entry.name}: what the model says of {split} holds values that are not finite, "
                "which cannot be ranked; train it anew, or compare the others without it."
            )
    aligned = align(found)
    if not (aligned[0].targets == 1).any():
        raise DataError(f"no image of the split {split} has any label: there is nothing to rank.")
    measured = [
        measure(
            one.predictions,
            description.operating_point,
            threshold=THRESHOLD,
            protocol="noninterpolated",
        )
        for one, description in zip(aligned, descriptions, strict=True)
    ]
    groups = group_by_recipe(entries)
    images = len(aligned[0].rows)
    draws = draws or usual_draws(math.comb(len(groups), 2))
    resamples = Resamples(images, draws, seed, group_numbers(aligned[0].groups))
    compared = compare_answers(aligned, measured, groups, resamples, metric)
    content = document(
        Setting(split, metric, resamples, found[entries[0].name].classes),
        groups,
        compared,
        measured,
        costs=[describe_cost(one) for one in costs_of(paths, descriptions)],
    )
    if tuning is not None:
        content["tuning"] = dict(tuning)
        content["notes"].append(
            f"every method had {tuning['trials']} trials of its own settings on validation first"
        )
    timings: dict[str, Any] = {}
    for entry in entries:
        timings[entry.name] = timings_of(entry.folder)
        timings[entry.name]["images_per_second"] = (
            images_per_second(entry.folder, cpu=cpu) if speed else None
        )
    comparison = Comparison(Path(out), content, timings)
    if main:
        _write(comparison)
    return comparison


@dataclass(frozen=True)
class Trial:
    """Methods trained to be compared, as far as it got.

    Args:
        comparison: ``None`` if it was interrupted, or fewer than two runs ended.
        problems: a sentence for each run whose loss diverged.
        interruption: what stopped it.
    """

    comparison: Comparison | None
    problems: tuple[str, ...]
    interruption: Interruption | None


def compare_methods(
    planned: Sequence[Planned], *, cpu: bool = False, display: Display | None = None, **given: Any
) -> Trial:
    """Train what is planned and not finished, then compare what has ended.

    Args:
        planned: from :func:`colabel.workflows.comparison.plan_methods`.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.
        **given: as for :func:`compare`.

    Raises:
        ConfigError: before the first training, if a method's model cannot be built.
        ColabelError: as :func:`colabel.workflows.train.train` and :func:`compare` raise it.
    """
    problems: dict[Path, str] = {}
    rehearse(planned, lambda one: f"the method {one.value}")
    interruption = train_planned(
        planned,
        lambda one: f"{one.value}, seed {one.seed}",
        problems=problems,
        ended=lambda: None,
        cpu=cpu,
        display=display,
    )
    told = tuple(f"{folder.name}: {problem}" for folder, problem in problems.items())
    in_order = sorted(planned, key=lambda one: (one.index, one.seed))
    ended = [one.folder for one in in_order if one.run.is_finished]
    if interruption is not None or len(ended) < 2:
        return Trial(None, told, interruption)
    return Trial(compare(ended, cpu=cpu, display=display, **given), told, None)


def _write(comparison: Comparison) -> None:
    """Write the numbers and the picture; each file whole or not at all."""
    folder = comparison.folder
    make_folder(folder)
    write_json(folder / RESULTS, comparison.document)
    write_json(folder / TIMINGS, comparison.timings)
    draw(comparison.document, folder / PICTURE)

"""What somebody should know who reads the numbers of a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colabel.config import Config
from colabel.files import read_json
from colabel.metrics.bootstrap import Resamples
from colabel.metrics.significance import draws_needed
from colabel.runs.folder import DATA, RunFolder
from colabel.runs.measured import Measured
from colabel.settings import Data
from colabel.workflows.comparison.entries import Entry, Group
from colabel.workflows.comparison.statistics import Compared

CHOSEN_ON = "val"
FEW_UNITS = 30
"""Images or groups below which intervals of resamples are too narrow to be relied on."""


@dataclass(frozen=True)
class Setting:
    """How runs are compared.

    Args:
        split: of the images.
        metric: of the pairs.
        resamples: of the images.
        classes: in the order of the first run.
    """

    split: str
    metric: str
    resamples: Resamples
    classes: tuple[str, ...]


def notes_of(
    setting: Setting,
    groups: Sequence[Group],
    compared: Compared,
    measured: Sequence[Measured],
    different: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return the sentences, those about all numbers first.

    Args:
        setting: how the runs were compared.
        groups: the methods.
        compared: what resampling gave.
        measured: every run on the images as they are.
        different: settings that are not the same for all methods.
    """
    entries = [entry for group in groups for entry in group.entries]
    return [
        *_of_images(setting, measured[0], entries[0].config.data),
        *_of_draws(setting.resamples, compared, measured[0]),
        *_of_seeds(groups, compared),
        *_of_training(groups, entries, different),
    ]


def _of_images(setting: Setting, measured: Measured, data: Data) -> Iterator[str]:
    yield from measured.report.tell_left_out()
    name = data.name_of(setting.split)
    if name in (CHOSEN_ON, "train", data.train, data.validation):
        called = "" if name == setting.split else f", which is {name} in this source (data.test),"
        yield (
            f"the split {setting.split}{called} has trained or chosen the weights, so its scores "
            "flatter; compare on images that did not"
        )
    resamples = setting.resamples
    unit = "image" if resamples.groups is None else "group"
    if resamples.units == 1:
        yield f"one {unit} alone: resampling says nothing, and no difference can be found"
    elif resamples.units < FEW_UNITS:
        yield (
            f"{resamples.units} {unit}s are few: intervals are narrower and p values smaller than "
            "they should be"
        )


def _of_draws(resamples: Resamples, compared: Compared, measured: Measured) -> Iterator[str]:
    needed = draws_needed(len(compared.pairs))
    if compared.pairs and resamples.draws < needed:
        yield (
            f"with {resamples.draws} draws no difference can be found among {len(compared.pairs)} "
            f"pairs; take --draws {needed} or more"
        )
    lacking = int((compared.skipped > measured.report.classes_without_positives).sum())
    if lacking:
        yield (
            f"{lacking} of {resamples.draws} draws lack every positive of some other class; its "
            "average precision is left out of their means, for all runs alike"
        )
    if any(score.interval.method == "wilson" for one in compared.runs.values() for score in one):
        yield "a score of 0 or 100 in every draw has Wilson's interval (docs/comparing.md)"


def _of_seeds(groups: Sequence[Group], compared: Compared) -> Iterator[str]:
    if any(pair.different and pair.seeds_disagree for pair in compared.pairs):
        yield "a difference was found whose sign is not the same with every seed"
    if all(len(group.entries) == 1 for group in groups):
        yield "one seed of each method: that another seed would give the same order is not shown"


def _of_training(
    groups: Sequence[Group], entries: Sequence[Entry], different: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    if different:
        yield f"not the same for all: {', '.join(different)}"
    configs = [group.entries[0].config for group in groups]
    heads = {config.stages()[-1].head.model_dump_json() for config in configs}
    losses = {_losses_of(config) for config in configs}
    if len(heads) > 1 and len(losses) > 1:
        yield "heads and losses both differ: which of the two a difference comes from is not told"
    folders = [entry.folder.absolute() for entry in entries]
    for entry in entries:
        if not RunFolder(entry.folder).is_finished:
            yield f"{entry.name} is not trained to its end; go on with colabel train --resume"
        if folders.count(entry.folder.absolute()) > 1:
            yield f"{entry.name} is given more than once"
    if len(_trained_on(entries)) > 1:
        yield "the runs were not all trained on the same images and labels"


def _losses_of(config: Config) -> str:
    """Return what tells the terms of the last stages of two recipes apart."""
    terms = {name: one.model_dump() for name, one in config.stages()[-1].terms.items()}
    return json.dumps(terms, sort_keys=True)


def _trained_on(entries: Sequence[Entry]) -> set[str]:
    """Return what tells the training images of the runs apart, as far as they say."""
    files = [entry.folder / DATA for entry in entries]
    facts = [read_json(path) for path in files if path.is_file()]
    return {str(one["train"]["fingerprint"]) for one in facts if "train" in one}

"""The images to train on and to choose by, divided where the source leaves them undivided."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from colabel.build.source import open_source
from colabel.data import Records
from colabel.data.copies import groups_with_copies
from colabel.data.split import SPLITS, divide, hold_out, read_split_table, stratified_split
from colabel.errors import DataError, nearest
from colabel.settings.data import Data


def open_training_data(
    data: Data, *, seed: int, split_file: Path | None = None
) -> dict[str, Records]:
    """Read what training needs, dividing what the source leaves undivided.

    A source without a validation split gives up a share of its training images; a table without
    any split is divided in three. Both are stratified by label, keep groups and
    identical files together and depend on the seed alone.

    Args:
        data: source, options and names of splits.
        seed: of the division.
        split_file: the division of an earlier start of the same run, which is then used again.

    Returns:
        Records under ``train`` and ``val``, and under ``test`` if this function made that split.

    Raises:
        ConfigError: if the source or an option is unknown.
        DataError: if it cannot be read, or the splits do not fit each other.
    """
    opened = open_source(data, (data.train, data.validation))
    if data.shared_groups == "stop":
        _check_groups(data, opened)
    if "all" in opened:
        whole = opened["all"]
        if split_file is not None and split_file.is_file():
            saved = read_split_table(split_file)
            strangers = [one for one in whole.ids if one not in saved]
            if strangers or len(saved) != len(whole):
                raise DataError(
                    f"{data.source} does not list the images that {split_file} divides; first "
                    f"unknown: {strangers[0] if strangers else 'none, but some are missing'}. "
                    "Start a new run for new data, or measure on its split all."
                )
            division = [saved[one] for one in whole.ids]
        else:
            groups, notes = groups_with_copies(whole)
            division = [
                str(one) for one in stratified_split(whole.targets, groups=groups, seed=seed)
            ]
            whole = _noted(whole, *notes, _division_note(division))
        return divide(whole, division)
    if data.train not in opened:
        raise DataError(
            f"{data.source} has no split {data.train!r}; {nearest(data.train, opened)} "
            "Name it in data.train."
        )
    train = opened[data.train]
    if data.validation is None or data.validation not in opened:
        groups, notes = groups_with_copies(train)
        fraction = data.validation_fraction
        train, validation = hold_out(train, fraction, groups=groups, seed=seed)
        note = f"{len(validation)} images of {data.train} held out for validation"
        train, validation = (_noted(part, *notes, note) for part in (train, validation))
        return {"train": train, "val": validation}
    validation = opened[data.validation]
    if train.classes != validation.classes:
        raise DataError(
            f"the splits of {data.source} have different classes: train has "
            f"{', '.join(train.classes)}; {data.validation} has {', '.join(validation.classes)}. "
            "Give every split the same classes in the same order."
        )
    return {"train": train, "val": validation}


def _noted(records: Records, *notes: str) -> Records:
    return replace(records, notes=(*records.notes, *notes))


def _division_note(division: Sequence[str]) -> str:
    """Say how many images each split was given."""
    counts = ", ".join(f"{division.count(split)} {split}" for split in SPLITS)
    return f"no splits in the data, so its images were divided: {counts}"


def _check_groups(data: Data, opened: Mapping[str, Records]) -> None:
    """Refuse splits that share a group: the model would be measured on what it has seen."""
    for first, second in itertools.combinations(opened, 2):
        groups, others = opened[first].groups, opened[second].groups
        if groups is None or others is None:
            continue
        shared = sorted(set(groups) & set(others))
        if shared:
            raise DataError(
                f"{data.source}: {len(shared)} groups have images in both {first} and {second}, "
                f"first {shared[0]!r}, so the scores would be too high. Keep each group in one "
                "split, or set data.shared_groups: allow if that is meant."
            )

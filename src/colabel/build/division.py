"""The splits that training uses, divided where the source leaves them undivided."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from colabel.build.source import gives_all_splits, open_source
from colabel.data import Records
from colabel.data.copies import groups_with_copies
from colabel.data.fraction import nested_part
from colabel.data.split import SPLITS, divide, hold_out, read_split_table, stratified_split
from colabel.errors import DataError, RunError, nearest
from colabel.settings.data import Data

DEFAULT = Data()
"""The names of the splits where a recipe does not say."""


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is chosen by.

    Args:
        records: under ``train`` and ``val``; under ``test`` too where a table was divided.
        divided: what was divided here, not by the source, in words; empty if nothing was.
    """

    records: dict[str, Records]
    divided: str = ""


def open_training_data(data: Data, *, seed: int, split_file: Path | None = None) -> TrainingData:
    """Read what training needs, dividing what the source leaves undivided.

    A source without a validation split gives up a share of its training images; a table without
    any split is divided in three. Both are stratified by label, keep groups and
    identical files together and depend on the seed alone.

    Args:
        data: source, options and names of splits.
        seed: of the division, unless ``data.division_seed`` gives one.
        split_file: the division of an earlier start of the same run, which is then used again.

    Returns:
        The splits, and what was divided.

    Raises:
        ConfigError: if the source or an option is unknown.
        DataError: if it cannot be read, a split that is named does not exist, the splits do not
            fit each other, or the images are not those of the earlier division.
    """
    seed = seed if data.division_seed is None else data.division_seed
    opened = open_source(data, (data.train, data.validation))
    if data.shared_groups == "stop":
        _check_groups(data, opened)
    named = data.test not in (DEFAULT.test, *opened)
    if named and gives_all_splits(data) and "all" not in opened:
        raise _no_split(data, "test", data.test, opened)
    if "all" in opened and data.train != "all":
        return _in_three(data, opened["all"], seed, split_file)
    if data.train not in opened:
        raise _no_split(data, "train", data.train, opened)
    train = opened[data.train]
    if data.validation is None or data.validation not in opened:
        if data.validation not in (None, DEFAULT.validation):
            raise _no_split(data, "validation", data.validation, opened)
        return _with_held_out(data, train, seed, split_file)
    validation = opened[data.validation]
    if train.classes != validation.classes:
        raise DataError(
            f"the splits of {data.source} have different classes: train has "
            f"{', '.join(train.classes)}; {data.validation} has {', '.join(validation.classes)}. "
            "Give every split the same classes in the same order."
        )
    return TrainingData({"train": train, "val": validation})


def take_fraction(records: Mapping[str, Records], data: Data, *, seed: int) -> dict[str, Records]:
    """Return the splits with the share of the training images that the settings ask for.

    Args:
        records: of a division, ``train`` among them.
        data: says which share, in ``fraction``.
        seed: of the order whose beginning is taken.

    Returns:
        The splits; a note on ``train`` says what was taken.
    """
    whole = records["train"]
    if data.fraction == 1:
        return dict(records)
    taken = nested_part(whole.targets, data.fraction, groups=whole.groups, seed=seed)
    note = f"data.fraction {data.fraction:g}: {len(taken)} of {len(whole)} images are trained on"
    return {**records, "train": _noted(whole.subset(taken.tolist()), note)}


def _in_three(data: Data, whole: Records, seed: int, split_file: Path | None) -> TrainingData:
    """Divide a table that has no splits."""
    named = {"train": data.train, "validation": data.validation, "test": data.test}
    for key, name in named.items():
        known = SPLITS if key == "test" else (getattr(DEFAULT, key),)
        if name is not None and name not in known:
            raise _no_split(data, key, name, SPLITS)
    names = _saved(data, whole, split_file)
    if names is None:
        groups, notes = groups_with_copies(whole)
        names = stratified_split(whole.targets, groups=groups, seed=seed).tolist()
        whole = _noted(whole, *notes)
    records = divide(whole, names)
    counts = ", ".join(f"{len(part)} {name}" for name, part in records.items())
    return TrainingData(records, f"{data.source} has no splits and is divided: {counts}")


def _with_held_out(data: Data, train: Records, seed: int, split_file: Path | None) -> TrainingData:
    """Hold a share of the training images out for validation."""
    names = _saved(data, train, split_file)
    if names is None:
        groups, notes = groups_with_copies(train)
        parts = hold_out(train, data.validation_fraction, groups=groups, seed=seed)
        records = dict(
            zip(("train", "val"), (_noted(part, *notes) for part in parts), strict=True)
        )
    else:
        records = divide(train, names)
    missing = "" if data.validation is None else ", as there is no validation split"
    return TrainingData(
        records,
        f"{len(records['val'])} of {len(train)} images of {data.train!r} are held out for "
        f"validation{missing}",
    )


def _saved(data: Data, records: Records, split_file: Path | None) -> list[str] | None:
    """Return the split of each image that was saved, if there is a division of these images."""
    if split_file is None or not split_file.is_file():
        return None
    if split_file.is_symlink():
        raise RunError(
            f"{split_file} is a symbolic link, which is not followed in a run; put the file "
            "itself in its place."
        )
    saved = read_split_table(split_file)
    strangers = [name for name in records.ids if name not in saved]
    missing = sorted(saved.keys() - set(records.ids))
    if strangers or missing:
        changes = [
            f"{len(names)} {what}, first {names[0]}"
            for what, names in (("are new", strangers), ("are gone", missing))
            if names
        ]
        raise DataError(
            f"the images of {data.source} are not those that {split_file} divides: "
            f"{'; '.join(changes)}. Start a new run for new data, or measure on a split of the "
            "source that the run did not divide, such as all (--split all)."
        )
    empty = {"train", "val"} - set(saved.values())
    if empty:
        raise DataError(
            f"{split_file} names no image of {' and '.join(sorted(empty))}; copy the run again."
        )
    return [saved[name] for name in records.ids]


def _no_split(data: Data, key: str, name: str, known: Iterable[str]) -> DataError:
    """Return the error about a split that is named and does not exist."""
    held_out = ", or null to hold out a share of train" if key == "validation" else ""
    return DataError(
        f"{data.source} has no split {name!r}; {nearest(name, known)} Name it in "
        f"data.{key}{held_out}."
    )


def _noted(records: Records, *notes: str) -> Records:
    return replace(records, notes=(*records.notes, *notes))


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

"""The runs of a comparison: what each is called, and which are one method with other seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colabel.config import Config
from colabel.runs.resuming import is_free
from colabel.settings.flat import flatten

_SEED = "training.seed"
_STARTS = ("data.source", "encoder.weights")
"""A run goes on without these, and begins as another one with others."""
_SHARED = (
    "method.classification.epochs",
    "data.",
    "augmentation.",
    "encoder.",
    "training.",
    "evaluation.",
)


@dataclass(frozen=True)
class Entry:
    """One run.

    Args:
        name: of the run in the comparison, unique.
        folder: of the run.
        config: what it was trained with.
    """

    name: str
    folder: Path
    config: Config

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.config.training.seed


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, each with a seed of its own.

    Args:
        name: unique among the groups.
        entries: at least one.
        places: of the entries among all runs.
    """

    name: str
    entries: tuple[Entry, ...]
    places: tuple[int, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the entries."""
        return tuple(entry.seed for entry in self.entries)


def make_entries(folders: Sequence[Path], configs: Sequence[Config]) -> tuple[Entry, ...]:
    """Name the runs after their folders, with the path where two have one name.

    Example:
        >>> [one.name for one in make_entries([Path("a/x"), Path("b/x"), *[Path("y")] * 3],
        ...     [None] * 5)]
        ['a/x', 'b/x', 'y', 'y (2)', 'y (3)']
    """
    last = [folder.absolute().name for folder in folders]
    distinct = {folder.absolute() for folder in folders}
    names = [
        str(folder) if sum(other.name == name for other in distinct) > 1 else name
        for folder, name in zip(folders, last, strict=True)
    ]
    turns = [names[: place + 1].count(name) for place, name in enumerate(names)]
    named = [
        name if turn == 1 else f"{name} ({turn})" for name, turn in zip(names, turns, strict=True)
    ]
    return tuple(map(Entry, named, folders, configs))


def group_by_recipe(entries: Sequence[Entry]) -> tuple[Group, ...]:
    """Put runs that differ by their seed alone together.

    A run whose seed is in its group already stands for itself; so does every run where there
    would be one group only, so that there is something to compare.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for place, entry in enumerate(entries):
        recipe = json.dumps(_recipe(entry.config), sort_keys=True)
        turn = 0
        while any(entries[i].seed == entry.seed for i in groups.get((recipe, turn), ())):
            turn += 1
        groups.setdefault((recipe, turn), []).append(place)
    members = list(groups.values())
    if len(members) == 1:
        members = [[place] for place in range(len(entries))]
    names = [_name_of([entries[place] for place in places]) for places in members]
    return tuple(
        Group(
            name if names.count(name) == 1 else entries[places[0]].name,
            tuple(entries[place] for place in places),
            tuple(places),
        )
        for name, places in zip(names, members, strict=True)
    )


def differing_settings(groups: Sequence[Group]) -> dict[str, dict[str, Any]]:
    """Return the settings of data, encoder and schedule that are not the same in all groups.

    Settings that change no result are left out, and so are the seeds.

    Returns:
        By dotted key, the value in each group.
    """
    settings = {group.name: _recipe(group.entries[0].config) for group in groups}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    return {
        key: {name: one.get(key) for name, one in settings.items()}
        for key in keys
        if key.startswith(_SHARED)  # the others are what makes a method
        and len({json.dumps(one.get(key), sort_keys=True) for one in settings.values()}) > 1
    }


def _recipe(config: Config) -> Mapping[str, Any]:
    """Return what makes a run the run it is, but for its seed."""
    return {
        key: value
        for key, value in flatten(config.model_dump(mode="json")).items()
        if key != _SEED and (key in _STARTS or not is_free(key))
    }


def _name_of(entries: Sequence[Entry]) -> str:
    """Return what runs are called together: their common name without ``-SEED``."""
    if len(entries) == 1:
        return entries[0].name
    stems = {entry.name.removesuffix(f"-{entry.seed}") for entry in entries}
    if len(stems) == 1:
        return stems.pop()
    return f"{entries[0].name} and {len(entries) - 1} more"

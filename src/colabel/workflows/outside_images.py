"""Images of another kind than those a model was made for, to see whether it can tell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from colabel.build.source import open_source
from colabel.config.paths import absolute_source
from colabel.data import Records
from colabel.data.corrupted import CORRUPTIONS, CorruptedImages
from colabel.data.images import FileImages, read_with
from colabel.errors import ConfigError
from colabel.metrics.decisions import UNKNOWN
from colabel.names import not_text
from colabel.printing import printable
from colabel.settings import Data
from colabel.workflows.pictures import PICTURE_SUFFIXES, find_pictures
from colabel.workflows.predicted_split import PredictedSplit, readable


def outside_records(
    against: Sequence[str],
    inside: PredictedSplit,
    *,
    on_corrupt: Literal["stop", "skip"] | None,
) -> dict[str, Records]:
    """Return the images of each set, with the labels of the model, unknown.

    Args:
        against: folders, patterns, sources of labelled images, or corruptions.
        inside: the images that the model is measured on, and the model.
        on_corrupt: what an image that cannot be decoded does.

    Raises:
        ConfigError: if two sets have the same name.
        DataError: if there are no images.
    """
    sets: dict[str, Records] = {}
    for place in against:
        name = _name_of(place, sets)
        if place in CORRUPTIONS:
            damaged = CorruptedImages(inside.records.images, place)
            sets[name] = replace(inside.records, images=damaged, notes=(), reading=None)
            continue
        records = _opened(place)
        targets = np.full((len(records), len(inside.records.classes)), UNKNOWN, dtype=np.int8)
        records = replace(records, targets=targets, classes=inside.records.classes, groups=None)
        records = read_with(records, inside.description.pixels)
        sets[name] = readable(inside, records, name, on_corrupt=on_corrupt)
    return sets


def _name_of(place: str, taken: Collection[str]) -> str:
    """Return what a set is called: the end of its path, as long as nothing else is called so.

    Raises:
        ConfigError: if it is the whole path that another set has.
    """
    parts = [place] if place in CORRUPTIONS else Path(place.rpartition(":")[2]).parts or (place,)
    for length in range(1, len(parts) + 1):
        name = "/".join(parts[-length:])
        if name not in taken:
            return name
    raise ConfigError(f"--against {place}: it is there twice; leave one out.")


def _opened(place: str) -> Records:
    """Return the images of a folder or pattern, or of a source its split test, or its last."""
    path = Path(place)
    table = path.is_file() and path.suffix.lower() not in PICTURE_SUFFIXES
    if table or (":" in place and not path.exists()) or place == "shapes":
        splits = open_source(Data(source=absolute_source(place)))
        return splits.get("test") or list(splits.values())[-1]
    found = find_pictures([place])
    notes = [*found.notes, *(f"{folder}: {reason}" for folder, reason in found.folders.items())]
    return Records(
        ids=tuple(
            name if not_text([name]) is None else printable(name) for name in found.pictures
        ),
        images=FileImages(found.pictures),
        targets=np.zeros((len(found.pictures), 1), dtype=np.int8),
        classes=("outside",),
        notes=tuple(notes),
    )

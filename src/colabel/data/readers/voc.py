"""PASCAL VOC 2007 and 2012, classification by the objects of the annotation files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from colabel.data.listed import find_images
from colabel.data.opening import read_lines
from colabel.data.paths import contained, first_existing
from colabel.data.readers.voc_file import (
    Difficult,
    parse_annotation,
    read_objects,
    target_of_difficult,
)
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError, nearest

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
"""The twenty classes, in the order of the challenge."""


def _find_year(root: Path, year: str) -> Path:
    """Return the folder of one year from itself, VOCdevkit, or what holds VOCdevkit."""
    if root.name == year:
        candidates = [root / "ImageSets"]
    else:
        candidates = [root / "VOCdevkit" / year / "ImageSets", root / year / "ImageSets"]
    layout = f"{year} (Annotations, ImageSets/Main, JPEGImages) or the VOCdevkit that holds it"
    return first_existing(candidates, what=f"PASCAL {year}", layout=layout).parent


def _read_ids(path: Path, split: str) -> list[str]:
    if not os.path.lexists(path):
        raise DataError(
            f"{path}: no such file; the split {split!r} is not there. "
            "Unpack its part of the challenge into the same VOCdevkit."
        )
    lines = read_lines(path, expected="one image name per line")
    ids = [line.split()[0] for line in lines if line.strip()]
    if not ids:
        raise DataError(f"{path}: the list is empty; expected one image name per line.")
    return ids


def _read_voc(
    root: Path,
    split: str,
    *,
    year: str,
    splits: tuple[str, ...],
    difficult: Difficult,
    require_images: bool,
) -> Records:
    target = target_of_difficult(difficult)
    if split not in splits:
        raise DataError(f"{year} has no split {split!r}; {nearest(split, splits)}")
    folder = _find_year(root, year)
    source = folder / "ImageSets" / "Main" / f"{split}.txt"
    ids = [
        contained(folder, name, where=f"{source}, line {line}")
        for line, name in enumerate(_read_ids(source, split), start=1)
    ]
    number = {name: column for column, name in enumerate(CLASSES)}
    targets = np.zeros((len(ids), len(CLASSES)), dtype=np.int8)
    for row, name in enumerate(ids):
        path = folder / "Annotations" / f"{name}.xml"
        objects = read_objects(path, parse_annotation(path), target, CLASSES)
        for label, value in objects.items():
            targets[row, number[label]] = value
    images, notes = find_images(
        folder,
        [f"JPEGImages/{name}.jpg" for name in ids],
        source=source,
        require_images=require_images,
    )
    doubtful = int((targets == UNKNOWN).sum())
    if doubtful:
        notes = (f"{doubtful} labels with difficult objects only are unknown (-1)", *notes)
    return Records(tuple(ids), images, targets, CLASSES, root=folder, notes=notes)


def read_voc2007(
    root: Path,
    split: str,
    *,
    difficult: Difficult = "unknown",
    require_images: bool = True,
) -> Records:
    """Read PASCAL VOC 2007.

    A class is present if one of its objects is not marked difficult. The challenge does not
    count a class of which an image has difficult objects only; that is the default here.

    Args:
        root: VOC2007, the VOCdevkit that holds it, or the folder that holds VOCdevkit.
        split: "train", "val", "trainval" or "test".
        difficult: target of a class with difficult objects only: "unknown" (-1), "present" (1)
            or "absent" (0).
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Raises:
        DataError: if the folder, the split or an annotation is not as VOC has it.
    """
    return _read_voc(
        root,
        split,
        year="VOC2007",
        splits=("train", "val", "trainval", "test"),
        difficult=difficult,
        require_images=require_images,
    )


def read_voc2012(
    root: Path,
    split: str,
    *,
    difficult: Difficult = "unknown",
    require_images: bool = True,
) -> Records:
    """Read PASCAL VOC 2012.

    Args:
        root: VOC2012, the VOCdevkit that holds it, or the folder that holds VOCdevkit.
        split: "train", "val" or "trainval".
        difficult: as in :func:`read_voc2007`.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Raises:
        DataError: as :func:`read_voc2007`; for the test split, whose labels were never published.
    """
    if split == "test":
        raise DataError(
            "VOC2012 has no public labels for its test split; use 'val', or hold out a part of "
            "'trainval'."
        )
    return _read_voc(
        root,
        split,
        year="VOC2012",
        splits=("train", "val", "trainval"),
        difficult=difficult,
        require_images=require_images,
    )

"""NIH ChestX-ray14: fourteen findings in frontal chest X-rays, grouped by patient."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from colabel.data.listed import find_images
from colabel.data.opening import read_lines
from colabel.data.paths import contained, first_existing
from colabel.data.readers.layout import file_names
from colabel.data.readers.rows import read_rows
from colabel.data.records import Records
from colabel.data.split import hold_out
from colabel.errors import DataError, nearest

NoFinding = Literal["keep", "drop"]
Listed = dict[str, tuple[int, ...] | None]
"""Image names of a list, each with its findings where the list itself holds them."""

CLASSES = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip
"""The findings, in the order of the CheXNet lists."""

VALIDATION_FRACTION = 0.125
"""Share of train_val_list.txt that becomes validation where no list says which."""

_NO_FINDING = "No Finding"
_PATIENT = re.compile(r"(\d+)_\d+\.\w+")
_IMAGE_FOLDERS = re.compile(r"images(_\d+)?")
_TABLE = re.compile(r"Data_Entry_2017.*\.csv")


def _read_list(path: Path) -> Listed:
    """Return the images of a list: a name per line, followed by fourteen 0/1 or by nothing."""
    listed: Listed = {}
    for number, line in enumerate(read_lines(path, expected="one image name per line"), start=1):
        if not line.strip():
            continue
        name, *flags = line.split()
        where = f"{path}, line {number}"
        name = contained(path.parent, name, where=where).rsplit("/", 1)[-1]
        if (flags and len(flags) != len(CLASSES)) or not {"0", "1"}.issuperset(flags):
            raise DataError(
                f"{where}: expected the name of an image, alone or with {len(CLASSES)} times 0 or "
                f"1, got {line.strip()[:80]!r}."
            )
        if name in listed:
            raise DataError(f"{where}: {name} is listed twice; expected each image once.")
        listed[name] = tuple(map(int, flags)) if flags else None
    if not listed:
        raise DataError(f"{path}: the list is empty; expected one image per line.")
    return listed


def _read_findings(root: Path) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Return the findings of each image in NIH's table."""
    tables = [root / name for name in file_names(root) if _TABLE.fullmatch(name)]
    if not tables:
        raise DataError(
            f"{root}: no Data_Entry_2017*.csv, which the lists of names need for the findings; "
            "put it there, or use lists that hold fourteen 0/1 per line."
        )
    rows = read_rows(tables[0])
    for column in ("Image Index", "Finding Labels"):
        if column not in rows.columns:
            raise DataError(f"{rows.path}: no column {column!r}; {nearest(column, rows.columns)}")
    number = {name: position for position, name in enumerate(CLASSES)}
    flags: dict[str, tuple[int, ...]] = {}
    for row, cell in enumerate(rows.columns["Finding Labels"]):
        if cell in flags:
            continue
        present = [0] * len(CLASSES)
        for label in cell.split("|"):
            if label in number:
                present[number[label]] = 1
            elif label != _NO_FINDING:
                raise DataError(
                    f"{rows.where(row)}: unknown finding {label!r}; "
                    f"{nearest(label, (*CLASSES, _NO_FINDING))}"
                )
        flags[cell] = tuple(present)
    findings = (flags[cell] for cell in rows.columns["Finding Labels"])
    return rows.path, dict(zip(rows.columns["Image Index"], findings, strict=True))


def _label(root: Path, source: Path, listed: Listed) -> dict[str, tuple[int, ...]]:
    """Return the findings of every listed image, from the list or from NIH's table."""
    labelled = {name: flags for name, flags in listed.items() if flags is not None}
    if len(labelled) == len(listed):
        return labelled
    table, findings = _read_findings(root)
    for name in listed.keys() - labelled.keys():
        if name not in findings:
            raise DataError(
                f"{source}: {name} is listed but not in {table}; use the list and the table of "
                "one release."
            )
    return {name: labelled.get(name) or findings[name] for name in listed}


def _index_images(root: Path) -> dict[str, str]:
    """Return the relative path of each image file below images, images_001 and so on."""
    index: dict[str, str] = {}
    folders = [root / name for name in file_names(root) if _IMAGE_FOLDERS.fullmatch(name)]
    for outer in folders:
        for folder in (outer, outer / "images"):
            if os.path.isdir(folder):
                relative = folder.relative_to(root).as_posix()
                index.update((name, f"{relative}/{name}") for name in file_names(folder))
    return index


def _records(
    root: Path, source: Path, labels: Mapping[str, tuple[int, ...]], *, require_images: bool
) -> Records:
    ids = tuple(labels)
    matches = [_PATIENT.fullmatch(name) for name in ids]
    if None in matches:
        strange = ids[matches.index(None)]
        raise DataError(
            f"{source}: {strange!r} does not name a patient; expected names like 00000001_000.png."
        )
    index = _index_images(root)
    images, notes = find_images(
        root,
        [index.get(name, f"images/{name}") for name in ids],
        source=source,
        require_images=require_images,
    )
    targets = np.array([labels[name] for name in ids], dtype=np.int8)
    groups = tuple(match[1] for match in matches if match)
    return Records(ids, images, targets, CLASSES, groups, root, notes)


def read_chestxray14(
    root: Path,
    split: str,
    *,
    no_finding: NoFinding = "keep",
    validation_fraction: float = VALIDATION_FRACTION,
    require_images: bool = True,
) -> Records:
    """Read NIH ChestX-ray14, in either of the layouts it is passed around in.

    NIH's own: ``Data_Entry_2017*.csv`` with ``train_val_list.txt`` and ``test_list.txt``; the
    validation split is then a share of the patients of the first list, always the same. CheXNet's:
    ``train_list.txt``, ``val_list.txt`` and ``test_list.txt`` with fourteen 0/1 behind each name.
    Where both are there, ``train_list.txt`` and ``val_list.txt`` are taken. Images lie in
    ``images``, or in ``images_001/images`` and so on.

    Args:
        root: the folder with the lists.
        split: "train", "val" or "test".
        no_finding: whether images without a finding are kept, as images without labels, or
            dropped.
        validation_fraction: share of the images of ``train_val_list.txt`` to validate on.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Returns:
        Records whose ids are the file names and whose groups are the patients.

    Raises:
        DataError: if the folder, a list or the table is not as described.
    """
    if split not in ("train", "val", "test"):
        raise DataError(f"split: {split!r}; {nearest(split, ('train', 'val', 'test'))}")
    if no_finding not in ("keep", "drop"):
        raise DataError(f"no_finding: {no_finding!r}; {nearest(no_finding, ('keep', 'drop'))}")
    layout = (
        "train_list.txt, val_list.txt and test_list.txt, or train_val_list.txt and test_list.txt"
    )
    published = all(os.path.isfile(root / f"{part}_list.txt") for part in ("train", "val"))
    combined = split != "test" and not published
    name = "train_val_list.txt" if combined else f"{split}_list.txt"
    source = first_existing([root / name], what="ChestX-ray14", layout=layout)
    labels = _label(root, source, _read_list(source))
    records = _records(root, source, labels, require_images=require_images)
    if combined:
        rest, held_out = hold_out(records, validation_fraction)
        records = held_out if split == "val" else rest
    healthy = ~records.targets.any(axis=1)
    if not healthy.any():
        return records
    if no_finding == "drop":
        records = records.subset(np.flatnonzero(~healthy).tolist())
    done = "dropped" if no_finding == "drop" else "kept"
    note = f"{int(healthy.sum())} images without a finding {done} (option no_finding)"
    return replace(records, notes=(*records.notes, note))

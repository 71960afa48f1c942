"""Open Images' tables of image labels, verified by people: a row for each label of each image."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO, final

from colabel.data.images import FileImages
from colabel.data.opening import at_home, open_data
from colabel.data.readers.layout import (
    SPLIT_NAMES,
    alike_notes,
    below,
    empty_targets,
    file_names,
    list_folder,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError, nearest
from colabel.limits import MAX_CSV_BYTES, MAX_LINE_LENGTH
from colabel.names import check_class_names, is_system_name

Unlisted = Literal["absent", "unknown"]

_UNLISTED = ("unknown", "absent")
_LAYOUT = (
    "*imagelabels*.csv or classifications.csv (ImageID, Source, LabelName, Confidence), perhaps "
    "class-descriptions.csv, and folders of images"
)
_COLUMNS = ("ImageID", "LabelName", "Confidence")
_VALUES = {"1": 1, "1.0": 1, "0": 0, "0.0": 0}
_CONFLICT = 2
_FOLDERS = ("", "labels", "metadata", "annotations", "csv")


@final
@dataclass
class _Table:
    """What the tables of one split say of the images that are there."""

    folder: Path
    values: dict[str, dict[str, int]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    images: Mapping[str, str] = field(default_factory=dict)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank."""
    number = 0
    opened = open_data(path, expected="a table of Open Images", limit=MAX_CSV_BYTES)
    try:
        with io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(_lines(file), strict=True), start=1):
                if row:
                    yield number, row
    except (UnicodeError, csv.Error, OSError) as error:
        raise DataError(
            f"{path}, after line {number}: not readable as UTF-8 CSV ({error})."
        ) from error


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file, none of which fills the memory."""
    while line := file.readline(MAX_LINE_LENGTH):
        if len(line) == MAX_LINE_LENGTH:
            raise csv.Error(f"a line of more than {MAX_LINE_LENGTH:,} characters")
        yield line


def _find(root: Path, fits: Callable[[str], bool]) -> list[Path]:
    """Return the CSV files of the folders that hold tables, whose names fit."""
    folders = [root / name for name in _FOLDERS if os.path.isdir(root / name)]
    return sorted(
        folder / name
        for folder in folders
        for name in file_names(folder)
        if name.endswith(".csv") and fits(name) and not is_system_name(name)
    )


def _is_table(name: str) -> bool:
    return "imagelabels" in name or name == "classifications.csv"


def _split_of(path: Path) -> str:
    words = re.findall(r"[a-z]+", path.stem.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "all")


def _read_names(root: Path) -> dict[str, str]:
    """Return the name of each class by its machine name, where a table has them."""
    files = _find(root, lambda name: "class-descriptions" in name or name == "classes.csv")
    names: dict[str, str] = {}
    for path in files[:1]:
        for number, row in _rows(path):
            if row == ["LabelName", "DisplayName"]:
                continue
            if len(row) != 2:
                raise DataError(
                    f"{path}, line {number}: {len(row)} cells; expected a label and its name."
                )
            label, name = (cell.strip() for cell in row)
            if names.setdefault(label, name) != name:
                raise DataError(f"{path}, line {number}: a second name for {label}; expected one.")
    return names


def _image_folder(root: Path, split: str, given: Path | None) -> Path:
    base = root if given is None else given
    spelled = [name for name, meaning in SPLIT_NAMES.items() if meaning == split]
    inside = [part for name in spelled for part in (name, f"images/{name}", f"data/{name}")]
    for name in (*inside, "images", "data"):
        if os.path.isdir(base / name):
            return base / name
    return base


def _read_table(path: Path, table: _Table) -> None:
    """Add a table to what is known of the images that are there; the others are only counted."""
    rows = _rows(path)
    _, header = next(rows, (0, []))
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"{path}: no column {missing[0]!r}; expected ImageID, Source, LabelName, Confidence."
        )
    image, label, confidence = (header.index(name) for name in _COLUMNS)
    width = max(image, label, confidence)
    for number, row in rows:
        where = f"{path}, line {number}"
        if len(row) <= width:
            raise DataError(f"{where}: {len(row)} cells; expected {len(header)} as in the header.")
        name = row[image].strip()
        if name not in table.images:
            table.absent.add(name)
            continue
        value = _VALUES.get(row[confidence].strip())
        if value is None:
            raise DataError(
                f"{where}: the confidence {row[confidence]!r}; expected 1 (present) or 0 "
                "(verified absent). Labels that a machine guessed are no truth: take the table of "
                "human-verified labels."
            )
        known = table.values.setdefault(name, {})
        if known.setdefault(row[label].strip(), value) != value:
            known[row[label].strip()] = _CONFLICT


def _read_tables(root: Path, images: Path | None) -> dict[str, _Table]:
    paths = _find(root, _is_table)
    if not paths:
        raise DataError(f"{root}: no table of labels; expected {_LAYOUT}.{other_readers(root)}")
    tables: dict[str, _Table] = {}
    for path in paths:
        split = _split_of(path)
        if split not in tables:
            folder = _image_folder(root, split, images)
            table = tables[split] = _Table(folder)
            listed = list_folder(folder).images
            stems = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in listed]
            table.images = dict(zip(stems, listed, strict=True))
            twice = len(listed) - len(table.images)
            if twice:
                raise DataError(
                    f"{folder}: {twice} images have the name of another; "
                    "expected one image for each ImageID. Give the folder as the option images."
                )
        _read_table(path, tables[split])
    if "all" in tables and len(tables) > 1:
        raise DataError(
            f"{root}: some tables of labels name a split and some do not; expected train, "
            "validation or test in all of their names or in none."
        )
    return {split: tables[split] for split in ("train", "val", "test", "all") if split in tables}


def _class_names(
    root: Path, labels: list[str], names: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class of each label, and a note of labels without a name."""
    nameless = [label for label in labels if label not in names]
    classes = tuple(names.get(label, label) for label in labels)
    first: dict[str, str] = {}
    for label, name in zip(labels, classes, strict=True):
        if name in first:
            raise DataError(
                f"{root}: the labels {first[name]} and {label} are both called {name!r}; rename "
                "one of them in the class descriptions."
            )
        first[name] = label
    if nameless and len(nameless) < len(labels):
        return classes, (f"{len(nameless)} labels without a description, first {nameless[0]}",)
    return classes, ()


def read_openimages(
    root: Path, *, unlisted: Unlisted = "unknown", images: Path | None = None
) -> dict[str, Records]:
    """Read Open Images' human-verified labels of images, or tables of that layout.

    A label with confidence 1 is present, with 0 verified absent; one that no row lists was not
    looked at. Only images that are there are read: few people have all of them. Classes are the
    labels that occur with one of them, called as the class descriptions say, in the order of
    their machine names.

    Args:
        root: folder with the tables, in itself or in labels, metadata, annotations or csv, and
            the images in train, validation, test, images or data.
        unlisted: target of a label that no row lists: "unknown" (-1) or "absent" (0).
        images: folder of the images, or of the folders of the splits.

    Returns:
        Records by split, as the names of the tables say; under "all" where they do not.

    Raises:
        DataError: if there is no table, one is not as described, or not one of its images exists.
    """
    if unlisted not in _UNLISTED:
        raise DataError(f"unlisted: {unlisted!r}; {nearest(unlisted, _UNLISTED)}")
    if not os.path.isdir(root):
        raise DataError(f"{root}: not a folder; expected {_LAYOUT}.{other_readers(root)}")
    tables = _read_tables(root, None if images is None else at_home(images))
    labels = sorted(
        {label for table in tables.values() for known in table.values.values() for label in known}
    )
    for table in tables.values():
        if not table.values:
            raise DataError(
                f"{table.folder}: none of the {len(table.absent)} images of the table is there; "
                "expected files named after ImageID. Give their folder as the option images."
            )
    classes, nameless = _class_names(root, labels, _read_names(root))
    check_class_names(classes, source=root)
    return {
        split: _records(root, table, labels, classes, unlisted, nameless)
        for split, table in tables.items()
    }


def _records(
    root: Path,
    table: _Table,
    labels: list[str],
    classes: tuple[str, ...],
    unlisted: Unlisted,
    notes: tuple[str, ...],
) -> Records:
    targets = empty_targets(len(table.values), len(labels), source=root)
    targets.fill(UNKNOWN if unlisted == "unknown" else 0)
    columns = {label: column for column, label in enumerate(labels)}
    conflicts = 0
    for row, known in enumerate(table.values.values()):
        for label, value in known.items():
            conflicts += value == _CONFLICT
            targets[row, columns[label]] = UNKNOWN if value == _CONFLICT else value
    counts = (
        (len(table.absent), "images of the table that are not there left out"),
        (len(table.images) - len(table.values), "images without a row left out"),
        (conflicts, "labels that are both present and absent are unknown"),
        (
            targets.size - sum(map(len, table.values.values())),
            f"labels that no row lists are {unlisted} (option unlisted)",
        ),
    )
    base, names = below(root, table.folder, [table.images[image] for image in table.values])
    said = tuple(f"{count} {what}" for count, what in counts if count)
    return Records(
        tuple(names),
        FileImages(names, base),
        targets,
        classes,
        root=base,
        notes=(*notes, *said, *alike_notes(classes)),
    )

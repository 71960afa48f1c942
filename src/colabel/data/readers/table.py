"""A table of image paths and labels: CSV, TSV or Parquet, one column per label or one for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colabel.data.images import find_images
from colabel.data.paths import contained
from colabel.data.readers.rows import LIST_DELIMITER, Rows, read_rows
from colabel.data.readers.table_columns import BLANKS, VALUES, TableOptions, find_roles, is_values
from colabel.data.records import UNKNOWN, Records
from colabel.data.split import SPLITS, divide, read_split_table
from colabel.errors import DataError, nearest

_SPLIT_VALUES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_DELIMITERS = (";", "|", ",")
_OUTSIDE = (
    "Give the folder of the images as the option images, or set allow_outside if these files are "
    "the ones you mean."
)
_FIND_OUT = TableOptions()


def _read_wide(
    rows: Rows, names: Sequence[str], blank: str
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """Return targets and notes of a table with one column per label."""
    values = {**VALUES, **dict.fromkeys(BLANKS, 0 if blank == "absent" else UNKNOWN)}
    targets = np.empty((len(rows), len(names)), dtype=np.int8)
    blanks = 0
    for column, name in enumerate(names):
        cells = [cell.lower() for cell in rows.columns[name]]
        try:
            targets[:, column] = [values[cell] for cell in cells]
        except KeyError:
            row = next(row for row, cell in enumerate(cells) if cell not in values)
            labels = [other for other in names if is_values(rows.columns[other])]
            raise DataError(
                f"{rows.where(row)}: the column {name!r} holds {rows.columns[name][row]!r}, "
                "expected 1 (present), 0 (absent), -1 (unknown) or nothing. If it is no label, "
                "name it in the option ignore; if it lists labels, in the option labels. "
                f"Columns that do hold such values: {', '.join(labels) or 'none'}."
            ) from None
        blanks += sum(cell in BLANKS for cell in cells)
    if blanks == 0:
        return targets, ()
    return targets, (f"{blanks} blank label cells taken as {blank} (option blank)",)


def _find_delimiter(rows: Rows, column: str) -> str | None:
    """Return what separates the labels of a column, None where no cell holds a separator."""
    cells = rows.columns[column]
    if any(LIST_DELIMITER in cell for cell in cells):
        return LIST_DELIMITER
    first = {
        delimiter: row
        for delimiter in _DELIMITERS
        if (row := next((row for row, cell in enumerate(cells) if delimiter in cell), None))
        is not None
    }
    if len(first) > 1:
        found = " and ".join(f"{one!r} ({rows.where(row)})" for one, row in first.items())
        raise DataError(
            f"the column {column!r} holds {found}; say which one separates labels with the option "
            "delimiter."
        )
    return next(iter(first), None)


def _read_long(
    rows: Rows, column: str, delimiter: str | None
) -> tuple[npt.NDArray[np.int8], tuple[str, ...], tuple[str, ...]]:
    """Return targets, classes and notes of a table with one column that lists labels."""
    if delimiter == "":
        raise DataError("the delimiter of labels must be at least one character, got none.")
    separator = delimiter or _find_delimiter(rows, column)
    lists = {
        cell: [label for label in map(str.strip, cell.split(separator)) if label]
        if separator
        else [cell] * (cell != "")
        for cell in set(rows.columns[column])
    }
    classes = tuple(sorted({label for labels in lists.values() for label in labels}))
    if not classes:
        raise DataError(f"{rows.path}: the column {column!r} holds no label in any row.")
    number = {name: position for position, name in enumerate(classes)}
    targets = np.zeros((len(rows), len(classes)), dtype=np.int8)
    for row, cell in enumerate(rows.columns[column]):
        targets[row, [number[label] for label in lists[cell]]] = 1
    folded = Counter(name.casefold() for name in classes)
    alike = [name for name in classes if folded[name.casefold()] > 1]
    notes = (f"labels that differ only in letter case: {', '.join(alike)}",) if alike else ()
    return targets, classes, notes


def _read_ids(rows: Rows, ids: list[str]) -> tuple[str, ...]:
    """Return the ids, refusing blank ones and the second row of one that occurs twice."""
    first: dict[str, int] = {}
    for row, identifier in enumerate(ids):
        if not identifier:
            raise DataError(f"{rows.where(row)}: the id is blank; each image needs its own.")
        if first.setdefault(identifier, row) != row:
            raise DataError(
                f"{rows.where(row)}: {identifier!r} stands already in {rows.unit} "
                f"{rows.lines[first[identifier]]}; expected one row per image, "
                "with all its labels."
            )
    return tuple(ids)


def _image_folder(rows: Rows, options: TableOptions, names: Sequence[str]) -> Path:
    """Return the folder the paths are relative to."""
    if options.images is not None:
        return options.images
    folder = rows.path.parent
    below = folder / "images"
    sample = names[:20]
    if any((folder / name).exists() for name in sample):
        return folder
    return below if any((below / name).exists() for name in sample) else folder


def _read_splits(rows: Rows, column: str) -> list[str | None]:
    """Return the split in each row's column, None where it is blank."""
    splits: list[str | None] = []
    for row, cell in enumerate(rows.columns[column]):
        if cell and cell.lower() not in _SPLIT_VALUES:
            raise DataError(
                f"{rows.where(row)}: {cell!r} in the column {column!r} is no split; expected "
                "train, val or test. If the column means something else, name it in the option "
                "ignore."
            )
        splits.append(_SPLIT_VALUES[cell.lower()] if cell else None)
    return splits


def _look_up_splits(
    path: Path, ids: Sequence[str], names: Sequence[str]
) -> tuple[list[str | None], str]:
    """Return the split of each image from another file, by id or by path, and a note."""
    known = read_split_table(path)
    splits = [known.get(one, known.get(name)) for one, name in zip(ids, names, strict=True)]
    strangers = known.keys() - set(ids) - set(names)
    if strangers:
        raise DataError(
            f"{path}: {len(strangers)} of {len(known)} names are not in the table, first "
            f"{min(strangers)!r}; expected its ids or paths."
        )
    for one in set(splits):
        if one is not None and one not in SPLITS:
            raise DataError(f"{path}: {one!r} is no split; expected train, val or test.")
    return splits, f"splits taken from {path}"


def _read(path: Path, options: TableOptions) -> tuple[Records, list[str | None] | None]:
    """Return all images of a table, and the split of each where there are splits."""
    rows = read_rows(path)
    roles = find_roles(rows, options)
    base = path.parent if options.images is None else options.images
    names = [
        contained(
            base,
            cell,
            where=rows.where(row),
            allow_outside=options.allow_outside,
            remedy=_OUTSIDE,
        )
        for row, cell in enumerate(rows.columns[roles.image])
    ]
    ids = _read_ids(rows, names if roles.id is None else rows.columns[roles.id])
    if roles.labels is not None:
        targets, classes, notes = _read_long(rows, roles.labels, options.delimiter)
    else:
        classes = roles.each_label
        targets, notes = _read_wide(rows, classes, options.blank)
    groups = None if roles.group is None else _read_groups(rows, roles.group, ids)
    splits: list[str | None] | None = None
    lists = options.splits or path.parent / "splits"
    if options.splits is None and roles.split is not None:
        splits = _read_splits(rows, roles.split)
    elif options.splits is not None or any((lists / f"{split}.txt").is_file() for split in SPLITS):
        splits, note = _look_up_splits(lists, ids, names)
        notes = (*notes, note)
    root = _image_folder(rows, options, names)
    images, missing = find_images(root, names, source=path, require_images=options.require_images)
    records = Records(ids, images, targets, classes, groups, root, (*notes, *missing))
    return records, splits


def _read_groups(rows: Rows, column: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the group of each image; one without a group is a group of its own."""
    return tuple(
        group or f"only {identifier}"
        for group, identifier in zip(rows.columns[column], ids, strict=True)
    )


def read_table_splits(path: Path, options: TableOptions = _FIND_OUT) -> dict[str, Records]:
    """Read a table of paths and labels, divided as the table says.

    Args:
        path: as in :func:`read_table`.
        options: which column is what, and how to read it.

    Returns:
        The records of each split by its name (train, val, test); all of them under "all" where
        nothing divides them. Images without a split are left out, which a note says.

    Raises:
        DataError: as :func:`read_table`.
    """
    records, splits = _read(path, options)
    if splits is None:
        return {"all": records}
    left_out = splits.count(None)
    if left_out == len(splits):
        raise DataError(f"{path}: no image has a split; expected train, val or test.")
    if left_out:
        note = f"{left_out} of {len(splits)} images without a split left out"
        records = replace(records, notes=(*records.notes, note))
        kept = [row for row, split in enumerate(splits) if split is not None]
        records = records.subset(kept)
    return divide(records, [split for split in splits if split is not None])


def read_table(path: Path, split: str | None = None, options: TableOptions = _FIND_OUT) -> Records:
    r"""Read a table of image paths and labels.

    One row per image. Labels stand in one column per label (1 present, 0 absent, -1 unknown,
    blank as ``options.blank`` says) or in one column that lists them (``cat;dog``, separated by
    ``;``, ``|`` or ``,``). Classes come from the whole table, so that they are the same for
    every split: in the order of the columns, or of the alphabet for lists. Paths are relative to
    the table; a path that leaves its folder is refused.

    Args:
        path: CSV, TSV or Parquet.
        split: "train", "val" or "test"; ``None`` for all images.
        options: which column is what, and how to read it.

    Raises:
        DataError: if the table cannot be read as meant; names the file and the line.
        MissingExtraError: for Parquet without pyarrow.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "labels.csv").write_text("path,labels\na.jpg,cat;dog\nb.jpg,\n")
        >>> records = read_table(folder / "labels.csv", options=TableOptions(require_images=False))
        >>> records.ids, records.classes, records.targets.tolist()
        (('a.jpg', 'b.jpg'), ('cat', 'dog'), [[1, 1], [0, 0]])
    """
    if split is None:
        return _read(path, options)[0]
    parts = read_table_splits(path, options)
    if "all" in parts:
        raise DataError(
            f"{path}: no split column, so there is no {split!r}; add a column split with train, "
            "val and test, or divide the images with stratified_split."
        )
    if split not in parts:
        raise DataError(f"{path}: no images in the split {split!r}; {nearest(split, parts)}")
    return parts[split]

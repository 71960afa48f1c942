"""A table of image paths and labels, read as its columns and cells show or its options say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colabel.data.class_names import odd_name_notes
from colabel.data.garbage import collector_paused
from colabel.data.listed import find_images
from colabel.data.readers.rows import Rows, embedded_images, read_rows
from colabel.data.readers.table_columns import Roles, find_roles
from colabel.data.readers.table_division import find_splits, refuse_two_splits
from colabel.data.readers.table_folders import Origin, find_tables, read_tables
from colabel.data.readers.table_hints import folder_groups, group_hints, image_hints
from colabel.data.readers.table_images import check_ids, image_folder, image_names
from colabel.data.readers.table_lists import ListedLabels, read_lists
from colabel.data.readers.table_merge import (
    Merge,
    each_row_alone,
    is_long,
    merge_lists,
    merge_rows,
    merge_values,
)
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_values import read_values
from colabel.data.reading import Reading
from colabel.data.records import ImageSource, Records
from colabel.data.split import divide
from colabel.errors import DataError, nearest

_FIND_OUT = TableOptions()
_NAMED = 5


@dataclass(frozen=True)
class _Labels:
    """The labels of the images of a table.

    Args:
        targets: shape (images, classes).
        classes: class names.
        form: how they are written.
        separator: what separates them, where something does.
        notes: what was decided.
        merge: which rows make up each image.
        complete: whether what is not listed is absent.
    """

    targets: npt.NDArray[np.int8]
    classes: tuple[str, ...]
    form: str
    separator: str | None
    notes: tuple[str, ...]
    merge: Merge
    complete: bool = False


def _read_labels(rows: Rows, roles: Roles, names: Sequence[str], options: TableOptions) -> _Labels:
    """Return the labels of every image."""
    merge = merge_rows(names)
    if options.layout == "long" and not merge.repeats:
        raise DataError(
            f"{rows.path}: layout=long has no effect, each image has one row; remove the option."
        )
    if not roles.labels:
        targets, classes, notes = read_values(rows, roles.each_label, options)
        form = "one column per label, present or absent"
        merge = _settle(rows, names, merge, options, long=False)
        if merge.repeats:
            targets = merge_values(merge, targets)
            notes = (*notes, *_merged_notes(merge), "a label is present where any row says so")
        return _Labels(targets, classes, form, None, notes, merge)
    listed = read_lists(rows, roles.labels, options, confidence=roles.confidence is not None)
    long = is_long(merge, listed)
    merge = _settle(rows, names, merge, options, long=long)
    beside = roles.confidence if listed.single else None
    targets, more = merge_lists(merge, listed, rows, beside, options)
    _compare(rows, roles, merge, listed, targets)
    notes = (*listed.notes, *more, *_merged_notes(merge))
    if roles.each_label:
        notes = (*notes, "the columns of 1 and 0 agree with the list of labels")
    form = "one row per image and label" if merge.repeats else listed.form
    complete = not form.startswith("a vector") and options.unlisted != "unknown"
    return _Labels(targets, listed.classes, form, listed.separator, notes, merge, complete)


def _settle(
    rows: Rows,
    names: Sequence[str],
    merge: Merge,
    options: TableOptions,
    *,
    long: bool,
) -> Merge:
    """Return which rows are put together: all of an image, or none where each has its own id."""
    if not merge.repeats or options.layout == "long" or (long and options.layout is None):
        return merge
    if options.id is not None and len(rows.different(options.id)) == len(rows):
        return each_row_alone(len(rows))
    row = next(row for row, image in enumerate(merge.image) if merge.first[image] != row)
    raise DataError(
        f"{rows.where(row)}: {names[row]!r} stands already in {rows.unit} "
        f"{rows.lines[merge.first[merge.image[row]]]}; expected one row per image, with all its "
        "labels. If the rows of an image belong together, set layout=long: a label is then "
        "present if one of them has it."
    )


def _merged_notes(merge: Merge) -> tuple[str, ...]:
    if not merge.repeats:
        return ()
    return (
        f"{len(merge.image):,} rows put together to {len(merge.first):,} images (layout=long; "
        "layout=image refuses an image that occurs twice)",
    )


def _compare(
    rows: Rows,
    roles: Roles,
    merge: Merge,
    listed: ListedLabels,
    targets: npt.NDArray[np.int8],
) -> None:
    """Refuse columns of 1 and 0 beside a list that do not say the same."""
    if not roles.each_label:
        return
    flags, classes, _ = read_values(rows, roles.each_label, _FIND_OUT)
    seen = {name for name, column in zip(classes, flags.T, strict=True) if (column == 1).any()}
    if seen == set(listed.classes):
        order = [classes.index(name) for name in listed.classes]
        if (merge_values(merge, flags)[:, order] == targets).all():
            return
    raise DataError(
        f"{rows.path}: labels stand in a list ({', '.join(roles.labels)}) and in columns of 1 and "
        f"0 ({', '.join(roles.each_label[:_NAMED])}), and the two do not say the same. Choose "
        f"with the option labels={','.join(roles.labels)} or "
        f"each_label={','.join(roles.each_label[:3])},... , or name what is no label in ignore."
    )


def _find_groups(
    rows: Rows,
    roles: Roles,
    options: TableOptions,
    merge: Merge,
    ids: Sequence[str],
    names: Sequence[str],
) -> tuple[str, ...] | None:
    """Return the group of each image; one without a group is a group of its own."""
    if options.group_folder is not None:
        groups = folder_groups([names[row] for row in merge.first], options.group_folder)
        if not any(groups):
            raise DataError(
                f"group_folder={options.group_folder}: the path {names[0]!r} has no such folder."
            )
    elif roles.group is not None:
        groups = merge.pick(rows, roles.group, names)
    else:
        return None
    return tuple(
        group or f"only {identifier}" for group, identifier in zip(groups, ids, strict=True)
    )


@collector_paused()
def _read(path: Path, options: TableOptions) -> tuple[Records, list[str | None] | None]:
    """Return all images of a table, and the split of each where there are splits."""
    if not os.path.isdir(path):
        if options.tables is not None:
            raise DataError(f"{path}: the option tables is for a folder of tables; remove it.")
        return _interpret(read_rows(path, options.rows), options, None)
    tables = find_tables(path, options.tables)
    if not tables:
        raise DataError(
            f"{path}: a folder; expected a table of image paths and labels, a folder whose "
            "folders train, valid and test hold a table of one name each, or one with tables such "
            "as train.csv and test.csv."
        )
    rows, origin = read_tables(path, tables, options.rows)
    return _interpret(rows, options, origin)


def _interpret(
    rows: Rows, options: TableOptions, origin: Origin | None
) -> tuple[Records, list[str | None] | None]:
    """Return what the rows mean."""
    path = rows.path if origin is None else origin.root
    roles = find_roles(rows, options)
    names, path_notes = image_names(rows, roles.image, options, origin)
    if origin is not None and options.splits is None and options.split is None:
        refuse_two_splits(rows, origin, names)
    labels = _read_labels(rows, roles, names, options)
    merge = labels.merge
    if merge.repeats and roles.id is not None and options.id is None:
        unused = {**roles.unused, roles.id: "an image has several rows"}
        roles = replace(roles, id=None, unused=unused)
    paths = [names[row] for row in merge.first]
    ids = paths if roles.id is None else [rows.columns[roles.id][row] for row in merge.first]
    check_ids(rows, ids, merge, found=roles.id if options.id is None else None)
    groups = _find_groups(rows, roles, options, merge, ids, names)
    splits, split_notes = find_splits(rows, roles, options, origin, merge, ids, names)
    images: ImageSource
    root: Path | None = None
    missing: tuple[str, ...] = ()
    if roles.image in rows.blobs:
        images = embedded_images(rows, roles.image).select(merge.first)
    else:
        folder = path if origin is not None else path.parent
        root = image_folder(folder, options, paths)
        images, missing = find_images(
            root, paths, source=path, require_images=options.require_images
        )
    positives = (labels.targets == 1).sum(axis=0)
    notes = (
        *rows.notes,
        *labels.notes,
        *odd_name_notes(labels.classes, positives),
        *(() if groups is not None else group_hints(rows, roles.unused, paths)),
        *image_hints(roles.unused, roles.image),
        *path_notes,
        *split_notes,
        *missing,
    )
    reading = Reading(
        source=str(path),
        columns=roles.described(rows.columns),
        form=labels.form,
        separator=labels.separator,
        dialect="" if rows.dialect is None else str(rows.dialect),
        rows=len(rows),
        images=len(ids),
        ids=tuple(ids[:3]),
        complete=labels.complete,
    )
    records = Records(
        tuple(ids), images, labels.targets, labels.classes, groups, root, notes, reading
    )
    return records, splits


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
    return _divide(records, splits)


def _divide(records: Records, splits: list[str | None]) -> dict[str, Records]:
    """Return the records of each split, leaving out the images that have none."""
    left_out = [row for row, split in enumerate(splits) if split is None]
    reading = records.reading
    assert reading is not None
    if len(left_out) == len(splits):
        raise DataError(f"{reading.source}: no image has a split; expected train, val or test.")
    if left_out:
        ids = tuple(records.ids[row] for row in left_out[:_NAMED])
        note = f"{len(left_out)} of {len(splits)} images without a split left out"
        reading = replace(
            reading,
            images=len(splits) - len(left_out),
            left_out={"images without a split": len(left_out)},
            examples=ids,
        )
        records = replace(records, notes=(*records.notes, note), reading=reading)
        records = records.subset([row for row, split in enumerate(splits) if split is not None])
    return divide(records, [split for split in splits if split is not None])


def read_table(path: Path, split: str | None = None, options: TableOptions = _FIND_OUT) -> Records:
    r"""Read a table of image paths and labels.

    One row per image. Labels stand in one column per label (1 present, 0 absent, -1 unknown,
    blank as ``options.blank`` says) or in one column that lists them (``cat;dog``; what
    separates them is found by the evidence of all cells). Tables of one row per image and label
    are put together. Classes come from the whole table, so that they are the same for every
    split: in the order of the columns, or of the alphabet for lists. Paths are relative to the
    table; a path that leaves its folder is refused. ``Records.reading`` tells how it was read.

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

"""What divides the images of a table: its columns, its place, or lists beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from colabel.data.readers.rows import Rows
from colabel.data.readers.table_columns import Roles
from colabel.data.readers.table_folders import Origin, find_side_by_side
from colabel.data.readers.table_merge import Merge
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_splits import look_up_splits, read_split_column, read_split_flags
from colabel.data.split import SPLITS
from colabel.errors import DataError


def find_splits(
    rows: Rows,
    roles: Roles,
    options: TableOptions,
    origin: Origin | None,
    merge: Merge,
    ids: Sequence[str],
    names: Sequence[str],
) -> tuple[list[str | None] | None, tuple[str, ...]]:
    """Return the split of each image, ``None`` where nothing divides them, and notes.

    Args:
        rows: the table.
        roles: its columns.
        options: what the user says.
        origin: for several tables, where each row comes from.
        merge: which rows make up each image.
        ids: of the images.
        names: the path of each row.

    Raises:
        DataError: if an option has no effect, or an image is in two splits.
    """
    if origin is not None and options.splits is None and options.split is None:
        return [origin.splits[row] for row in merge.first], (origin.note,)
    paths = [names[row] for row in merge.first]
    lists = options.splits or rows.path.parent / "splits"
    if options.split_values and (roles.split is None or options.splits is not None):
        raise DataError(
            "the option split_values has no effect: no column of splits is used. Name it in the "
            "option split."
        )
    for column in (roles.split, *roles.split_flags):
        if column is not None:
            merge.pick(rows, column, names)
    every: list[str | None]
    if options.splits is None and roles.split is not None:
        every = read_split_column(rows, roles.split, options.split_values)
        return [every[row] for row in merge.first], ()
    if options.splits is None and roles.split_flags:
        every = read_split_flags(rows, roles.split_flags)
        return [every[row] for row in merge.first], ()
    beside = any(os.path.isfile(lists / f"{split}.txt") for split in SPLITS)
    if options.splits is not None or beside:
        splits, note = look_up_splits(lists, ids, paths)
        return splits, (note,)
    return None, _beside_notes(rows.path)


def refuse_two_splits(rows: Rows, origin: Origin, names: Sequence[str]) -> None:
    """Refuse an image that tables of two splits list.

    Args:
        rows: of all tables.
        origin: where each row comes from.
        names: the path of each row.
    """
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        first = seen.setdefault(name, row)
        if origin.splits[row] != origin.splits[first]:
            raise DataError(
                f"{rows.where(row)}: {names[row]!r} is in {origin.splits[row]}, and in "
                f"{origin.splits[first]} by {rows.where(first)}; an image belongs to one split."
            )


def _beside_notes(table: Path) -> tuple[str, ...]:
    """Say which tables of other splits lie beside this one, which nothing divides."""
    others = [name for name in find_side_by_side(table.parent, table) if name != table.name]
    if not others:
        return ()
    return (
        f"not read: {', '.join(others)} beside this table; give the folder {table.parent} to take "
        "each of these tables as its split",
    )

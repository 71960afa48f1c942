"""The images that the rows of a table name: their paths, their folder and their ids."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.paths import contained_names, find_files
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_folders import Origin
from colabel.data.readers.table_merge import Merge
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_paths import are_in_folders, relocated
from colabel.errors import DataError

_OUTSIDE = (
    "Give the folder of the images as the option images, or set allow_outside if these files are "
    "the ones you mean."
)
_LONGEST = 4096


def image_names(
    rows: Rows, image: str, options: TableOptions, origin: Origin | None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the path of each row's image, and notes.

    Args:
        rows: the table.
        image: its column of paths.
        options: ``images`` and ``allow_outside``.
        origin: where the rows come from if from a folder of tables; their paths are then
            relative to the folder above.

    Raises:
        DataError: if a cell is no path, or leaves the folder.
    """
    cells = rows.columns[image]
    if image in rows.blobs:
        return list(cells), ()
    if options.images is not None and not (options.allow_outside and os.path.exists(cells[0])):
        found = relocated(cells, options.images)
        if found is not None:
            return found[0], (found[1],)
    base = rows.path.parent if origin is None else origin.root
    base = base if options.images is None else options.images
    beside = origin is not None and origin.beside and not are_in_folders(base, cells, origin)
    if origin is None or options.images is not None or beside:
        return _contained(rows, image, 0, cells, base, options), ()
    names: list[str] = []
    for folder, run in groupby(origin.folders):
        start, stop = len(names), len(names) + len(list(run))
        inner = _contained(rows, image, start, cells[start:stop], base / folder, options)
        names.extend(
            f"{folder}/{name}"
            if name[0] not in "./"
            else posixpath.normpath(posixpath.join(folder, name))
            for name in inner
        )
    return names, ()


def _contained(
    rows: Rows, image: str, start: int, cells: Sequence[str], folder: Path, options: TableOptions
) -> list[str]:
    """Return the paths in the cells of the rows from ``start`` on, relative to a folder."""
    longest = max(map(len, cells), default=0)
    sound = cells
    if longest > _LONGEST:
        sound = cells[: next(row for row, cell in enumerate(cells) if len(cell) > _LONGEST)]
    names = contained_names(
        folder,
        sound,
        where=lambda position: rows.where(start + position),
        allow_outside=options.allow_outside,
        remedy=_OUTSIDE,
    )
    if len(sound) < len(cells):
        raise DataError(
            f"{rows.where(start + len(sound))}: the column {image!r} holds "
            f"{len(cells[len(sound)]):,} characters, expected the path of an image."
        )
    return names


def check_ids(rows: Rows, ids: Sequence[str], merge: Merge, *, found: str | None) -> None:
    """Refuse blank ids and the second image of one that occurs twice.

    Args:
        rows: the table.
        ids: of each image.
        merge: which rows make up each image.
        found: the column of ids, where it was found and not given.

    Raises:
        DataError: names the line.
    """
    different = set(ids)
    if len(different) == len(ids) and "" not in different:
        return
    first: dict[str, int] = {}
    for image, identifier in enumerate(ids):
        row = merge.first[image]
        if not identifier:
            raise DataError(f"{rows.where(row)}: the id is blank; each image needs its own.")
        if first.setdefault(identifier, row) != row:
            hint = (
                f" If the column {found!r} is no id, name it in the option group (images that "
                "share it stay together) or ignore."
                if found
                else ""
            )
            raise DataError(
                f"{rows.where(row)}: {identifier!r} stands already in {rows.unit} "
                f"{rows.lines[first[identifier]]}; expected one row per image, "
                f"with all its labels.{hint}"
            )


def image_folder(folder: Path, options: TableOptions, names: Sequence[str]) -> Path:
    """Return the folder the paths are relative to: that of the table, or ``images`` in it."""
    if options.images is not None:
        return options.images
    sample = list(names[:20])
    for candidate in (folder, folder / "images"):
        try:
            _, missing = find_files(candidate, sample, IMAGE_SUFFIXES)
        except DataError:
            return candidate
        if len(missing) < len(sample):
            return candidate
    return folder

"""The header of a table: where it stands, and whether it is there at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.readers.rows.model import RowOptions
from colabel.errors import DataError

_IMAGE_NAMES = (*sorted(IMAGE_SUFFIXES), ".dcm", ".jp2", ".heic", ".avif", ".nii", ".nii.gz")
_VALUES = frozenset({"0", "1", "-1", "0.0", "1.0", "-1.0", "true", "false"})
_HEADER_WORDS = ("path", "file", "image", "img", "name", "id", "photo", "picture")
_RULE = re.compile(r"[-+:=|]{2,}|")
_MOST_TITLES = 20
_MOST_ROWS = 200
_SHOWN = 60


@final
@dataclass(frozen=True)
class Header:
    """The names of the columns.

    Args:
        names: one per column; blank where there is none.
        first: position of the first row below it.
        line: where it stands, ``None`` where the file has none.
        notes: what was decided.
    """

    names: list[str]
    first: int
    line: int | None
    notes: tuple[str, ...] = ()


def is_image_name(cell: str) -> bool:
    """Tell whether a cell ends like the name of an image file."""
    return cell.lower().endswith(_IMAGE_NAMES)


def shorten(text: str) -> str:
    """Return a text as it is shown in a message."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _shape(cell: str) -> str:
    """Return a cell with every number as 9 and every word as a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", cell))


def _trimmed(cells: Sequence[str]) -> int:
    """Return the number of cells up to the last that is not blank."""
    return next((number for number in range(len(cells), 0, -1) if cells[number - 1]), 0)


def _is_counting(cells: Sequence[str]) -> bool:
    """Tell whether cells are 0, 1, 2, ... or 1, 2, 3, ...: numbers as names of classes."""
    return list(cells) in (
        [str(number) for number in range(len(cells))],
        [str(number) for number in range(1, len(cells) + 1)],
    )


def looks_like_data(cells: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether a row is one of the rows below it, and not their header.

    It is if it names an image file; if it holds values where they all hold values, unless these
    count 0, 1, 2 as names of classes may, beside a word such as path; if it holds a name of the
    same shape as theirs (img_001); or if all its cells but one occur again in their columns.
    """
    if any(map(is_image_name, cells)):
        return True
    # files that were joined hold their header again
    body = [row for row in body if len(row) == len(cells) and row != cells]
    if not body:
        return False
    columns = list(zip(*body, strict=True))
    alike = any(
        re.search(r"\d", cell) is not None
        and re.search(r"[^\W\d_]", cell) is not None
        and all(_shape(other) == _shape(cell) for other in column)
        and len(set(column)) == len(column)
        for cell, column in zip(cells, columns, strict=True)
    )
    if alike and len(body) > 1:
        return True
    values = [
        cell.lower()
        for cell, column in zip(cells, columns, strict=True)
        if all(other.lower() in _VALUES for other in column)
    ]
    if values and all(value in _VALUES for value in values):
        words = [word for cell in cells for word in _HEADER_WORDS if word in cell.lower()]
        return not (_is_counting(values) and words)
    again = [
        bool(cell) and not cell.isdecimal() and cell in column
        for cell, column in zip(cells, columns, strict=True)
    ]
    return len(body) > 2 and any(again) and sum(again) >= len(cells) - 1


def _without_header(
    path: Path, rows: Sequence[tuple[int, list[str]]], options: RowOptions
) -> Header:
    """Return the names that the user gave to the columns, or their numbers."""
    width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    names = list(options.columns or (f"column_{number + 1}" for number in range(width)))
    if len(names) != width:
        raise DataError(
            f"{path}: {width} columns, but the option columns has {len(names)} names "
            f"({', '.join(names)}); expected one for each."
        )
    start = ", ".join(rows[0][1])
    return Header(
        names, 0, None, (f"no header, as the options say; the first row is {shorten(start)}",)
    )


def _position(rows: Sequence[tuple[int, list[str]]], path: Path, unit: str) -> int:
    """Return the position of the header: the first row, or the one below the titles."""
    common = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    width = max(_trimmed(cells) for _, cells in rows if len(cells) == common)
    for position, (line, cells) in enumerate(rows[:_MOST_TITLES]):
        filled = sum(map(bool, cells))
        if _trimmed(cells) >= width:
            below = [row for _, row in rows[position + 1 :]]
            return position if position and not looks_like_data(cells, below) else 0
        if filled > max(1, width // 2):
            break
        if width == 2 and len(cells) == 2:
            raise DataError(
                f"{path}, {unit} {line}: only one of two cells is filled, so it may be a title or "
                "a header with a name missing; delete it, or name both columns."
            )
    return 0


def find_header(
    path: Path,
    rows: Sequence[tuple[int, list[str]]],
    options: RowOptions,
    *,
    unit: str = "line",
    comment: tuple[int, list[str]] | None = None,
) -> Header:
    """Return the header of a table.

    Rows above it with at most half as many cells are titles, and told. A first row that looks
    like data is not taken for a header: that would lose an image.

    Args:
        path: the file, for messages.
        rows: the first rows that are not blank, each with its line.
        options: what the user named.
        unit: what the lines count.
        comment: the last line above them that begins with #, without it, and its line.

    Raises:
        DataError: if there is no header and the user did not say so.
    """
    if options.header == "none" or options.columns is not None:
        return _without_header(path, rows, options)
    position = _position(rows, path, unit)
    line, cells = rows[position]
    body = [row for _, row in rows[position + 1 : position + _MOST_ROWS]]
    if options.header is None and looks_like_data(cells, body):
        if (
            comment is not None
            and position == 0
            and len(comment[1]) == len(cells)
            and not looks_like_data(comment[1], [cells, *body])
        ):
            return Header(comment[1], 0, comment[0], ("the header stands in a comment",))
        names = ",".join(["image", "cat", "dog", "bird"][: max(2, min(len(cells), 4))])
        raise DataError(
            f"{path}, {unit} {line}: {shorten(', '.join(cells))!r} looks like the first image and "
            "not like a header; put a line with the names of the columns above it, name them in "
            f"the option columns (for instance columns={names}), or set header=none to have them "
            "numbered. If it is the header, set header=first."
        )
    titles = [shorten(" ".join(filter(None, cells))) for _, cells in rows[:position]]
    notes = [f"left out above the header: {'; '.join(titles)}"] * bool(titles)
    first = position + 1
    if body and all(map(_RULE.fullmatch, body[0])):
        notes.append("a line of dashes below the header left out")
        first += 1
    return Header(list(cells), first, line, tuple(notes))

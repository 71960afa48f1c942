"""What reading a table returns: columns of text, and where each row stands."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol, final

from colabel.errors import DataError, listed
from colabel.limits import MAX_CELLS, MAX_COLUMNS

LIST_DELIMITER = "\x1f"
"""Joins the items of a cell that holds a list."""


_SEPARATOR_NAMES = {"\t": "a tab", " ": "space"}


def named(separator: str) -> str:
    """Return a separator as it is called in a message."""
    return _SEPARATOR_NAMES.get(separator, repr(separator))


def refuse_too_many_cells(path: Path, rows: int, columns: int) -> None:
    """Refuse a table that is larger in memory than its file lets one think.

    Raises:
        DataError: for too many columns or cells; says what to do.
    """
    if rows < 0 or columns > MAX_COLUMNS or rows * columns > MAX_CELLS:
        raise DataError(
            f"{path}: {rows:,} rows of {columns:,} columns, where at most {MAX_CELLS:,} cells and "
            f"{MAX_COLUMNS:,} columns are read; leave out what is not needed, divide the table by "
            "split, or save it as text, whose size shows what it takes."
        )


class Blobs(Protocol):
    """The bytes that one column of a table holds, read when asked for."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def read(self, row: int) -> bytes | None:
        """Return the bytes of a row, ``None`` where there are none."""
        ...


@final
@dataclass(frozen=True)
class Dialect:
    """How a text file writes its table.

    Args:
        separator: the character between two cells; a space stands for any run of white space.
        quote: the character around a cell that holds a separator; ``None`` where there is none.
        escape: the character before a quote that is part of a cell; ``None`` where quotes are
            doubled.
        encoding: Python's name of the encoding.
        header: line of the header, ``None`` for a file without one.
    """

    separator: str
    quote: str | None
    escape: str | None
    encoding: str
    header: int | None

    def __str__(self) -> str:
        r"""Return all of it in words.

        Example:
            >>> print(Dialect(";", '"', None, "utf-8-sig", 1))
            separated by ';', utf-8, header in line 1
            >>> print(Dialect("\t", "'", None, "cp1252", None))
            separated by a tab, quoted by ', cp1252, no header
        """
        words = [f"separated by {named(self.separator)}"]
        if self.quote != '"':
            words.append("no quotes" if self.quote is None else f"quoted by {self.quote}")
        if self.escape is not None:
            words.append(f"{self.escape} before a quote within a cell")
        words.append(self.encoding.removesuffix("-sig"))
        words.append("no header" if self.header is None else f"header in line {self.header}")
        return ", ".join(words)


@final
@dataclass(frozen=True)
class RowOptions:
    """How to read a file; ``None`` means: find out.

    Args:
        separator: the character between two cells of a text file, or "tab" or "space".
        quote: the character around a cell that holds a separator, or "none".
        encoding: Python's name of the encoding of a text file.
        header: "none" for a table whose first row is an image; its columns are then named
            column_1, column_2, ... unless ``columns`` names them.
        columns: the names of the columns of a table without a header.
        sheet: the sheet of a workbook.
        ignore: columns that may hold nested values; their cells are left blank.

    Raises:
        DataError: on a separator or quote of more than one character, or another header.
    """

    separator: str | None = None
    quote: str | None = None
    encoding: str | None = None
    header: Literal["first", "none"] | None = None
    columns: tuple[str, ...] | None = None
    sheet: str | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, value, words in (
            ("separator", self.separator, ("tab", "space")),
            ("quote", self.quote, ("none",)),
        ):
            if value is not None and value not in words and (len(value) != 1 or value in "\r\n"):
                raise DataError(
                    f"{name} must be one character, or {' or '.join(words)}, got {value!r}."
                )
        if self.header not in (None, "first", "none"):
            raise DataError(f"header must be 'first' or 'none', got {self.header!r}.")
        if self.columns is not None:
            twice = [name for name, count in Counter(self.columns).items() if count > 1]
            if twice or not all(self.columns):
                raise DataError(f"columns must be different names, got {self.columns}.")
            if self.header == "first":
                raise DataError(
                    "columns names the columns of a table without a header, header=first says "
                    "that there is one; give one of the two."
                )


FIND_OUT = RowOptions()


@final
@dataclass(frozen=True)
class Part:
    """The rows that one of several files gave.

    Args:
        path: the file.
        unit: what its lines count.
        start: number of rows before it.
    """

    path: Path
    unit: str
    start: int


@final
@dataclass(frozen=True)
class Rows:
    """A table as columns of text.

    Args:
        path: the file; the first of several.
        columns: cells by column name, without surrounding space; all of one length.
        lines: the line each row ends on (text), or its number from 1.
        unit: what ``lines`` counts: "line", "row" or "record".
        notes: what was decided that a user should know.
        dialect: how a text file writes its table; ``None`` for other files.
        blobs: by column name, the bytes that stand in the table itself, as images may.
        parts: where the rows come from if from several files; else empty.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int]
    unit: str = "line"
    notes: tuple[str, ...] = ()
    dialect: Dialect | None = None
    blobs: Mapping[str, Blobs] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    _different: dict[str, frozenset[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    def different(self, name: str) -> frozenset[str]:
        """Return the different cells of a column, found out once."""
        if name not in self._different:
            self._different[name] = frozenset(self.columns[name])
        return self._different[name]

    def where(self, index: int) -> str:
        """Return file and line of a row, for messages."""
        path, unit = self.path, self.unit
        if self.parts:
            part = self.parts[bisect_right(self.parts, index, key=lambda part: part.start) - 1]
            path, unit = part.path, part.unit
        return f"{path}, {unit} {self.lines[index]}"


@final
@dataclass(frozen=True)
class _JoinedBlobs:
    """The bytes of one column in several files; rows of a file without the column have none."""

    blobs: tuple[Blobs | None, ...]
    starts: tuple[int, ...]
    length: int

    def __len__(self) -> int:
        return self.length

    def read(self, row: int) -> bytes | None:
        part = bisect_right(self.starts, row) - 1
        blobs = self.blobs[part]
        return None if blobs is None else blobs.read(row - self.starts[part])


def _joined_cells(tables: Sequence[Rows], name: str, *, blobs: bool) -> list[str]:
    """Return a column of several tables, blank where a table lacks it."""
    cells = [
        table.columns[name] if name in table.columns else [""] * len(table) for table in tables
    ]
    joined = list(chain.from_iterable(cells))
    if not blobs or len(set(joined)) == len(joined):
        return joined
    # shards number their images from the beginning each
    return [
        f"{table.path.name}/{cell}"
        for table, column in zip(tables, cells, strict=True)
        for cell in column
    ]


def concatenate(tables: Sequence[Rows]) -> Rows:
    """Return several tables as one, the rows in the order given.

    A column that some of the tables lack is blank in their rows, which a note says. Images in
    the tables whose names meet are named after their file as well.

    Args:
        tables: at least one; their columns may come in any order.

    Raises:
        DataError: if there is no table, or two have not one column in common.
    """
    if not tables:
        raise DataError("no table; expected at least one.")
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    for table in tables[1:]:
        if not first.columns.keys() & table.columns.keys():
            raise DataError(
                f"{table.path} has the columns {listed(list(table.columns))}, {first.path} has "
                f"{listed(list(first.columns))}: not one in common; expected tables of one kind."
            )
    starts = [0]
    for table in tables:
        starts.append(starts[-1] + len(table))
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    if any(len(table.columns) < len(names) for table in tables):  # blank cells are put in
        refuse_too_many_cells(first.path, starts[-1], len(names))
    blobs: dict[str, Blobs] = {}
    for name in names:
        lacking = [table for table in tables if name not in table.columns]
        if lacking:
            notes.append(
                f"the column {name!r} is missing in {len(lacking)} of {len(tables)} tables, first "
                f"{lacking[0].path}; its {sum(map(len, lacking))} rows there are blank"
            )
        held = tuple(table.blobs.get(name) for table in tables)
        if any(part is not None for part in held):
            blobs[name] = _JoinedBlobs(held, tuple(starts[:-1]), starts[-1])
    dialects = {table.dialect for table in tables}
    return Rows(
        first.path,
        {name: _joined_cells(tables, name, blobs=name in blobs) for name in names},
        list(chain.from_iterable(table.lines for table in tables)),
        first.unit,
        tuple(notes),
        first.dialect if len(dialects) == 1 else None,
        blobs,
        tuple(
            Part(table.path, table.unit, start)
            for table, start in zip(tables, starts, strict=False)
        ),
    )

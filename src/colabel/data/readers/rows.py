"""Rows of a CSV, TSV or Parquet file as text, each with the line it stands on."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from colabel.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

LIST_DELIMITER = "\x1f"
"""Joins the items of a Parquet cell that holds a list."""

_SEPARATORS = (",", ";", "\t", "|")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_PANDAS_INDEX = "__index_level_0__"


@final
@dataclass(frozen=True)
class Rows:
    """A table as columns of text.

    Args:
        path: the file.
        columns: cells by column name, without surrounding space; all of one length.
        lines: the line each row ends on (CSV), or its number from 1 (Parquet).
        unit: what ``lines`` counts: "line" or "row".
    """

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int]
    unit: str = "line"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    def where(self, index: int) -> str:
        """Return file and line of a row, for messages."""
        return f"{self.path}, {self.unit} {self.lines[index]}"


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _separator(path: Path, header: str) -> str:
    """Return the character that splits the header line into the most columns."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row that is not blank, the header first."""
    line = 0
    try:
        with path.open(encoding=_encoding(path), newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=_separator(path, header), strict=True)
            for row in reader:
                line = reader.line_num
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield line, cells
    except UnicodeError as error:
        raise DataError(
            f"{path}, after line {line}: not UTF-8 text; save the table as UTF-8 "
            '(in Excel: "CSV UTF-8").'
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path}, after line {line}: {error}; expected cells whose quotes are closed, "
            "of at most 131,072 characters."
        ) from error


def _read_text(path: Path) -> Rows:
    rows = _lines(path)
    _, header = next(rows, (0, []))
    if not header:
        raise DataError(
            f"{path}: the file is empty; expected a header line and one row per image."
        )
    width = len(header)
    lines: list[int] = []
    cells: list[list[str]] = [[] for _ in header]
    for line, row in rows:
        if len(row) < width or any(row[width:]):
            raise DataError(
                f"{path}, line {line}: {len(row)} cells, expected {width} as in the header; "
                "put quotes around cells that hold the separator."
            )
        lines.append(line)
        for column, cell in zip(cells, row, strict=False):
            column.append(cell)
    columns: dict[str, list[str]] = {}
    for number, (name, column) in enumerate(zip(header, cells, strict=True), start=1):
        if not name and _is_padding(column):
            continue
        if not name or name in columns:
            problem = f"the name {name!r} twice" if name else f"column {number} without a name"
            raise DataError(f"{path}: the header has {problem}; give each column its own name.")
        columns[name] = column
    return Rows(path, columns, lines)


def _is_padding(column: list[str]) -> bool:
    """Tell whether a nameless column is empty, or the row numbers that pandas writes."""
    return not any(column) or column == [str(number) for number in range(len(column))]


def _pyarrow_parquet() -> ModuleType:
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "pyarrow":
            raise
        raise MissingExtraError("pyarrow", extra="parquet") from error
    module: ModuleType = parquet
    return module


def _text(value: object) -> str:
    """Return a Parquet value as the cell a CSV file would hold."""
    if value is None or value != value:  # NaN alone differs from itself
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return LIST_DELIMITER.join(_text(item) for item in value)
    return str(value).strip()


def _read_parquet(path: Path) -> Rows:
    parquet = _pyarrow_parquet()
    import pyarrow

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}).") from error
    names = table.column_names
    if len(set(names)) != len(names):
        raise DataError(f"{path}: two columns of the same name among {', '.join(names)}.")
    columns = {
        name: [_text(value) for value in table.column(name).to_pylist()]
        for name in names
        if name != _PANDAS_INDEX
    }
    return Rows(path, columns, range(1, table.num_rows + 1), unit="row")


def read_rows(path: Path) -> Rows:
    """Return the rows of a table as text.

    Comma, semicolon, tab or bar separate the cells of a text file, whichever splits the header
    into the most columns. A byte-order mark is understood, and UTF-16 by it; blank lines are
    skipped.

    Args:
        path: a file ending in .parquet or .pq, or a text file of any other ending.

    Raises:
        DataError: if the file is missing, empty, not a table, or ragged.
        MissingExtraError: for Parquet without pyarrow.
    """
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {problem}; expected a table of image paths and labels.")
    rows = _read_parquet(path) if path.suffix.lower() in _PARQUET_SUFFIXES else _read_text(path)
    if not len(rows):
        raise DataError(f"{path}: no rows; expected one per image below the header.")
    return rows

"""A text file as rows: CSV and its relatives."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, islice
from pathlib import Path
from typing import Final, final

from colabel.data.opening import read_data
from colabel.data.readers.rows.columns import Columns
from colabel.data.readers.rows.dialect import Writing, find_writing
from colabel.data.readers.rows.encoding import Decoding, find_encoding
from colabel.data.readers.rows.header import find_header, shorten
from colabel.data.readers.rows.model import Dialect, RowOptions, Rows, named
from colabel.errors import DataError
from colabel.limits import MAX_CELL_LENGTH, MAX_COLUMNS, MAX_TABLE_BYTES

_SAMPLE: Final = 1 << 20
_CHUNK: Final = 1024


@final
class _Text:
    """The lines of a file below what stands above its table: blank lines, comments, ``sep=;``."""

    def __init__(self, data: bytes, encoding: str) -> None:
        self._data, self._encoding = data, encoding
        self.skipped = 0
        self.comments: list[str] = []
        self.separator: str | None = None
        self.notes: list[str] = []
        file = self._open()
        pending: list[str] = []
        for number, line in enumerate(file):
            plain = line.strip().strip("\ufeff")
            if not pending and self.separator is None and self._is_separator_line(plain):
                self.skipped = number + 1
            elif plain.startswith("#"):
                # comments only if a line follows that is none: else names that begin with #
                pending.append(plain)
            elif plain:
                self.comments, self.skipped = pending, number
                break
        if self.comments:
            shown = "; ".join(map(shorten, self.comments))
            self.notes.append(f"comments left out above the header: {shown}")

    def _is_separator_line(self, line: str) -> bool:
        """Take the line by which Excel is told the separator, if this is it."""
        plain = line.strip('",')
        if not plain.lower().startswith("sep=") or len(plain) > 5:
            return False
        self.separator = plain[4:] or ("," if line.endswith(",") else "\t")
        self.notes.append(f"the separator is {named(self.separator)}, as the first line says")
        return True

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(self._data), self._encoding, newline="")

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table."""
        file = self._open()
        for _ in range(self.skipped):
            file.readline()
        first = file.readline()
        yield first.lstrip("\ufeff")
        yield from file

    def sample(self) -> tuple[str, bool]:
        """Return the beginning of the table, of whole lines, and whether it goes on."""
        held: list[str] = []
        size = 0
        for line in self.lines():
            if size > _SAMPLE and len(held) > 2:
                return "".join(held), True
            held.append(line)
            size += len(line)
        return "".join(held), False


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read long cells; its limit holds for the whole process."""
    limit = csv.field_size_limit(MAX_CELL_LENGTH)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


_Block = tuple[Sequence[int], list[list[str]]]


def _height(cells: Sequence[str]) -> int:
    """Return the number of lines that a row takes."""
    return 1 + sum(
        cell.count("\n") + cell.count("\r") - cell.count("\r\n")
        for cell in cells
        if "\n" in cell or "\r" in cell
    )


def _blocks(path: Path, writing: Writing, lines: Iterable[str], skipped: int) -> Iterator[_Block]:
    """Yield the rows, blank ones too, in blocks, each with the lines they end on."""
    reader = writing.read(lines)
    line = skipped
    while True:
        rows: list[list[str]] = []
        try:
            rows.extend(islice(reader, _CHUNK))
        except csv.Error as error:
            # the rows before the error are there
            raise _broken(path, line + sum(map(_height, rows)) + 1, str(error)) from error
        if not rows:
            return
        end = skipped + reader.line_num
        if end - line == len(rows):
            yield range(line + 1, end + 1), rows
        else:
            yield list(accumulate(map(_height, rows), initial=line))[1:], rows
        line = end


def _broken(path: Path, line: int, reason: str) -> DataError:
    if "unexpected end" in reason:
        reason = "a quote opens here and is never closed"
    elif "expected after" in reason:
        reason = "text after a closing quote"
    elif "field larger" in reason:
        reason = f"a cell of more than {MAX_CELL_LENGTH} characters, or a quote that is not closed"
    return DataError(
        f"{path}, line {line}: {reason}; expected cells whose quotes are closed, and quotes "
        "within them doubled. If quotes are plain text in this file, set the option quote=none."
    )


def _cells_of_comment(writing: Writing, text: _Text) -> tuple[int, list[str]] | None:
    """Return line and cells of the last comment above the table, which may be its header."""
    if not text.comments:
        return None
    try:
        cells: list[str] = next(iter(writing.read([text.comments[-1].lstrip("# ")])), [])
    except csv.Error:
        return None
    return text.skipped, [cell.strip() for cell in cells]


def refuse_too_wide(path: Path, columns: int) -> None:
    """Refuse a table of more columns than there can be classes.

    Raises:
        DataError: says what to do.
    """
    if columns > MAX_COLUMNS:
        raise DataError(
            f"{path}: {columns:,} columns, where at most {MAX_COLUMNS:,} are read; check what "
            "separates the cells (option separator), or list the labels of each image in one cell."
        )


def _is_blank(cells: Sequence[str]) -> bool:
    return not any(map(str.strip, cells))


def _ragged(
    path: Path, line: int, cells: Sequence[str], names: Sequence[str], separator: str
) -> DataError:
    number, width = len(cells), len(names)
    shown = shorten(separator.join(cells))
    if number > width:
        remedy = f"put quotes around cells that hold the separator ({named(separator)})"
        if number == width + 1:
            remedy += ", or give the first column a name if the header lacks it"
    else:
        remedy = "add the cells that are missing"
    return DataError(
        f"{path}, line {line}: {number} cells, expected {width} as in the header; {remedy}. The "
        f"line is {shown!r}."
    )


def _refuse_quoted_lines(path: Path, names: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    """Refuse a table of one column in which every cell is a line of another table."""
    for separator in (",", ";", "\t"):
        number = names[0].count(separator)
        if len(names) == 1 and number and all(row[0].count(separator) == number for row in body):
            raise DataError(
                f"{path}: the quotes stand around whole lines and not around cells; the first is "
                f"{shorten(names[0])!r}. Remove them, or set the option quote=none."
            )


def read_text(path: Path, options: RowOptions) -> Rows:
    """Return the rows of a text file; see :func:`read_rows`."""
    data = read_data(
        path,
        expected="a text table of at most 2 GiB; save a larger one as Parquet, or divide it",
        limit=MAX_TABLE_BYTES,
    )
    decoding = find_encoding(path, data, options.encoding)
    text = _Text(data, decoding.encoding)
    sample, cut = text.sample()
    if not sample.strip():
        raise DataError(
            f"{path}: the file is empty; expected a header line and one row per image."
        )
    with _long_cells():
        if text.separator is not None and options.separator is None:
            writing = find_writing(
                path, sample, RowOptions(separator=text.separator, quote=options.quote), cut=cut
            )
        else:
            writing = find_writing(path, sample, options, cut=cut)
        blocks = _blocks(path, writing, text.lines(), text.skipped)
        return _read(path, blocks, writing, text, decoding, options)


def _read(
    path: Path,
    blocks: Iterator[_Block],
    writing: Writing,
    text: _Text,
    decoding: Decoding,
    options: RowOptions,
) -> Rows:
    numbers, rows = next(blocks, ((), []))
    first = [
        (line, [cell.strip() for cell in row])
        for line, row in zip(numbers, rows, strict=True)
        if not _is_blank(row)
    ]
    if not first:
        raise DataError(
            f"{path}: the file is empty; expected a header line and one row per image."
        )
    refuse_too_wide(path, max(len(row) for _, row in first))
    header = find_header(path, first, options, comment=_cells_of_comment(writing, text))
    below = first[header.first :]
    _refuse_quoted_lines(path, header.names, [cells for _, cells in below])
    columns = Columns(header.names)
    lines = array("q")
    _add(path, columns, lines, [line for line, _ in below], [row for _, row in below], writing)
    for numbers, rows in blocks:
        _add(path, columns, lines, numbers, rows, writing)
    notes = list(header.notes)
    if columns.headers:
        shown = ", ".join(map(str, columns.headers[:3]))
        notes.append(f"the header again in {len(columns.headers)} lines, left out: {shown}")
    cells = columns.finish(path, notes)
    regular = range(lines[0], lines[-1] + 1) if lines else range(0)
    told = [*decoding.notes, *text.notes, *notes]
    if header.notes == ("the header stands in a comment",):
        told = [note for note in told if not note.startswith("comments left out")]
    encoding = decoding.encoding
    return Rows(
        path,
        cells,
        regular if len(regular) == len(lines) else lines,
        notes=tuple(told),
        dialect=Dialect(writing.separator, writing.quote, writing.escape, encoding, header.line),
    )


def _add(
    path: Path,
    columns: Columns,
    lines: array[int],
    numbers: Sequence[int],
    rows: list[list[str]],
    writing: Writing,
) -> None:
    """Add a block of rows, without the blank ones."""
    width = len(columns.names)
    if (
        set(map(len, rows)) <= {width}
        and all(row[0].strip() for row in rows)
        and columns.names not in rows
    ):
        lines.extend(numbers)
        columns.add(rows)
        return
    needed = next((n for n in range(width, 0, -1) if columns.names[n - 1]), width)
    kept = []
    for line, row in zip(numbers, rows, strict=True):
        if _is_blank(row):
            continue
        if row == columns.names:
            # files that were joined, each with its header
            columns.headers.append(line)
            continue
        if len(row) != width:
            if len(row) < needed or any(map(str.strip, row[width:])):
                raise _ragged(path, line, row, columns.names, writing.separator)
            row = (row + [""] * width)[:width]
        lines.append(line)
        kept.append(row)
    columns.add(kept)

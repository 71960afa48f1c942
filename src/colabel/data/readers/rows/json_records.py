"""Records in JSON as rows: an array of them, one per line, or an array under one key."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, final

from colabel.data.opening import read_data
from colabel.data.readers.rows.encoding import find_encoding
from colabel.data.readers.rows.header import is_image_name, shorten
from colabel.data.readers.rows.model import LIST_DELIMITER, RowOptions, Rows, refuse_too_many_cells
from colabel.errors import DataError
from colabel.foreign import within_depth
from colabel.limits import MAX_JSON_DEPTH, MAX_JSON_TABLE_BYTES
from colabel.names import not_text

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes half of a surrogate pair, with or without the other half beside it."""
_CHECKED = 65_536
"""Records after which the number of cells is looked at."""
_SPACE = " \t\r\n"
_EXPECTED = (
    "expected an array of records, [{...}, {...}], one record per line, or such an array under "
    "one key"
)


class _DuplicateKeyError(ValueError):
    """A key that stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    answer = dict(pairs)
    if len(answer) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise _DuplicateKeyError(f"the key {shorten(twice)!r} twice in one record")
    return answer


def _number(text: str) -> str:
    """Return a number as text, a whole one without its point."""
    whole, _, fraction = text.partition(".")
    return whole if fraction.strip("0") == "" and whole else text


# numbers stay text: none is rounded, and none is too long to convert
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=str,
    parse_float=_number,
    parse_constant=lambda name: None if name == "NaN" else name,
)


@final
class _Parser:
    """Takes one value after the other from a text, and knows the line it is at."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.position, self.line = 0, 1

    def advance(self, position: int) -> None:
        self.line += self.text.count("\n", self.position, position)
        self.position = position

    def skip_space(self) -> str:
        """Go to the next sign and return it, "" at the end."""
        position, text = self.position, self.text
        while position < len(text) and text[position] in _SPACE:
            position += 1
        self.advance(position)
        return text[position : position + 1]

    def value(self) -> Any:
        """Return the value that begins here.

        Raises:
            DataError: if it is no JSON, too deep, or has a key twice.
        """
        try:
            value, end = _DECODER.raw_decode(self.text, self.position)
        except json.JSONDecodeError as error:
            line = self.line + self.text.count("\n", self.position, error.pos)
            raise self.error(f"not JSON ({error.msg}, column {error.colno})", line) from error
        except RecursionError as error:
            raise self.error("values nested too deeply") from error
        except ValueError as error:
            raise self.error(str(error)) from error
        self.advance(end)
        return value

    def error(self, problem: str, line: int | None = None) -> DataError:
        return DataError(f"{self.path}, line {line or self.line}: {problem}; {_EXPECTED}.")

    def values(self) -> Iterator[tuple[int, Any]]:
        """Yield line and value of the items of an array, or of values one after the other."""
        array = self.skip_space() == "["
        if array:
            self.advance(self.position + 1)
        first = True
        while True:
            sign = self.skip_space()
            if array and sign == "]" and first:
                break
            if not sign and not array:
                return
            line = self.line
            yield line, self.value()
            first = False
            sign = self.skip_space()
            if array and sign == "]":
                break
            if array and sign and sign != ",":
                raise self.error(f"{sign!r} where a comma or the end of the array must be")
            if array and not sign:
                raise self.error("the array is not closed: the file is cut off")
            if array:
                self.advance(self.position + 1)
        self.advance(self.position + 1)
        if self.skip_space():
            raise self.error("text after the end of the array")


def _cell(value: object) -> str | None:
    """Return a value as a cell, ``None`` where it is nested."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        return LIST_DELIMITER.join(_cell(item) or "" for item in value)
    return None


def _excerpt(value: object) -> str:
    """Return a value as it is shown in a message."""
    if not within_depth(value):
        return f"lists and objects within each other more than {MAX_JSON_DEPTH} deep"
    return shorten(json.dumps(value))


def _is_nested(value: object) -> bool:
    return _cell(value) is None


def _counts(names: Iterable[str]) -> bool:
    """Tell whether names are 0, 1, 2, ...: the rows of pandas."""
    return all(name == str(number) for number, name in enumerate(names))


def _of_object(table: dict[str, Any]) -> tuple[list[dict[str, Any]], str] | None:
    """Return the records in one object and a note; ``None`` where it is a record or no table."""
    values = list(table.values())
    arrays = {
        key: held
        for key, held in table.items()
        if isinstance(held, list) and held and all(isinstance(item, dict) for item in held)
    }
    if len(arrays) == 1 and sum(map(_is_nested, values)) == 1:
        key, held = next(iter(arrays.items()))
        left = ", ".join(other for other in table if other != key)
        return held, f"the records stand under the key {key!r}" + f"; left out: {left}" * bool(
            left
        )
    first = values[0] if values else None
    if isinstance(first, dict) and first:
        alike = all(isinstance(value, dict) and value.keys() == first.keys() for value in values)
        if alike and _counts(first) and not _counts(table):
            records = [{name: table[name][row] for name in table} for row in first]
            return records, "the rows stand under the names of the columns, as pandas writes"
        if alike and _counts(table) and not _counts(first):
            return values, "the records stand under their numbers, as pandas writes"
    if isinstance(first, list) and all(
        isinstance(value, list) and len(value) == len(first) for value in values
    ):
        columns = [[_cell(item) for item in value] for value in values]
        if any(all(cell and is_image_name(cell) for cell in column) for column in columns):
            records = [dict(zip(table, row, strict=True)) for row in zip(*values, strict=True)]
            return records, "the cells stand in one array per column"
    return None


def _records(parser: _Parser) -> tuple[Iterator[tuple[int, Any]], str, tuple[str, ...]]:
    """Return the records with the number of each, what is counted, and notes."""
    values = parser.values()
    first = next(values, None)
    if first is None:
        return iter(()), "line", ()
    line, value = first
    # an object alone may hold a table in one of several ways
    if isinstance(value, dict) and not parser.skip_space():
        held = _of_object(value)
        if held is not None:
            return iter(enumerate(held[0], start=1)), "record", (held[1],)
        if any(map(_is_nested, value.values())):
            raise parser.error(
                f"one object with the keys {shorten(', '.join(value))}, which is no table", line
            )
    return chain([(line, value)], values), "line", ()


def _refuse_halves(record: dict[str, Any], where: str) -> None:
    """Refuse half of a surrogate pair, which no other file can hold."""
    for key, value in record.items():
        half = not_text([key, _cell(value) or ""])
        if half is not None:
            raise DataError(
                f"{where}: {ascii(half)[:80]} holds half of a surrogate pair, which is no "
                "character; write the name anew as UTF-8."
            )


def read_json(path: Path, options: RowOptions) -> Rows:
    """Return the rows of a JSON file; see :func:`read_rows`."""
    data = read_data(
        path,
        expected="a JSON table of at most 1 GiB; save a larger one as Parquet, or divide it",
        limit=MAX_JSON_TABLE_BYTES,
    )
    decoding = find_encoding(path, data, options.encoding)
    parser = _Parser(path, data.decode(decoding.encoding).lstrip("\ufeff"))
    halves = _HALF.search(parser.text) is not None
    del data
    if not parser.skip_space():
        raise DataError(f"{path}: the file is empty; {_EXPECTED}.")
    records, unit, notes = _records(parser)
    gathered: dict[
        str, tuple[list[str], int]
    ] = {}  # with the records before the first that has it
    lines: list[int] = []
    missing: Counter[str] = Counter()
    shared: dict[str, str] = {}
    for number, (line, record) in enumerate(records):
        where = f"{path}, {unit} {line}"
        if not isinstance(record, dict):
            raise DataError(f"{where}: {_excerpt(record)} is no record; {_EXPECTED}.")
        if halves:
            _refuse_halves(record, where)
        for key, value in record.items():
            cell = _cell(value)
            if cell is None:
                if key not in options.ignore:
                    nested = [
                        other
                        for other, held in record.items()
                        if _is_nested(held) and other not in options.ignore
                    ]
                    raise DataError(
                        f"{where}: the key {key!r} holds nested values "
                        f"({_excerpt(value)}); expected text, numbers or a list of "
                        "them. Give what matters of it, such as the path or the labels, a key of "
                        "its own; if nothing does, name it in the option ignore. Nested here: "
                        f"{shorten(', '.join(nested))}."
                    )
                cell = ""
            name = key.strip()
            known = gathered.get(name)
            if known is None:
                refuse_too_many_cells(path, number + 1, len(gathered) + 1)
                known = gathered[name] = ([], number)
            column, start = known
            if len(column) + start != number:
                gap = number - start - len(column)
                if gap < 0:
                    raise DataError(f"{where}: the key {name!r} stands twice, but for space.")
                column.extend([""] * gap)
                missing[name] += gap
            column.append(shared.setdefault(cell, cell))
        lines.append(line)
        if len(lines) % _CHECKED == 0:
            refuse_too_many_cells(path, len(lines), len(gathered))
    refuse_too_many_cells(path, len(lines), len(gathered))
    columns: dict[str, list[str]] = {}
    for name, (column, start) in gathered.items():
        end = len(lines) - start - len(column)
        columns[name] = [*[""] * start, *column, *[""] * end] if start or end else column
        missing[name] += start + end
    told = [*decoding.notes, *notes]
    told += [
        f"the key {name!r} is missing in {missing[name]} of {len(lines)} records, which are blank "
        "there"
        for name in columns
        if missing[name]
    ]
    if "" in columns:
        raise DataError(f"{path}: a key without a name; give each column its own name.")
    return Rows(path, columns, lines, unit, tuple(told))

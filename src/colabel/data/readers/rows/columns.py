"""Cells gathered by column, with one object for equal cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from colabel.errors import DataError


@final
class Columns:
    """Columns that grow by blocks of rows.

    Args:
        names: one per column, blank for one without a name.

    Attributes:
        headers: lines on which the header stands once more.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.headers: list[int] = []
        self._cells: list[list[str]] = [[] for _ in names]
        self._shared: dict[str, str] = {}

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Add rows as wide as there are names, without the space around their cells."""
        for cells, column in zip(self._cells, zip(*rows, strict=True), strict=False):
            different = set(column)
            if len(different) * 2 > len(column):
                cells.extend(map(str.strip, column))
                continue
            share = self._shared.setdefault
            stripped = {cell: cell.strip() for cell in different}
            one = {cell: share(plain, plain) for cell, plain in stripped.items()}
            cells.extend(map(one.__getitem__, column))

    def finish(self, path: Path, notes: list[str]) -> dict[str, list[str]]:
        """Return the columns by name; what has no name and no content is left out, and told.

        Raises:
            DataError: if two columns share a name, or one with content has none.
        """
        columns: dict[str, list[str]] = {}
        numbers: dict[str, int] = {}
        padding = 0
        for number, (name, cells) in enumerate(zip(self.names, self._cells, strict=True), start=1):
            if not name:
                if not any(cells):
                    padding += 1
                elif number == 1 and _are_row_numbers(cells):
                    notes.append("column 1 without a name left out: it numbers the rows")
                else:
                    filled = next(cell for cell in cells if cell)
                    raise DataError(
                        f"{path}: the header has column {number} without a name, which holds "
                        f"{filled[:60]!r}; give each column its own name. In a workbook, divide "
                        "merged cells of the header."
                    )
            elif name in columns:
                raise DataError(
                    f"{path}: the header has the name {name!r} twice, in columns {numbers[name]} "
                    f"and {number}; give each column its own name."
                )
            else:
                columns[name], numbers[name] = cells, number
        if padding:
            notes.append(f"{padding} empty columns without a name left out")
        return columns


def _are_row_numbers(cells: Sequence[str]) -> bool:
    """Tell whether a nameless column is what pandas or R writes: a whole number for each row.

    They need not count up: a table that was shuffled or filtered keeps the numbers of its rows.
    """
    return all(map(str.isdecimal, cells)) and len(set(cells)) == len(cells)

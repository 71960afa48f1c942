"""Rows that belong to one image, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from colabel.data.readers.layout import empty_targets
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_lists import ListedLabels
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_values import number_of
from colabel.data.records import UNKNOWN
from colabel.errors import DataError

Targets = npt.NDArray[np.int8]


@final
@dataclass(frozen=True)
class Merge:
    """Which image each row is about.

    Args:
        image: of each row, counted in order of first appearance.
        first: the first row of each image.
    """

    image: npt.NDArray[np.int64]
    first: tuple[int, ...]

    @property
    def repeats(self) -> bool:
        """Tell whether an image has more than one row."""
        return len(self.first) < len(self.image)

    def pick(self, rows: Rows, column: str, names: Sequence[str]) -> list[str]:
        """Return the cell of each image, on which all its rows must agree."""
        cells = rows.columns[column]
        if not self.repeats:
            return cells
        for row, image in enumerate(self.image.tolist()):
            if cells[row] != cells[self.first[image]]:
                raise DataError(
                    f"{rows.where(row)}: {names[row]!r} has {cells[row]!r} in the column "
                    f"{column!r}, and {cells[self.first[image]]!r} in {rows.unit} "
                    f"{rows.lines[self.first[image]]}; expected the same in all rows of an image."
                )
        return [cells[row] for row in self.first]


def each_row_alone(rows: int) -> Merge:
    """Return that every row is an image of its own."""
    return Merge(np.arange(rows), tuple(range(rows)))


def merge_rows(names: Sequence[str]) -> Merge:
    """Return which rows share an image.

    Args:
        names: the image of each row.
    """
    if len(set(names)) == len(names):
        return each_row_alone(len(names))
    number: dict[str, int] = {}
    image = np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)
    first = np.unique(image, return_index=True)[1]
    return Merge(image, tuple(first.tolist()))


def is_long(merge: Merge, listed: ListedLabels) -> bool:
    """Tell whether a table has a row per image and label: one label a row, several an image."""
    if not merge.repeats or not listed.single:
        return False
    pairs = np.unique(np.stack((merge.image[listed.rows], listed.columns)), axis=1)
    return bool((np.bincount(pairs[0]) > 1).any())


def merge_values(merge: Merge, targets: Targets) -> Targets:
    """Return targets of images from those of rows: present where one row says so."""
    merged = np.full((len(merge.first), targets.shape[1]), UNKNOWN, dtype=np.int8)
    for value in (0, 1):
        row, column = np.nonzero(targets == value)
        merged[merge.image[row], column] = value
    return merged


def merge_lists(
    merge: Merge,
    listed: ListedLabels,
    rows: Rows,
    confidence: str | None,
    options: TableOptions,
) -> tuple[Targets, tuple[str, ...]]:
    """Return targets of images from the labels that rows list.

    Args:
        merge: which rows belong together.
        listed: the labels.
        rows: the table.
        confidence: a column with 1 for a label that is there, 0 for one that was looked for and
            is not, or a degree in between.
        options: ``unlisted`` and ``minimum_confidence``.

    Raises:
        DataError: for a degree in between without ``minimum_confidence``, or a contradiction.
    """
    unlisted = UNKNOWN if options.unlisted == "unknown" else 0
    targets = empty_targets(len(merge.first), len(listed.classes), source=rows.path)
    targets.fill(unlisted)
    image, column = merge.image[listed.rows], listed.columns
    if confidence is None:
        targets[image, column] = 1
        return targets, ()
    degree = _degrees(rows, confidence, options)[listed.rows]
    least = 1.0 if options.minimum_confidence is None else options.minimum_confidence
    absent, present = degree == 0, degree >= least
    targets[image[absent], column[absent]] = 0
    contradicted = np.zeros(targets.shape, dtype=bool)
    contradicted[image[absent], column[absent]] = True
    both = np.flatnonzero(present & contradicted[image, column])
    if len(both):
        row = int(listed.rows[both[0]])
        raise DataError(
            f"{rows.where(row)}: {listed.classes[column[both[0]]]!r} is present here and absent "
            f"in another row of the same image (column {confidence!r}); decide which is right."
        )
    targets[image[present], column[present]] = 1
    notes = [
        f"labels with 0 in {confidence!r} are absent ({int(absent.sum()):,}); labels that an "
        f"image does not list are {'unknown' if unlisted else 'absent'} (option unlisted)"
    ]
    between = int((~absent & ~present).sum())
    if between:
        notes.append(
            f"{between:,} labels under minimum_confidence={least:g} are taken as not listed"
        )
    return targets, tuple(notes)


def _degrees(rows: Rows, column: str, options: TableOptions) -> npt.NDArray[np.float64]:
    cells = rows.columns[column]
    degrees: dict[str, float] = {}
    for cell in sorted(rows.different(column)):
        number = number_of(cell)
        if number is None or not 0 <= number <= 1:
            raise DataError(
                f"{rows.where(cells.index(cell))}: {cell!r} in the column {column!r}; expected a "
                "confidence from 0 to 1. If it is none, name the column in the option ignore."
            )
        if number % 1 and options.minimum_confidence is None:
            raise DataError(
                f"{rows.where(cells.index(cell))}: {cell!r} in the column {column!r}. Say from "
                "which confidence on a label counts with the option minimum_confidence, such as "
                "minimum_confidence=0.5; or name the column in the option ignore."
            )
        degrees[cell] = number
    return np.array([degrees[cell] for cell in cells])

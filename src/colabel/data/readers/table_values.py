"""Columns that hold one label each: 1, 0, -1 and the words people write for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from colabel.data.readers.rows import Rows
from colabel.data.readers.table_cells import NO_LABEL, tidy
from colabel.data.readers.table_options import TableOptions
from colabel.data.records import UNKNOWN
from colabel.errors import DataError

BLANKS = frozenset({"", *NO_LABEL} - {"-"})
"""Cells that hold nothing, in lower case."""

_WORDS = {"true": 1, "false": 0}
_PAIRS = (
    ("yes", "no"), ("y", "n"), ("t", "f"), ("+", "-"), ("present", "absent"),
    ("positive", "negative"), ("pos", "neg"), ("x", ""), ("ja", "nein"), ("oui", "non"),
    ("si", "no"), ("sí", "no"), ("wahr", "falsch"), ("vrai", "faux"), ("verdadero", "falso"),
)  # fmt: skip
_PRESENT = frozenset(present for present, _ in _PAIRS)


def number_of(cell: str) -> float | None:
    """Return a cell as a number, ``None`` where it is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if value - value == 0 and "_" not in cell else None


def value_of(cell: str) -> int | None:
    """Return the target that a cell spells, ``None`` where it spells none.

    Example:
        >>> [value_of(cell) for cell in ("1.00", "FALSE", "-1", "0.5", "yes")]
        [1, 0, -1, None, None]
    """
    word = _WORDS.get(cell.lower())
    if word is not None:
        return word
    number = number_of(cell)
    return int(number) if number in (0.0, 1.0, -1.0) else None


def is_present(cell: str) -> bool:
    """Tell whether a cell spells 1, as a number or a word.

    Example:
        >>> [is_present(cell) for cell in ("1.0", "Yes", "no", "")]
        [True, True, False, False]
    """
    return value_of(cell) == 1 or cell.lower() in _PRESENT


def is_values(cells: Iterable[str]) -> bool:
    """Tell whether cells hold targets and blanks alone, or one pair of words such as yes and no.

    Example:
        >>> is_values(["1", "", "0"]), is_values(["yes", "no"]), is_values(["1", "no"])
        (True, True, False)
    """
    different = set(cells)
    return _pair_of(different) is not None or all(
        cell.lower() in BLANKS or value_of(cell) is not None for cell in different
    )


def is_fractions(cells: Iterable[str]) -> bool:
    """Tell whether cells hold numbers from 0 to 1 and blanks alone, some of them fractions."""
    numbers = [number_of(cell) for cell in set(cells) if cell.lower() not in BLANKS]
    told = [number for number in numbers if number is not None]
    return (
        len(told) == len(numbers)
        and all(0 <= number <= 1 for number in told)
        and any(0 < number < 1 for number in told)
    )


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Tell whether cells would be fractions if their commas were points.

    Example:
        >>> has_decimal_commas(["0,25", "1"]), has_decimal_commas(["0.25", "1"])
        (True, False)
    """
    different = set(cells)
    return not is_fractions(different) and is_fractions(
        cell.replace(",", ".") for cell in different
    )


def _pair_of(cells: Iterable[str]) -> tuple[str, str] | None:
    words = {cell.lower() for cell in cells} - {""}
    if not words:
        return None
    return next((pair for pair in _PAIRS if words <= set(pair)), None)


def read_values(
    rows: Rows, names: Sequence[str], options: TableOptions
) -> tuple[npt.NDArray[np.int8], tuple[str, ...], tuple[str, ...]]:
    """Read one column per label.

    Args:
        rows: the table.
        names: the columns.
        options: those about labels.

    Returns:
        Targets of shape (rows, names), class names and notes.

    Raises:
        DataError: if a cell is no target; names the line, the column and the options.
    """
    classes = _class_names(rows, names)
    targets = np.empty((len(rows), len(names)), dtype=np.int8)
    empty = UNKNOWN if options.blank == "unknown" else 0
    minus = np.zeros(targets.shape, dtype=bool)
    blanks, spelled, halved = 0, [], 0
    for column, name in enumerate(names):
        cells = rows.columns[name]
        counts = Counter(cells)
        pair = _pair_of(counts)
        soft = options.soft_threshold is not None and is_fractions(counts)
        values: dict[str, int] = {}
        for cell, count in counts.items():
            value: int | None
            if pair is not None and cell.lower() in pair and cell:
                value = 1 if cell.lower() == pair[0] else 0
            elif cell.lower() in BLANKS:
                value, blanks = empty, blanks + count
            elif soft:
                value = int((number_of(cell) or 0.0) >= (options.soft_threshold or 0.0))
            else:
                value = value_of(cell)
            if value is None:
                raise _no_value(rows, name, cells.index(cell), names)
            values[cell] = value
        if pair is not None:
            told = {cell.lower() for cell in counts} & set(pair) - {""}
            spelled.append(f"{name} ({', '.join(sorted(told))})")
        halved += soft
        targets[:, column] = [values[cell] for cell in cells]
        told = {cell for cell in counts if values[cell] == UNKNOWN and cell.lower() not in BLANKS}
        if told:
            minus[:, column] = [cell in told for cell in cells]
    if minus.any():
        if options.minus_one is None and not blanks and not (targets == 0).any():
            row, column = map(int, np.argwhere(minus)[0])
            raise DataError(
                f"{rows.where(row)}: the column {names[column]!r} holds -1, and no label of this "
                "table is 0 or blank. Say whether -1 means that a label is absent or that it is "
                "not known, with the option minus_one=absent or minus_one=unknown."
            )
        if options.minus_one == "absent":
            targets[minus] = 0
    # whether a cell is blank differs from table to table of one kind, so blank is never refused
    used = {"blank", "minus_one", *(["soft_threshold"] if halved else [])}
    options.refuse_unused(used, "1 or 0 in a column per label")
    notes = []
    if blanks:
        meaning = options.blank or "absent"
        notes.append(f"{blanks} blank label cells taken as {meaning} (option blank)")
    if spelled:
        notes.append(f"words read as present and absent: {', '.join(spelled[:5])}")
    if halved:
        notes.append(
            f"{halved} columns of fractions: present from {options.soft_threshold:g} "
            "(option soft_threshold)"
        )
    return targets, classes, tuple(notes)


def _class_names(rows: Rows, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns' names in one form, refusing two that look the same."""
    first: dict[str, str] = {}
    for name in names:
        same = first.setdefault(tidy(name), name)
        if same != name:
            raise DataError(
                f"{rows.path}: the columns {same!a} and {name!a} differ only in blanks or in how "
                "accents are stored; join them into one, or name one of them in the option ignore."
            )
    return tuple(first)


def _no_value(rows: Rows, name: str, row: int, names: Sequence[str]) -> DataError:
    cell = rows.columns[name][row]
    if is_fractions(rows.columns[name]):
        return DataError(
            f"{rows.where(row)}: the column {name!r} holds {cell!r}, and labels are 1 or 0. If "
            "these are degrees of certainty, say from which one on a label counts with the "
            "option soft_threshold, such as soft_threshold=0.5; if the column is no label, name "
            "it in the option ignore."
        )
    if has_decimal_commas(rows.columns[name]):
        return DataError(
            f"{rows.where(row)}: the column {name!r} holds {cell!r}, and numbers with a decimal "
            "comma are not read. Write them with a point, and say from which one on a label "
            "counts with the option soft_threshold, such as soft_threshold=0.5; if the column is "
            "no label, name it in the option ignore."
        )
    labels = [other for other in names if is_values(rows.columns[other])]
    return DataError(
        f"{rows.where(row)}: the column {name!r} holds {cell!r}, "
        "expected 1 (present), 0 (absent), -1 (unknown) or nothing. If it is no label, "
        "name it in the option ignore; if it lists labels, in the option labels. "
        f"Columns that do hold such values: {', '.join(labels) or 'none'}."
    )

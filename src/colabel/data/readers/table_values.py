"""Columns that hold one label each: 1, 0, -1 and the words people write for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set

import numpy as np
import numpy.typing as npt

from colabel.data.readers.rows import Rows
from colabel.data.readers.table_cells import NO_LABEL, tidy
from colabel.data.readers.table_options import TableOptions
from colabel.data.records import UNKNOWN
from colabel.errors import DataError, listed
from colabel.names import check_class_names

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
    if cell[-1:].isalpha():  # as text mostly ends; quicker than an exception for each
        return None
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


def is_values(cells: Collection[str]) -> bool:
    """Tell whether cells hold targets and blanks alone, or one pair of words such as yes and no.

    Example:
        >>> is_values(["1", "", "0"]), is_values(["yes", "no"]), is_values(["1", "no"])
        (True, True, False)
    """
    different = cells if isinstance(cells, Set) else set(cells)
    return _pair_of(different) is not None or all(
        cell.lower() in BLANKS or value_of(cell) is not None for cell in different
    )


def is_fractions(cells: Iterable[str]) -> bool:
    """Tell whether cells hold numbers from 0 to 1 and blanks alone, some of them fractions."""
    found = False
    for cell in cells:
        if cell.lower() in BLANKS:
            continue
        number = number_of(cell)
        if number is None or not 0 <= number <= 1:
            return False
        found = found or 0 < number < 1
    return found


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


def _pair_of(cells: Collection[str]) -> tuple[str, str] | None:
    """Return the pair of words that all cells but the blank ones are of, if any."""
    if not any(cells):
        return None
    return next(
        (pair for pair in _PAIRS if all(cell.lower() in pair for cell in cells if cell)), None
    )


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
        different = rows.different(name)
        pair = _pair_of(different)
        soft = options.soft_threshold is not None and is_fractions(different)
        values: dict[str, int] = {}
        unreadable: set[str] = set()
        for cell in different:
            value: int | None
            if pair is not None and cell.lower() in pair and cell:
                value = 1 if cell.lower() == pair[0] else 0
            elif cell.lower() in BLANKS:
                value, blanks = empty, blanks + cells.count(cell)
            elif soft:
                value = int((number_of(cell) or 0.0) >= (options.soft_threshold or 0.0))
            else:
                value = value_of(cell)
            if value is None:
                unreadable.add(cell)
            else:
                values[cell] = value
        if unreadable:
            first = next(row for row, cell in enumerate(cells) if cell in unreadable)
            raise _no_value(rows, name, first, names)
        if pair is not None:
            told = {cell.lower() for cell in different} & set(pair) - {""}
            spelled.append(f"{name} ({', '.join(sorted(told))})")
        halved += soft
        targets[:, column] = _translate(cells, values)
        said_unknown = {
            cell
            for cell, value in values.items()
            if value == UNKNOWN and cell.lower() not in BLANKS
        }
        if said_unknown:
            minus[:, column] = [cell in said_unknown for cell in cells]
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


def _translate(cells: Sequence[str], values: Mapping[str, int]) -> npt.NDArray[np.int8]:
    """Return the value of each cell."""
    if all(len(cell) == 1 and cell.isascii() for cell in values):
        table = np.zeros(128, dtype=np.int8)
        for cell, value in values.items():
            table[ord(cell)] = value
        return table[np.frombuffer("".join(cells).encode("ascii"), dtype=np.uint8)]
    return np.fromiter(map(values.__getitem__, cells), dtype=np.int8, count=len(cells))


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
    check_class_names(list(first), source=rows.path)
    return tuple(first)


def _no_value(rows: Rows, name: str, row: int, names: Sequence[str]) -> DataError:
    cell = rows.columns[name][row]
    if is_fractions(rows.different(name)):
        return DataError(
            f"{rows.where(row)}: the column {name!r} holds {cell!r}, and labels are 1 or 0. If "
            "these are degrees of certainty, say from which one on a label counts with the "
            "option soft_threshold, such as soft_threshold=0.5; if the column is no label, name "
            "it in the option ignore."
        )
    if has_decimal_commas(rows.different(name)):
        return DataError(
            f"{rows.where(row)}: the column {name!r} holds {cell!r}, and numbers with a decimal "
            "comma are not read. Write them with a point, and say from which one on a label "
            "counts with the option soft_threshold, such as soft_threshold=0.5; if the column is "
            "no label, name it in the option ignore."
        )
    labels = [other for other in names if is_values(rows.different(other))]
    return DataError(
        f"{rows.where(row)}: the column {name!r} holds {cell!r}, "
        "expected 1 (present), 0 (absent), -1 (unknown) or nothing. If it is no label, "
        "name it in the option ignore; if it lists labels, in the option labels. "
        f"Columns that do hold such values: {listed(labels, 50) or 'none'}."
    )

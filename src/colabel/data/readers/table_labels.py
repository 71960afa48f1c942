"""Which columns hold labels: those that list them, or those of one label each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from colabel.data.readers import table_names as known
from colabel.data.readers.rows import Rows
from colabel.data.readers.table_names import compact, words
from colabel.data.readers.table_options import TableOptions
from colabel.data.readers.table_values import BLANKS, is_fractions, is_values, value_of
from colabel.errors import DataError

_MANY = 10


@final
@dataclass(frozen=True)
class Listing:
    """The columns that list labels.

    Args:
        columns: one, or several that hold one label each; none for a table of one column per
            label.
        repeated: columns that say the same in other words, such as numbers for names.
    """

    columns: tuple[str, ...]
    repeated: tuple[str, ...]


def find_listing(rows: Rows, free: Sequence[str], options: TableOptions) -> Listing:
    """Return the columns that list labels.

    Raises:
        DataError: if several may and differ; names the option labels.
    """
    if options.labels is not None or options.each_label is not None:
        return Listing(options.label_columns, ())
    text = [name for name in free if not is_values(rows.different(name))]
    order = {name: position for position, name in enumerate(known.LABELS)}
    plain = sorted(
        (name for name in text if compact(name) in order), key=lambda name: order[compact(name)]
    )
    numbered = tuple(name for name in text if _is_numbered(name))
    if len(numbered) < 2:
        plain, numbered = [*plain, *numbered], ()
    candidates = [*([numbered] if numbered else []), *((name,) for name in plain)]
    if not candidates:
        return Listing((), ())
    if len(candidates) == 1:
        return Listing(candidates[0], ())
    first = candidates[0]
    same = [
        name for (name, *rest) in candidates[1:] if len(first) == 1 and not rest
        and _say_the_same(rows, first[0], name)
    ]  # fmt: skip
    if len(same) < len(candidates) - 1:
        found = " and ".join(", ".join(names) for names in candidates)
        raise DataError(
            f"{rows.path}: more than one column may list the labels: {found}. Name the one that "
            f"does in the option labels, such as labels={','.join(first)}; several that hold one "
            "label each are joined with a comma."
        )
    return Listing(first, tuple(same))


def _is_numbered(name: str) -> bool:
    """Tell whether a name is that of labels with a number, such as label_2."""
    if not words(name):  # a name without a letter or digit
        return False
    *front, last = words(name)
    stem = "".join(front) if last.isdecimal() else compact(name).rstrip("0123456789")
    return stem in known.LABELS and compact(name)[-1:].isdecimal()


def _say_the_same(rows: Rows, first: str, second: str) -> bool:
    """Tell whether each cell of one column goes with one of the other, both ways.

    A cell that occurs in both columns must do so in the same rows: else they use one vocabulary
    to say different things.
    """
    cells, others = rows.different(first), rows.different(second)
    pairs = set(zip(rows.columns[first], rows.columns[second], strict=True))
    shared = set(cells) & set(others)
    if any(cell != other for cell, other in pairs if cell in shared or other in shared):
        return False
    return len(pairs) == len(cells) == len(others)


def find_each_label(
    rows: Rows, free: Sequence[str], options: TableOptions, listing: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the columns of one label each, and those that are none, with the reason.

    Args:
        rows: the table.
        free: the columns without a role.
        options: what the user says.
        listing: the columns that list labels, if any.

    Raises:
        DataError: for a column of 1 and 0 whose name says that it may be no label.
    """
    labels: list[str] = []
    unused: dict[str, str] = {}
    doubtful: list[str] = []
    named = options.labels is not None
    for name in free:
        cells = rows.columns[name]
        different = rows.different(name)
        fact = compact(name) in known.FACTS
        values = is_values(different)
        if (listing or fact) and all(cell.lower() in BLANKS for cell in different):
            unused[name] = "blank"
        elif named or (listing and (fact or not values)):
            unused[name] = "not named in the option labels" if named else "no label"
        elif fact and values and len(compact(name)) > 1:
            doubtful.append(name)
        elif not values and (reason := _reason(name, cells, different, fact)):
            unused[name] = reason
        elif not listing or len(different) > 1 or value_of(cells[0]) == 1:
            labels.append(name)
        else:
            unused[name] = "the same in every row"
    if doubtful and not all(name in doubtful for name in (*labels, *doubtful)):
        raise DataError(
            f"{rows.path}: the columns {', '.join(doubtful)} hold 1 and 0 as labels do, but their "
            "names speak of something else. Name those that are no labels in the option ignore "
            f"(ignore={','.join(doubtful)}), or all columns that are labels in the option "
            f"each_label (each_label={','.join([*labels, *doubtful][:3])},...)."
        )
    return (*labels, *doubtful), unused


def _reason(name: str, cells: Sequence[str], different: frozenset[str], fact: bool) -> str:
    """Say why a column without 1 and 0 is no label, nothing where it should have been one."""
    if compact(name) in known.WEIGHTS:
        return "weights of images are not supported"
    if fact:
        return "about the image"
    if len(different) == len(cells) > 1 and all(cell.isdecimal() for cell in different):
        return "numbers the rows"
    if is_fractions(different) or len(different) <= _MANY:
        return ""
    return "" if any(value_of(cell) is not None for cell in different) else "text"

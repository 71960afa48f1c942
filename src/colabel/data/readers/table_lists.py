"""Columns of which each cell lists labels, as pairs of a row and a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt

from colabel.data.readers.rows import LIST_DELIMITER, Rows
from colabel.data.readers.table_cells import (
    NO_LABEL,
    Unreadable,
    as_vector,
    confidence,
    is_bracketed,
    read_brackets,
    tidy,
    unwrapped,
    without_confidence,
)
from colabel.data.readers.table_options import NO_DELIMITER, TableOptions
from colabel.data.readers.table_separators import chance_notes, find_separator, split
from colabel.errors import DataError
from colabel.limits import MAX_LABELS_LENGTH
from colabel.names import check_class_names, check_lengths

_HEALTHY = frozenset({"no finding", "no findings", "no label", "no labels", "nothing", "negative"})
_MOST_CLASSES = 50
_SEPARATORS_ALONE = ";|, \n\t" + LIST_DELIMITER


@final
@dataclass(frozen=True)
class ListedLabels:
    """Labels that cells list.

    Args:
        rows: the row of each label that is present.
        columns: its class.
        classes: class names.
        form: how the cells are written, in words.
        separator: what separates labels, ``None`` where nothing does or the form says it.
        single: whether no cell lists more than one label.
        notes: what was decided.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    form: str
    separator: str | None
    single: bool
    notes: tuple[str, ...]


def read_lists(
    rows: Rows, names: Sequence[str], options: TableOptions, *, confidence: bool = False
) -> ListedLabels:
    """Read one column that lists labels, or several that hold one each.

    Args:
        rows: the table.
        names: the columns.
        options: those about labels.
        confidence: whether a column of confidences beside them explains other options.

    Raises:
        DataError: if the cells cannot be read as meant; names the option that decides.
    """
    columns = [rows.columns[name] for name in names]
    title = ", ".join(names)
    different = sorted({cell for name in names for cell in rows.different(name)} - {""})
    kept = {word.casefold() for word in options.keep_labels}
    no_label = NO_LABEL - kept
    empty = {
        cell
        for cell in different
        if cell.casefold() in no_label or not cell.strip(_SEPARATORS_ALONE)
    }
    filled = [cell for cell in different if cell not in empty]
    long = next((cell for cell in filled if len(cell) > MAX_LABELS_LENGTH), None)
    if long is not None:
        raise DataError(
            f"{_find(rows, names, long)}: the column {title!r} holds {len(long):,} characters, "
            f"where labels take at most {MAX_LABELS_LENGTH:,}; check the quotes of the table, or "
            "name another column in the option labels."
        )

    def where(cell: str) -> str:
        return _find(rows, names, cell)

    lists, form, separator = _divide(filled, title, options, where)
    vectors = _vectors(lists, separator, options)
    if vectors is not None:
        options.refuse_unused({"names", "delimiter"}, "vectors of 0 and 1")
        classes, vector_form = _vector_classes(rows.path, vectors, title, options)
        present = {
            cell: [number for number, flag in enumerate(flags) if flag]
            for cell, flags in vectors.items()
        }
        row, column = _pairs(columns, present)
        notes = _empty_notes(columns, empty, ())
        return ListedLabels(row, column, classes, vector_form, None, False, notes)
    check_lengths(set(chain.from_iterable(lists.values())), source=rows.path)
    weighted = _weigh(rows.path, lists, title, options)
    used = {
        *("delimiter", "keep_labels"),
        *(["minimum_confidence"] if weighted or confidence else []),
        *(["unlisted"] if confidence else []),
    }
    options.refuse_unused(used, f"listed in the column {names[0]!r}")
    guessed = separator if options.delimiter is None and not weighted else None
    chance = chance_notes(filled, guessed)
    every = dict.fromkeys(chain.from_iterable(lists.values()))
    missing = dict.fromkeys(part for part in every if not part or part.casefold() in no_label)
    words = tuple(part for part in missing if part)
    if missing:
        lists = {
            cell: [part for part in parts if part not in missing] for cell, parts in lists.items()
        }
    tidied = {part: tidy(part) for part in every if part not in missing}
    spellings: dict[str, set[str]] = {}
    for part, name in tidied.items():
        spellings.setdefault(name, set()).add(part)
    check_class_names(list(spellings), source=rows.path)
    classes = tuple(sorted(spellings, key=_order(spellings)))
    if not classes:
        raise DataError(f"{rows.path}: the column {names[0]!r} holds no label in any row.")
    number = {name: position for position, name in enumerate(classes)}
    column_of = {part: number[name] for part, name in tidied.items()}
    present = {cell: sorted({column_of[part] for part in parts}) for cell, parts in lists.items()}
    row, column = _pairs(columns, present)
    _refuse_prose(rows, title, column, classes)
    single = len(names) == 1 and all(len(parts) < 2 for parts in lists.values())
    notes = (
        *_empty_notes(columns, empty, words),
        *_spelling_notes(spellings),
        *_kept_notes(options, classes, rows),
        *chance,
        *(
            [f"labels count as present from a confidence of {options.minimum_confidence:g}"]
            if weighted
            else []
        ),
    )
    if single:
        form, separator = "one label in each cell", None
    if len(names) > 1:
        each = "one label" if all(len(parts) < 2 for parts in lists.values()) else "a list"
        form = f"{each} in each of {len(names)} columns" if separator is None else form
    return ListedLabels(row, column, classes, form, separator, single, notes)


def _order(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """Return a key that sorts whole numbers by value and other names by the alphabet."""
    numbers = all(name.isdecimal() for name in names)
    return lambda name: (int(name) if numbers else 0, name)


def _find(rows: Rows, names: Sequence[str], cell: str) -> str:
    row = next(row for name in names for row, one in enumerate(rows.columns[name]) if one == cell)
    return rows.where(row)


def _divide(
    cells: list[str], column: str, options: TableOptions, where: Callable[[str], str]
) -> tuple[dict[str, list[str]], str, str | None]:
    """Return the items of each different cell, how cells are written, and their separator."""
    chosen = options.label_separator
    if any(LIST_DELIMITER in cell for cell in cells):
        return {cell: cell.split(LIST_DELIMITER) for cell in cells}, "a list in each cell", None
    if chosen == NO_DELIMITER:
        return {cell: [cell] for cell in cells}, "one label in each cell", None
    if chosen is not None:
        if cells and not any(chosen in cell for cell in cells):
            found = _other_separator(cells, column)
            if found is not None:
                raise DataError(
                    f"delimiter={chosen!r} occurs in no cell of the column {column!r}, which "
                    f"holds {found}. Give the character that separates labels, or delimiter=none "
                    "if each cell is one label."
                )
        return {cell: split(cell, chosen) for cell in cells}, "a list in each cell", chosen
    bracketed = [cell for cell in cells if is_bracketed(unwrapped(cell))]
    lists: dict[str, list[str]] = {}
    if bracketed and (
        len(bracketed) == len(cells) or any(mark in "".join(bracketed) for mark in ",'\"")
    ):
        if len(bracketed) < len(cells):
            plain = next(cell for cell in cells if not is_bracketed(unwrapped(cell)))
            raise DataError(
                f"the column {column!r} holds lists in brackets ({where(bracketed[0])}: "
                f"{bracketed[0][:60]!r}) and cells without ({where(plain)}: {plain[:60]!r}). "
                "Write all of them one way, or say what separates labels in the option delimiter."
            )
        for cell in cells:
            items = read_brackets(unwrapped(cell))
            if isinstance(items, Unreadable):
                raise DataError(
                    f"{where(cell)}: the column {column!r} holds {cell[:80]!r}, {items.reason}; "
                    "expected a list of labels such as ['cat', 'dog'], an object with one such "
                    "list, or labels with 1 and 0."
                )
            lists[cell] = [item.strip() for item in items]
        return lists, "a list in brackets in each cell", None
    digits = {len(cell) for cell in cells if not cell.strip("01")}
    if len(digits) == 1 and min(digits) > 2 and not any(cell.strip("01") for cell in cells):
        return {cell: list(cell) for cell in cells}, "a vector in each cell", None
    bare = without_confidence(cells)
    separator = (
        find_separator(cells, column, where) if bare is None else find_separator(bare, column)
    )
    if separator is None:
        return {cell: [cell] for cell in cells}, "one label in each cell", None
    return {cell: split(cell, separator) for cell in cells}, "a list in each cell", separator


def _other_separator(cells: list[str], column: str) -> str | None:
    """Return in words what else separates, None where nothing does."""
    try:
        found = find_separator(cells, column)
    except DataError:
        return "several other characters"
    example = "" if found is None else next(cell for cell in cells if found in cell)
    return None if found is None else f"{found!r} (as in {example[:60]!r})"


def _vectors(
    lists: dict[str, list[str]], separator: str | None, options: TableOptions
) -> dict[str, tuple[int, ...]] | None:
    """Return the flags of each cell where all cells are vectors of one length."""
    found: dict[str, tuple[int, ...]] = {}
    for cell, parts in lists.items():
        flags = as_vector(parts)
        if flags is None:
            return None
        found[cell] = flags
    lengths = {len(flags) for flags in found.values()}
    if len(lengths) != 1 or min(lengths) < 2:
        return None
    if options.names is None and separator is not None and min(lengths) == 2:
        # "0 1" may as well list the classes 0 and 1, as long as none is listed twice
        return found if any(len(set(flags)) == 1 for flags in found.values()) else None
    return found


def _vector_classes(
    path: Path, vectors: dict[str, tuple[int, ...]], column: str, options: TableOptions
) -> tuple[tuple[str, ...], str]:
    length = len(next(iter(vectors.values())))
    if options.names is None:
        example = next(iter(vectors)).replace(LIST_DELIMITER, ", ")
        raise DataError(
            f"{path}: the column {column!r} holds vectors of {length} times 0 or 1, such as "
            f"{example[:80]!r}, which do not say what their classes are called. Give the "
            f"{length} names in order with the option names, as names=cat,dog,..., or name other "
            "columns in the option labels or each_label."
        )
    if len(options.names) != length:
        raise DataError(
            f"names gives {len(options.names)} class names, the vectors in the column {column!r} "
            f"have {length} places; give one name for each."
        )
    return tuple(map(tidy, options.names)), f"a vector of {length} times 0 or 1 in each cell"


def _weigh(path: Path, lists: dict[str, list[str]], column: str, options: TableOptions) -> bool:
    """Reduce labels with a confidence to those that count; tell whether there were any."""
    pairs: dict[str, tuple[str, float]] = {}
    for part in dict.fromkeys(chain.from_iterable(lists.values())):
        pair = confidence(part)
        if pair is not None:
            pairs[part] = pair
        elif part:
            return False
    fractions = [pair for pair in pairs.values() if pair[1] % 1]
    if not fractions:
        return False
    if options.minimum_confidence is None:
        label, number = fractions[0]
        raise DataError(
            f"{path}: the column {column!r} holds labels with a number behind them, such as "
            f"'{label}' with {number:g}. Say from which number on a label counts with the option "
            "minimum_confidence, such as minimum_confidence=0.5."
        )
    least = options.minimum_confidence
    for cell, parts in lists.items():
        weighed = [pairs[part] for part in parts if part]
        lists[cell] = [label for label, number in weighed if number >= least]
    return True


def _pairs(
    columns: Sequence[list[str]], present: dict[str, list[int]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row and class of each label, computed once for each different cell."""
    code = {cell: number for number, cell in enumerate(present, start=1)}
    length = np.array([0, *map(len, present.values())])
    start = np.cumsum(length) - length
    flat = np.fromiter(
        chain.from_iterable(present.values()), dtype=np.int64, count=int(length.sum())
    )
    rows, numbers = [], []
    for column in columns:
        codes = np.array([code.get(cell, 0) for cell in column], dtype=np.int64)
        many = length[codes]
        row = np.repeat(np.arange(len(column)), many)
        place = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
        rows.append(row)
        numbers.append(flat[np.repeat(start[codes], many) + place])
    return np.concatenate(rows), np.concatenate(numbers)


def _refuse_prose(
    rows: Rows,
    column: str,
    number: npt.NDArray[np.int64],
    classes: tuple[str, ...],
) -> None:
    """Refuse a column in which nearly everything occurs once: it names no classes."""
    if len(classes) <= _MOST_CLASSES or len(classes) < len(rows) / 2:
        return
    once = int((np.bincount(number, minlength=len(classes)) == 1).sum())
    if once > 0.9 * len(classes):
        raise DataError(
            f"{rows.path}: the column {column!r} would give {len(classes):,} classes to "
            f"{len(rows):,} rows, {once:,} of them once only, such as {classes[0][:60]!r}. If it "
            "lists labels, say what separates them with the option delimiter; else name the "
            "column of labels in the option labels."
        )


def _empty_notes(
    columns: Sequence[list[str]], empty: set[str], words: tuple[str, ...]
) -> tuple[str, ...]:
    """Say which words were read as no label."""
    counts: Counter[str] = Counter()
    for column in columns if empty else ():
        counts.update({cell: n for cell, n in Counter(column).items() if cell in empty})
    found = [f"{word!r} ({count:,} cells)" for word, count in counts.most_common()]
    found += [f"{word!r} (within lists)" for word in words]
    if not found:
        return ()
    keep = any(word.isalpha() for word in (*counts, *words))
    hint = "; to keep such a word as a class, name it in keep_labels" if keep else ""
    return (f"read as no label: {', '.join(found)}{hint}",)


def _spelling_notes(spellings: dict[str, set[str]]) -> tuple[str, ...]:
    """Say which labels were put together, and which remain alike."""
    merged = [
        " = ".join(map(ascii, sorted(forms))) for forms in spellings.values() if len(forms) > 1
    ]
    folded = Counter(name.casefold() for name in spellings)
    alike = [name for name in sorted(spellings) if folded[name.casefold()] > 1]
    return (
        *([f"labels that differ only in blanks or accents put together: {', '.join(merged)}"]
          if merged else []),
        *([f"labels that differ only in letter case: {', '.join(alike)}"] if alike else []),
    )  # fmt: skip


def _kept_notes(options: TableOptions, classes: tuple[str, ...], rows: Rows) -> tuple[str, ...]:
    folded = {name.casefold(): name for name in classes}
    absent = [word for word in options.keep_labels if word.casefold() not in folded]
    if absent:
        raise DataError(
            f"{rows.path}: keep_labels names {', '.join(absent)}, which no cell holds; remove it."
        )
    healthy = [name for word, name in folded.items() if word in _HEALTHY]
    return tuple(
        f"{name!r} is a class like any other; images with it are not images without labels"
        for name in healthy
    )

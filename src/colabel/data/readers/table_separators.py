"""What separates the labels of a cell: found by the evidence of all cells together."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

from colabel.errors import DataError

_CONVENTIONAL = ";|\n\t,，；、"
_THIN = ",，、"
_PART_OF_NAMES = frozenset("\"'()[]{}.\u200d\u2019")
_ONLY_ASK = frozenset("-_:&!?%*=")
_JOINING = frozenset({"and", "und", "et"})
_SAMPLE = 20_000
_DECISIVE = 0.8
_PLAUSIBLE = 0.5


@final
@dataclass(frozen=True)
class Evidence:
    """What splitting at one character would give.

    Args:
        separator: the character.
        support: share of the parts, in cells with several, that recur in another cell.
        parts: different parts in all.
        cells: different cells in all.
        several: different cells with more than one part.
        varied: whether parts also stand alone, or cells differ in the number of parts.
        example: a cell with several parts.
        numbers: whether all parts are whole numbers.
        words: whether no part contains a blank.
    """

    separator: str
    support: float
    parts: int
    cells: int
    several: int
    varied: bool
    example: str
    numbers: bool
    words: bool

    @property
    def decisive(self) -> bool:
        """Tell whether chance does not explain that the parts recur."""
        return self.support >= _DECISIVE and self.parts < self.cells and self.varied


def split(cell: str, separator: str) -> list[str]:
    """Return the parts of a cell that are not blank; one in double quotes may hold the separator.

    Example:
        >>> split("cat; dog;", ";")
        ['cat', 'dog']
        >>> split('"oak, red", ash', ",")
        ['oak, red', 'ash']
    """
    parts = cell.split(separator)
    if '"' in cell:
        parts = _quoted_parts(cell, separator) or parts
    return [part for part in map(str.strip, parts) if part]


def _quoted_parts(cell: str, separator: str) -> list[str] | None:
    """Return the parts without the quotes around them, None where quotes stand otherwise."""
    if len(separator) != 1 or separator in '\r\n"':
        return None
    try:
        return next(csv.reader([cell], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return None


def weigh(cells: Sequence[str], separator: str) -> Evidence | None:
    """Return what splitting these different cells at a character would give.

    Args:
        cells: different, not blank.
        separator: a character.

    Returns:
        The evidence; ``None`` where no cell has two parts.

    Example:
        >>> found = weigh(["cat/dog", "cat", "dog/cat/owl", "owl"], "/")
        >>> found.support, found.parts, found.decisive
        (1.0, 3, True)
    """
    lists = [split(cell, separator) for cell in cells]
    several = [parts for parts in lists if len(parts) > 1]
    if not several:
        return None
    occurs = Counter(part for parts in lists for part in set(parts))
    # what stands in every list tells nothing: the front of a path, a unit, a constant word
    constant = {part for part in several[0] if all(part in parts for parts in several)}
    constant = constant if len(several) > 3 else set()
    alone = {parts[0] for parts in lists if len(parts) == 1}
    told = [part for parts in several for part in parts]
    recurring = sum(occurs[part] > 1 and (part not in constant or part in alone) for part in told)
    return Evidence(
        separator=separator,
        support=recurring / len(told),
        parts=len(occurs),
        cells=len(cells),
        several=len(several),
        varied=bool(alone & set(told)) or len({len(parts) for parts in several}) > 1,
        example=next(cell for cell, parts in zip(cells, lists, strict=True) if len(parts) > 1),
        numbers=all(part.lstrip("-").isdecimal() for part in occurs),
        words=not any(" " in part for part in occurs),
    )


def find_separator(
    cells: Iterable[str], column: str, where: Callable[[str], str] = repr
) -> str | None:
    """Return what separates the labels of a column.

    Semicolon, bar, tab and line break separate wherever they occur. A comma does where the parts
    are single words or recur. Any other character, the blank among them, does where nearly all
    its parts recur in other cells and are fewer than the cells they make up.

    Args:
        cells: of the column, different and not blank.
        column: for messages.
        where: file and line of a cell, for messages.

    Returns:
        A character; ``None`` where each cell is one label.

    Raises:
        DataError: where the evidence allows more than one reading; names them and the option.

    Example:
        >>> find_separator(["red car", "red car;van", "van"], "tags")
        ';'
        >>> find_separator(["red car", "van"], "tags") is None
        True
    """
    different = sorted(set(cells))
    sample = different[:: -(-len(different) // _SAMPLE)] if different else []
    found = [
        evidence
        for separator in _candidates(sample)
        if (evidence := weigh(sample, separator)) is not None
    ]
    marks = [one for one in found if one.separator in _CONVENTIONAL]
    thin = [one for one in marks if one.separator in _THIN and not _is_comma_list(one)]
    firm = [one for one in marks if one not in thin]
    if not firm:
        others = [
            one
            for one in found
            if one.separator not in _CONVENTIONAL
            and (one.support >= _PLAUSIBLE or (one.numbers and one.separator == " "))
        ]
        clear = [one for one in others if one.numbers or one.decisive]
        clear = [one for one in clear if one.separator not in _ONLY_ASK] or clear
        if any(one.separator != " " for one in clear):
            clear = [one for one in clear if one.separator != " "]
        if len(clear) == 1 and not thin and clear[0].separator not in _ONLY_ASK:
            if clear[0].separator == " ":
                _refuse_joining_words(sample, column, where)
            return clear[0].separator
        doubtful = [*thin, *(clear or [one for one in others if _is_doubtful(one)])]
        if doubtful:
            raise _ask(column, doubtful, where)
        return None
    best = max(firm, key=lambda one: one.support)
    rivals = [one for one in marks if one is not best]
    if rivals and not (best.decisive and all(_is_inside(sample, best, one) for one in rivals)):
        raise _ask(column, [best, *rivals], where)
    return best.separator


def _refuse_joining_words(cells: Sequence[str], column: str, where: Callable[[str], str]) -> None:
    """Refuse cells such as "cat and dog", whose words would make "and" a label."""
    for cell in cells:
        for word in cell.split()[1:-1]:
            if word.casefold() in _JOINING or not (word == "-" or any(map(str.isalnum, word))):
                raise DataError(
                    f"{where(cell)}: the column {column!r} holds {cell[:60]!r}; if {word!r} "
                    "stands between labels there, set the option delimiter to it with its blanks, "
                    f"as 'delimiter= {word} '; set delimiter=space if each word is a label, or "
                    "delimiter=none if each cell is one label."
                )


def chance_notes(cells: Sequence[str], separator: str | None) -> tuple[str, ...]:
    """Return a note where cells were divided at a comma though few parts stand in another cell.

    Args:
        cells: of the column, different and not blank.
        separator: the one found, ``None`` where nothing was to be found.

    Example:
        >>> chance_notes(["oak,red", "elm"], ",")[0]
        "cells such as 'oak,red' divided at ',', though few of their parts stand in another cell; \
set delimiter=none if each cell is one label"
        >>> chance_notes(["oak,elm", "elm"], ",")
        ()
    """
    if separator is None or separator not in _THIN:
        return ()
    evidence = weigh(cells, separator)
    if evidence is None or evidence.support >= _PLAUSIBLE:
        return ()
    return (
        f"cells such as {evidence.example[:60]!r} divided at {separator!r}, though few of their "
        "parts stand in another cell; set delimiter=none if each cell is one label",
    )


def _candidates(cells: Sequence[str]) -> list[str]:
    """Return the characters in the cells that could separate."""
    return sorted(
        character
        for character in set().union(*cells)
        if character in " \n\t"
        or (
            not character.isalnum()
            and character not in _PART_OF_NAMES
            and unicodedata.category(character)[0] not in "MZC"
        )
    )


def _is_comma_list(evidence: Evidence) -> bool:
    return evidence.words or evidence.support >= _PLAUSIBLE


def _is_doubtful(evidence: Evidence) -> bool:
    """Tell whether a list is likely enough to ask."""
    if evidence.separator in _ONLY_ASK:
        return False
    return evidence.varied and (evidence.several > 2 or evidence.separator != " ")


def _is_inside(cells: Sequence[str], best: Evidence, other: Evidence) -> bool:
    """Tell whether the other character only stands within labels that the best one separates."""
    parts = {part for cell in cells for part in split(cell, best.separator)}
    return not any(
        set(split(part, other.separator)) <= parts - {part}
        for part in parts
        if other.separator in part
    )


def _ask(column: str, candidates: Sequence[Evidence], where: Callable[[str], str]) -> DataError:
    found = " and ".join(
        f"{one.separator!r} ({where(one.example)}: {one.example[:60]!r}; {one.several:,} of "
        f"{one.cells:,} different cells would be lists of {one.parts:,} labels)"
        for one in candidates
    )
    return DataError(
        f"the column {column!r} holds {found}; the cells do not show whether that separates "
        "labels. Say which character does with the option delimiter, such as "
        f"delimiter={_spelled(candidates[0].separator)}, or delimiter=none if each cell is one "
        "label."
    )


def _spelled(separator: str) -> str:
    return {" ": "space", "\n": "newline", "\t": "tab"}.get(separator, separator)

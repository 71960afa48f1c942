"""The separator and the quotes of a text table, by what divides its lines evenly."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, final

from colabel.data.readers.rows.header import is_image_name
from colabel.data.readers.rows.model import RowOptions, named
from colabel.errors import DataError

_USUAL = (",", ";", "\t", "|")
_UNUSUAL = ("\x01", "\x1f", "^", "~", ":", " ")
_SPACES = re.compile(r"[ \t]+")
_FLAGS = frozenset({"0", "1", "-1"})
_ROWS = 2000


@final
@dataclass(frozen=True)
class Writing:
    """The characters that make a text a table: separator, quote and escape."""

    separator: str
    quote: str | None = '"'
    escape: str | None = None

    def read(self, lines: Iterable[str]) -> Any:
        """Return a ``csv.reader`` of the lines, which counts them."""
        if self.separator == " ":
            lines = (_SPACES.sub(" ", line.strip(" \t")) for line in lines)
        return csv.reader(
            lines,
            delimiter=self.separator,
            quotechar=self.quote,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            escapechar=self.escape,
            doublequote=self.escape is None,
            skipinitialspace=self.separator != " ",
            strict=True,
        )


@final
@dataclass(frozen=True)
class _Fit:
    """How well a writing explains the lines.

    Args:
        writing: what is tried.
        width: the most common number of cells above one.
        share: share of the rows of this width.
        images: whether some column holds names of images, in most rows.
        flags: whether every column but one holds 0, 1 and -1 alone, below the first row.
        broken: whether a quote stands where none may stand.
    """

    writing: Writing
    width: int
    share: float
    images: bool
    flags: bool
    broken: bool

    @property
    def rank(self) -> tuple[bool, bool, float]:
        return (not self.broken, self.images, self.share)


def _first_rows(writing: Writing, lines: list[str], *, cut: bool) -> tuple[list[list[str]], bool]:
    """Return the rows that are not blank, up to an error, and whether there was one."""
    rows: list[list[str]] = []
    try:
        for row in writing.read(lines):
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
    except csv.Error as error:
        # the sample may end within a quoted cell
        return rows, not (cut and "unexpected end" in str(error))
    return rows, False


def _fit(writing: Writing, lines: list[str], *, cut: bool) -> _Fit | None:
    """Return how well a writing fits; ``None`` where it does not divide the lines into columns."""
    rows, broken = _first_rows(writing, lines, cut=cut)
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return None
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    start = next(position for position, row in enumerate(rows) if len(row) == width)
    # rows before the first of this width may be a title; below it most must have this width
    if count * 2 < len(rows) - start and len(rows[0]) == 1:
        return None
    even = [row for row in rows if len(row) == width]
    images = flags = 0
    for column in zip(*even, strict=True):
        images = max(images, sum(map(is_image_name, column)))
        flags += set(column[1:]) <= _FLAGS
    return _Fit(
        writing,
        width,
        count / len(rows),
        images * 2 >= len(even),
        len(even) > 1 and flags >= width - 1,
        broken,
    )


def _writings(separators: Iterable[str], text: str, options: RowOptions) -> Iterator[Writing]:
    for separator in separators:
        if options.quote is not None:
            yield Writing(separator, None if options.quote == "none" else options.quote)
            continue
        yield Writing(separator)
        if '\\"' in text:
            yield Writing(separator, '"', "\\")
        if _has_apostrophes(separator, text):
            yield Writing(separator, "'")
            if "\\'" in text:
                yield Writing(separator, "'", "\\")


def _has_apostrophes(separator: str, text: str) -> bool:
    """Tell whether apostrophes stand around cells, and quotation marks around none."""
    edge = " +" if separator == " " else rf"{re.escape(separator)} *"
    if re.search(rf'(?:^ *|{edge})"', text, re.MULTILINE):
        return False
    return bool(
        re.search(rf"(?:^ *|{edge})'[^'\n]*' *(?:{re.escape(separator)}|$)", text, re.MULTILINE)
    )


def _best(fits: list[_Fit]) -> _Fit:
    """Return the fit of the highest rank; of the same separator apostrophes count if they fit."""
    best = max(fits, key=lambda fit: fit.rank)
    alike = [
        fit
        for fit in fits
        if fit.writing.separator == best.writing.separator and fit.writing.quote == "'"
        and not fit.broken and fit.share >= best.share
    ]  # fmt: skip
    return alike[0] if alike else best


def find_writing(path: Path, text: str, options: RowOptions, *, cut: bool) -> Writing:
    """Return what separates and quotes the cells of a text.

    Each separator that occurs is tried on the first rows; the one wins that leaves no broken
    quote, makes a column of image names, and gives the most rows the same number of cells.

    Args:
        path: the file, whose ending says whether tabs are expected, for messages too.
        text: its beginning, without comments.
        options: what the user named.
        cut: whether the text goes on.

    Raises:
        DataError: if two separators divide all rows evenly.
    """
    lines = list(islice(io.StringIO(text, newline=""), _ROWS))  # splitlines knows other ends
    text, cut = "".join(lines), cut or len(lines) == _ROWS
    if options.separator is not None:
        given = {"tab": "\t", "space": " "}.get(options.separator, options.separator)
        fits = [fit for w in _writings([given], text, options) if (fit := _fit(w, lines, cut=cut))]
        return _best(fits).writing if fits else next(_writings([given], text, options))
    usual = [separator for separator in _USUAL if separator in text]
    if path.suffix.lower() in (".tsv", ".tab") and "\t" in lines[0]:
        usual = ["\t"]
    fits = [fit for w in _writings(usual, text, options) if (fit := _fit(w, lines, cut=cut))]
    if fits:
        best = _best(fits)
        for fit in fits:
            if (
                fit.writing.separator != best.writing.separator
                and fit.rank == best.rank
                and fit.share == 1
            ):
                raise DataError(
                    f"{path}: {named(best.writing.separator)} divides every row into {best.width} "
                    f"cells and {named(fit.writing.separator)} into {fit.width}; say which one "
                    "separates the cells with the option separator."
                )
        if best.share >= 0.5 or best.images:
            return best.writing
    unusual = [separator for separator in _UNUSUAL if separator in text]
    for writing in _writings(unusual, text, options):
        fit = _fit(writing, lines, cut=cut)
        if fit and not fit.broken and fit.share == 1 and (fit.images or fit.flags):
            return writing
    return _best(fits).writing if fits else next(_writings([","], text, options))

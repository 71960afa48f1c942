"""How a table was read: what each column was taken for, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

_SHOWN = 8


@final
@dataclass(frozen=True)
class Reading:
    """The decisions a reader made about one table, for people to confirm.

    Args:
        source: the file or folder.
        columns: what each column is, in words, in the order of the table.
        form: how the labels are written ("a list in each cell").
        separator: what separates the labels of a cell; ``None`` where nothing does.
        dialect: how the file is written ("comma-separated, UTF-8"); empty where unknown.
        rows: how many the table has.
        images: how many are used.
        left_out: rows that are not used, counted by reason.
        examples: the first few rows left out, with their reason.
        ids: the first few images.
        complete: whether a label that an image does not list is absent, so that a label that no
            image lists is absent from all of them.
    """

    source: str
    columns: Mapping[str, str]
    form: str
    separator: str | None
    dialect: str
    rows: int
    images: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    complete: bool = False

    def lines(self) -> list[str]:
        """Return the reading as sentences, one a line.

        Example:
            >>> reading = Reading("a.csv", {"path": "image", "cat": "label"}, "1 or 0", None, "",
            ...                   rows=3, images=2, left_out={"without a split": 1})
            >>> print("; ".join(reading.lines()))  # doctest: +NORMALIZE_WHITESPACE
            image: path; label: cat; labels written as: 1 or 0; rows: 3, images: 2;
            left out: 1 without a split
        """
        by_role: dict[str, list[str]] = {}
        for name, role in self.columns.items():
            by_role.setdefault(role, []).append(name)
        lines = [f"{role}: {_listed(names)}" for role, names in by_role.items()]
        if self.dialect:
            lines.insert(0, f"file: {self.dialect}")
        apart = "" if self.separator is None else f", separated by {self.separator!r}"
        lines.append(f"labels written as: {self.form}{apart}")
        first = f"; first {', '.join(self.ids)}" if self.ids else ""
        lines.append(f"rows: {self.rows:,}, images: {self.images:,}{first}")
        if self.left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            names = f"; first {', '.join(self.examples)}" if self.examples else ""
            lines.append(f"left out: {reasons}{names}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "source": self.source,
            "dialect": self.dialect,
            "columns": dict(self.columns),
            "form": self.form,
            "separator": self.separator,
            "rows": self.rows,
            "images": self.images,
            "rows_left_out": dict(self.left_out),
            "examples_left_out": list(self.examples),
            "first_ids": list(self.ids),
        }


def _listed(names: list[str]) -> str:
    """Return names joined, the middle of many left out."""
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: _SHOWN - 2])}, ..., {names[-1]} ({len(names):,} columns)"

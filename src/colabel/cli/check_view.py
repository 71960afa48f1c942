"""A data check as text for people: what is in the data, and what to do about its problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from colabel.data.check import CheckReport, ImageSummary, Problem, SplitSummary
from colabel.data.check.problems import MOST_EXAMPLES
from colabel.printing import plain, printable

_STYLE = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_STORED_AS: Mapping[str, str] = {
    "1": "black and white",
    "L": "8-bit grey",
    "LA": "8-bit grey with transparency",
    "I": "32-bit grey",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "P": "palette colour",
    "RGB": "8-bit colour",
    "RGBA": "8-bit colour with transparency",
    "CMYK": "CMYK print colour",
}


def render(
    report: CheckReport, *, classes: int = 24, pairs: int = 8, examples: int = 5
) -> RenderableType:
    """Return the report as something a rich console prints.

    Names from the data are shown as they are; nothing in them is taken for markup.

    Args:
        report: from ``check_records``.
        classes: rows of the table of classes; of more classes the most common and the rarest.
        pairs: rows of the table of labels that go together.
        examples: lines of examples under each problem.
    """
    parts: list[RenderableType] = [_title("What is in the data"), _splits(report.splits)]
    if report.classes:
        parts += [Text(), _title("How many images have each label"), _classes(report, classes)]
        together = _together(report, pairs)
        if together is not None:
            parts += [Text(), _title("Labels that go together most"), together]
    if report.pictures is not None:
        parts += [Text(), _title("Images that can be read"), _pictures(report.pictures)]
    notes = _notes(report)
    if notes:
        parts += [Text(), _title("How the data was read"), *map(_line, notes)]
    for problem in report.problems:
        parts += [Text(), *_problem(problem, examples)]
    parts += [Text(), _verdict(report)]
    return Group(*parts)


def _notes(report: CheckReport) -> list[str]:
    """Return how a table was read and what the readers noted; what all splits share once."""
    splits: dict[str, list[str]] = {}
    for split in report.splits:
        for note in split.notes:
            splits.setdefault(note, []).append(split.name)
    shared = len(report.splits) if report.reading is not None else 0
    return [
        *(report.reading.lines() if report.reading is not None else ()),
        *(
            note if len(names) == shared else f"{', '.join(names)}: {note}"
            for note, names in splits.items()
        ),
    ]


def _title(content: str) -> Text:
    """Return the heading of a part."""
    return Text(content, style="bold")


def _table(*columns: str) -> Table:
    """Return an empty table: names on the left, numbers on the right."""
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(plain(column), justify="right" if position else "left", overflow="fold")
    return table


def _splits(splits: Sequence[SplitSummary]) -> Table:
    """Return one row per split."""
    grouped = any(split.groups is not None for split in splits)
    table = _table(
        *("Split", "Images", *(["Groups"] if grouped else [])),
        *("Labels", "Labels per image", "Images without a label"),
    )
    for split in splits:
        groups = "" if split.groups is None else f"{split.groups:,}"
        table.add_row(
            plain(split.name),
            f"{split.images:,}",
            *([groups] if grouped else []),
            f"{split.labels:,}",
            f"{split.mean_labels:.2f}",
            f"{split.labels_per_image[0] if split.labels_per_image else 0:,}",
        )
    return table


def _classes(report: CheckReport, rows: int) -> Table:
    """Return one row per class, the most common first."""
    table = _table(
        "Label",
        *(heading for split in report.splits for heading in (split.name, "%")),
    )
    order = sorted(
        range(len(report.classes)), key=lambda column: -int(report.co_occurrence[column, column])
    )
    shown: list[int | None] = [*order]
    if len(order) > rows:
        half = rows // 2
        shown = [*order[:half], None, *order[len(order) - (rows - half) :]]
    for column in shown:
        if column is None:
            table.add_row(Text(f"... {len(order) - rows} more ...", style="dim"))
            continue
        numbers: list[str] = []
        for split in report.splits:
            has, judged = split.positives[column], split.judged[column]
            numbers += [f"{has:,}", f"{100 * has / judged:.1f}" if judged else "-"]
        table.add_row(plain(report.classes[column]), *numbers)
    return table


def _together(report: CheckReport, rows: int) -> Table | None:
    """Return the pairs of labels that go together most, against what chance would give."""
    images = sum(split.images for split in report.splits)
    both = report.co_occurrence.astype(np.float64)
    alone = np.diagonal(both)
    pairs = [
        (both[rare, common] * images / (alone[rare] * alone[common]), rare, common)
        for rare in range(len(alone))
        for common in range(len(alone))
        if (alone[rare], rare) < (alone[common], common) and both[rare, common] >= 10
    ]
    strongest = [pair for pair in sorted(pairs, reverse=True) if pair[0] > 1.1][:rows]
    if not strongest:
        return None
    table = _table("Of images with", "also have", "%", "in all images %")
    table.columns[1].justify = "left"
    for _, rare, common in strongest:
        table.add_row(
            plain(report.classes[rare]),
            plain(report.classes[common]),
            f"{100 * both[rare, common] / alone[rare]:.0f}",
            f"{100 * alone[common] / images:.0f}",
        )
    return table


def _pictures(pictures: ImageSummary) -> Table:
    """Return size, format and kind of the images."""
    table = Table.grid(padding=(0, 2))

    def counts(numbers: Mapping[str, int]) -> Text:
        return plain(", ".join(f"{count:,} {name}" for name, count in numbers.items()))

    table.add_row("Number", f"{pictures.images:,}")
    for name, (smallest, median, largest) in (
        ("Width", pictures.widths),
        ("Height", pictures.heights),
    ):
        size = f"{smallest:,} to {largest:,} pixels, median {median:,}"
        table.add_row(name, f"{smallest:,} pixels" if smallest == largest else size)
    if pictures.formats:
        table.add_row("Format", counts(pictures.formats))
    table.add_row(
        "Stored as",
        counts({_STORED_AS.get(mode, mode): count for mode, count in pictures.modes.items()}),
    )
    return table


def _problem(problem: Problem, examples: int) -> list[RenderableType]:
    """Return a problem with its cost, its remedy and a few examples."""
    heading = Text(f"{problem.severity.upper()}  ", style=_STYLE[problem.severity])
    heading.append(printable(problem.what), style="bold")
    lines: list[RenderableType] = [
        heading,
        _line(problem.cost, "What it costs: "),
        _line(problem.remedy, "What to do: "),
    ]
    lines += [_line(f"- {example}") for example in problem.examples[:examples]]
    # a list as long as allowed may have been cut
    complete = len(problem.examples) < MOST_EXAMPLES
    left = (len(problem.examples) if complete else problem.count) - examples
    if left > 0:
        lines.append(_line(f"- and {left:,} more"))
    return lines


def _line(content: str, label: str = "") -> Padding:
    """Return an indented line with a label in front."""
    text = Text(label, style="italic")
    text.append(printable(content), style="not italic")
    return Padding(text, (0, 0, 0, 2), expand=False)


def _verdict(report: CheckReport) -> Text:
    """Return the last line, which says whether to go on."""
    errors, warnings = len(report.of("error")), len(report.of("warning"))
    look = f"{warnings} warning{'' if warnings == 1 else 's'} to look at"
    if errors:
        text = f"{errors} error{'' if errors == 1 else 's'} to put right before training"
        return Text(f"{text}, {look}." if warnings else f"{text}.", style="bold red")
    if warnings:
        return Text(f"No errors, {look}.", style="bold yellow")
    return Text("No errors and no warnings.", style="bold green")

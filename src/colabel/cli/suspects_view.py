"""Likely label errors as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from colabel.printing import plain, printable

if TYPE_CHECKING:
    from colabel.workflows.suspects import SuspectReport


def render_suspects(report: SuspectReport, *, rows: int = 15) -> RenderableType:
    """Return the first suspects as a table, and where the others are.

    Args:
        report: from ``find_suspects``.
        rows: of the table.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    for name in ("Image", "Label", "The file says", "The model says", "Wrong", "Split"):
        number = name == "Wrong"
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for rank, suspect in enumerate(report.suspects[:rows], start=1):
        sure = 1 - suspect.probability if suspect.given else suspect.probability
        percent = ">99" if sure > 0.99 else f"{100 * sure:.0f}"
        table.add_row(
            str(rank),
            plain(suspect.image),
            plain(suspect.label),
            "present" if suspect.given else "absent",
            f"{percent} % sure: {'absent' if suspect.given else 'present'}",
            f"{100 * suspect.suspicion:.0f} %",
            plain(suspect.split),
        )
    parts: list[RenderableType] = [
        Text("Labels that are probably wrong", style="bold"),
        table,
    ]
    left = len(report.suspects) - rows
    if left > 0:
        parts.append(Text(f"... {left:,} more", style="dim"))
    parts.append(Text())
    parts += [Text(printable(f"  {note}.")) for note in report.notes]
    parts += [
        Text(
            f"  {report.judged:,} labels judged by {printable(report.by)}; look at each suspect "
            "before you change it, the model may be wrong."
        )
    ]
    return Group(*parts)

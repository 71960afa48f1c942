"""What all figures share: colours, size of the letters, and how a picture is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from colabel.files import replace_file
from colabel.printing import printable

DPI = 150
BLUE, ORANGE, GREEN, PINK, SKY, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#666666",
)  # told apart by colour-blind readers, also in print
PALE = "#DDDDDD"


def new_figure(
    width: float, height: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return an empty white figure of this size in inches, apart from any display."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def colours() -> Iterator[str]:
    """Give the colours of lines in turn, over and over."""
    while True:
        yield from (BLUE, ORANGE, GREEN, PINK, SKY, GREY)


def finish(axes: Axes, title: str, hint: str, *, legend: bool = True) -> None:
    """Give axes their title, a line of explanation under it, a grid and a legend."""
    as_written([axes.set_title(title, fontsize=10, loc="left", pad=18 if hint else 6)])
    if hint:
        axes.annotate(
            printable(hint),
            (0, 1),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7.5,
            color=GREY,
            parse_math=False,
        )
    axes.tick_params(which="both", labelsize=8)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend and axes.get_legend_handles_labels()[1]:
        legend_box = axes.legend(fontsize=8, edgecolor="none", framealpha=0.85)
        as_written(legend_box.get_texts())


def as_written(texts: Iterable[Text]) -> None:
    """Show names as they are: a dollar sign does not begin a formula, a control is written out."""
    for text in texts:
        text.set_text(printable(text.get_text()))
        text.set_parse_math(False)


def shortened(name: str, *, letters: int = 28) -> str:
    """Return a name of at most this many letters, without any that act on a terminal.

    Example:
        >>> shortened("a label with a long name", letters=8)
        'a label…'
    """
    name = printable(name)
    return name if len(name) <= letters else name[: letters - 1].rstrip() + "…"


def save(figure: Figure, png: Path) -> None:
    """Write a figure, whole or not at all.

    Raises:
        RunError: if the file cannot be written.
    """
    with warnings.catch_warnings():
        # a box stands for a letter that the font lacks, which is nothing a user could mend
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        replace_file(
            png,
            lambda file: figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None}),
        )

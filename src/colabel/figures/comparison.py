"""The picture of a comparison: a forest plot of methods, and one of their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from colabel.errors import DataError
from colabel.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    as_written,
    finish,
    new_figure,
    save,
)
from colabel.printing import printable

_ROW = 0.26  # inches of a row
_LETTERS = 22  # of a name
_MOST_PAIRS = 40  # that are drawn


@dataclass(frozen=True)
class ForestRow:
    """A value with an interval.

    Args:
        names: of the method, or of the two whose difference it is.
        value: in [-1, 1].
        low: lower end of the interval, or NaN.
        high: upper end, or NaN.
        seeds: the value with each seed; empty for a single one.
        marked: whether it is drawn as a difference that was found.
    """

    names: tuple[str, ...]
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    marked: bool = True


def comparison_figure(
    methods: Sequence[ForestRow],
    pairs: Sequence[ForestRow],
    png: Path,
    *,
    metric: str,
    split: str,
    hint: str = "",
) -> None:
    """Draw methods over differences of pairs, each with its interval, a dot per seed.

    Args:
        methods: from top to bottom; at least one with a value.
        pairs: likewise; the first 40 are drawn.
        png: picture to write.
        metric: what the values are.
        split: of the images.
        hint: a line under the title.

    Raises:
        DataError: if no method has a value.
        RunError: if the picture cannot be written.
    """
    if all(math.isnan(row.value) for row in methods):
        raise DataError(f"no method has a {metric}; there is nothing to draw.")
    shown = pairs[:_MOST_PAIRS]
    heights = [len(methods) + 1, len(shown) + 1]
    figure = new_figure(7.8, 1.9 + _ROW * sum(heights))
    top, bottom = figure.subplots(2, 1, height_ratios=heights)
    _forest(top, methods)
    finish(top, f"{metric} on {split}", hint, legend=False)
    _forest(bottom, shown)
    bottom.axvline(0, color="black", linewidth=0.9, zorder=1)
    more = "" if len(shown) == len(pairs) else f" ({len(shown)} of {len(pairs)} pairs)"
    finish(
        bottom,
        f"difference of {metric}{more}",
        "blue: found by Holm's p value; grey: no difference",
        legend=False,
    )
    for axes, unit in ((top, f"{metric} (%)"), (bottom, "points")):
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=PALE, linewidth=0.6)
        axes.set_xlabel(unit, fontsize=9)
    if any(row.seeds for row in methods):
        figure.legend(
            handles=[top.scatter([], [], color=ORANGE, s=18, label="one seed")],
            loc="outside lower right",
            frameon=False,
            fontsize=8,
        )
    save(figure, png)


def _squeezed(name: str) -> str:
    """Return a name without its middle if it is long: names of runs often end in what differs.

    Example:
        >>> _squeezed("a-rather-long-name-of-a-run-0")
        'a-rather-l…of-a-run-0'
    """
    name = printable(name)
    half = _LETTERS // 2 - 1
    return name if len(name) <= _LETTERS else f"{name[:half]}…{name[-half:]}"


def _forest(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Draw a row each, from top to bottom."""
    for place, row in enumerate(rows):
        colour = BLUE if row.marked else GREY
        if not math.isnan(row.low):
            ends = [100 * row.low, 100 * row.high]
            axes.plot(ends, [place] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
        if not math.isnan(row.value):
            axes.plot([100 * row.value], [place], "s", color=colour, markersize=5)
        axes.scatter(
            [100 * seed for seed in row.seeds],
            [place + 0.28] * len(row.seeds),
            color=ORANGE,
            s=12,
            zorder=3,
        )
    axes.set_yticks(range(len(rows)), [" − ".join(map(_squeezed, row.names)) for row in rows])
    as_written(axes.get_yticklabels())  # a dollar sign begins no formula
    axes.set_ylim(len(rows) - 0.4, -0.6)

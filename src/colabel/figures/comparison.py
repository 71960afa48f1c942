"""The picture of a comparison: a forest plot of methods, and the differences of their pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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

_WIDTH = 7.8  # inches
_ROW = 0.26  # inches of a row
_LETTERS = 22  # of a name
_CELL = 0.46  # inches of a cell of the matrix


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
    as_matrix: bool = False,
) -> None:
    """Draw methods over differences of pairs, each with its interval, a dot per seed.

    Args:
        methods: from top to bottom; at least one with a value.
        pairs: likewise, each of two of the methods.
        png: picture to write.
        metric: what the values are.
        split: of the images.
        hint: a line under the title.
        as_matrix: write the differences into a matrix, without intervals, the highest method
            first.

    Raises:
        DataError: if no method has a value.
        RunError: if the picture cannot be written.
    """
    if all(math.isnan(row.value) for row in methods):
        raise DataError(f"no method has a {metric}; there is nothing to draw.")
    width, lower = _WIDTH, _ROW * (len(pairs) + 1)
    if as_matrix:
        methods = sorted(methods, key=lambda row: -row.value if row.value == row.value else 1)
        width, lower = max(width, 2.2 + _CELL * len(methods)), 1 + _CELL * len(methods)
    heights = [_ROW * (len(methods) + 1), lower]
    figure = new_figure(width, 1.9 + sum(heights))
    top, bottom = figure.subplots(2, 1, height_ratios=heights)
    _forest(top, methods)
    finish(top, f"{metric} on {split}", hint, legend=False)
    _grid_across(top, f"{metric} (%)")
    title = f"difference of {metric}"
    if as_matrix:
        _matrix(bottom, [row.names[0] for row in methods], pairs)
        told = "points that the row is above the column; bold in a colour: found by Holm's p value"
        finish(bottom, title, told, legend=False)
        bottom.grid(visible=False)
    else:
        _forest(bottom, pairs)
        bottom.axvline(0, color="black", linewidth=0.9, zorder=1)
        finish(bottom, title, "blue: found by Holm's p value; grey: no difference", legend=False)
        _grid_across(bottom, "points")
    if any(row.seeds for row in methods):
        figure.legend(
            handles=[top.scatter([], [], color=ORANGE, s=18, label="one seed")],
            loc="outside lower right",
            frameon=False,
            fontsize=8,
        )
    save(figure, png)


def _grid_across(axes: Axes, unit: str) -> None:
    """Give axes whose values go to the right their grid and unit."""
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_xlabel(unit, fontsize=9)


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


def _matrix(axes: Axes, names: Sequence[str], pairs: Sequence[ForestRow]) -> None:
    """Write what each row is above each column."""
    place = {name: index for index, name in enumerate(names)}
    found = np.full((len(names), len(names)), np.nan)
    for row in pairs:
        for (first, second), sign in ((row.names, 1), (row.names[::-1], -1)):
            points = sign * 100 * row.value
            found[place[first], place[second]] = points if row.marked else np.nan
            axes.text(
                place[second],
                place[first],
                f"{points:+.1f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="black" if row.marked else GREY,
                fontweight="bold" if row.marked else "normal",
            )
    largest = np.nanmax(np.abs(found), initial=1.0)
    axes.imshow(found, cmap="RdBu", vmin=-2 * largest, vmax=2 * largest, aspect="auto")
    for set_ticks in (axes.set_yticks, axes.set_xticks):
        set_ticks(range(len(names)), [_squeezed(name) for name in names])
    as_written([*axes.get_yticklabels(), *axes.get_xticklabels()])
    axes.tick_params(axis="x", rotation=60)

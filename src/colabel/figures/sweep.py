"""The picture of a sweep: the score of every trial, in order and over each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from colabel.errors import DataError
from colabel.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    as_written,
    finish,
    new_figure,
    save,
    shortened,
)

_COLUMNS = 3
_WIDTH, _HEIGHT = 3.6, 3.0  # inches of a panel
_KEY_LETTERS = 44
_HUNDREDFOLD = 100  # from where on powers of ten are enough numbers
_MOST_UPRIGHT = 4  # labels beside each other


@dataclass(frozen=True)
class SweepPoint:
    """One trial.

    Args:
        number: from 0 on.
        places: of each setting: a number, or a word.
        score: per cent, or ``None``.
        state: ``complete``; ``pruned`` and ``failed`` are drawn apart, others not at all.
    """

    number: int
    places: Mapping[str, float | str]
    score: float | None
    state: str


@dataclass(frozen=True)
class SweepScale:
    """The axis of a setting that is a number.

    Args:
        low: where it begins.
        high: where it ends.
        logarithmic: whether it is.
    """

    low: float
    high: float
    logarithmic: bool


def sweep_figure(
    points: Sequence[SweepPoint],
    png: Path,
    *,
    title: str,
    scales: Mapping[str, SweepScale | tuple[str, ...]],
) -> None:
    """Draw the trials in order with the best so far, and over each setting.

    Args:
        points: the trials; at least one with a score.
        png: picture to write.
        title: of the picture.
        scales: by key of a setting, in the order of the panels: an axis, or the words there are.

    Raises:
        DataError: if no trial has a score.
        RunError: if the picture cannot be written.
    """
    scored = [point for point in points if point.score is not None]
    if not scored:
        raise DataError("no trial of the sweep has a score yet; run one before drawing it.")
    panels = 1 + len(scales)
    columns = min(_COLUMNS, panels)
    rows = -(-panels // columns)
    figure = new_figure(_WIDTH * columns, _HEIGHT * rows + 0.5)
    axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for spare in axes[panels:]:
        spare.remove()
    best = max(
        (point for point in scored if point.state == "complete"),
        key=lambda point: point.score or 0.0,
        default=None,
    )
    _draw_history(axes[0], points, best)
    for panel, (key, scale) in zip(axes[1:], scales.items(), strict=False):
        _draw_setting(panel, key, scored, best, scale)
    for first in axes[:panels:columns]:
        first.set_ylabel("%", fontsize=9)
    as_written([figure.suptitle(title, fontsize=10, x=0.01, ha="left")])
    handles = [
        _marker(BLUE, "whole trial"),
        _marker(GREY, "cut short", hollow=True),
        _marker(ORANGE, "best"),
        Line2D([], [], color="black", marker="x", linestyle="", label="failed"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save(figure, png)


def _draw_history(axes: Axes, points: Sequence[SweepPoint], best: SweepPoint | None) -> None:
    whole = [point for point in points if point.state == "complete" and point.score is not None]
    if whole:
        highest = np.maximum.accumulate([point.score or 0.0 for point in whole])
        numbers = [point.number for point in whole]
        axes.step(numbers, highest, where="post", color=BLUE, linewidth=1, alpha=0.6)
    for point in points:
        if point.state == "failed":
            axes.axvline(point.number, color=GREY, linewidth=0.6, linestyle=":")
            axes.plot([point.number], [0.03], "x", color="black", markersize=5,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        elif point.score is not None:
            _dot(axes, point.number, point, best)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial", fontsize=8)
    finish(axes, "In order", "line: best so far", legend=False)


def _draw_setting(
    axes: Axes,
    key: str,
    scored: Sequence[SweepPoint],
    best: SweepPoint | None,
    scale: SweepScale | tuple[str, ...],
) -> None:
    if isinstance(scale, SweepScale):
        _set_scale(axes, scale)
    else:
        turned = 0 if len(scale) <= _MOST_UPRIGHT else 45
        words = [shortened(word, letters=16) for word in scale]
        axes.set_xticks(range(len(scale)), words, rotation=turned)
        as_written(axes.get_xticklabels())
        axes.set_xlim(-0.6, len(scale) - 0.4)
    for point in scored:
        place = point.places[key]
        _dot(axes, scale.index(place) if isinstance(scale, tuple) else float(place), point, best)
    as_written([axes.set_xlabel(shortened(key, letters=_KEY_LETTERS), fontsize=8)])
    finish(axes, "", "", legend=False)


def _set_scale(axes: Axes, scale: SweepScale) -> None:
    """Show the whole range, with a little room at its ends and few numbers."""
    if not scale.logarithmic:
        room = 0.04 * (scale.high - scale.low)
        axes.set_xlim(scale.low - room, scale.high + room)
        return
    axes.set_xscale("log")
    factor = (scale.high / scale.low) ** 0.04
    axes.set_xlim(scale.low / factor, scale.high * factor)
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1,) if scale.high >= _HUNDREDFOLD * scale.low else (1, 2, 5))
    )
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _dot(axes: Axes, place: float, point: SweepPoint, best: SweepPoint | None) -> None:
    cut = point.state != "complete"
    colour = ORANGE if point is best else GREY if cut else BLUE
    axes.scatter(
        [place],
        [point.score or 0.0],
        s=36 if point is best else 18,
        facecolors="none" if cut else colour,
        edgecolors=colour if cut else "white",
        linewidth=0.8,
        zorder=4 if point is best else 3,
    )


def _marker(colour: str, label: str, *, hollow: bool = False) -> Line2D:
    face = "none" if hollow else colour
    return Line2D(
        [], [], marker="o", linestyle="", color=colour, markerfacecolor=face, label=label
    )

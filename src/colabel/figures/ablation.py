"""The picture of an ablation: a score over the values of one setting, a dot for every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from colabel.errors import DataError
from colabel.figures.drawing import (
    ORANGE,
    as_written,
    colours,
    finish,
    new_figure,
    save,
    shortened,
)

_DECADE = 10
_BAND = 0.35  # in which the series of a dot plot stand side by side
_HALF = 0.16  # of the width of a value's band in a dot plot, where values are 1 apart
_MOST_UPRIGHT = 9  # labels beside each other


@dataclass(frozen=True)
class AblationPoint:
    """What came out for one value of the setting.

    Args:
        value: of the setting.
        label: the value in words.
        scores: of every seed, per cent.
        note: a second line under the label, or nothing.
        series: what was trained, where it was more than one thing; each has a line of its own.
    """

    value: Any
    label: str
    scores: tuple[float, ...]
    note: str = ""
    series: str = ""

    @property
    def mean(self) -> float:
        """Mean over the seeds, NaN without any."""
        return float(np.mean(self.scores)) if self.scores else float("nan")

    @property
    def deviation(self) -> float:
        """Sample standard deviation over the seeds, 0 for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0


def ablation_figure(
    points: Sequence[AblationPoint],
    png: Path,
    *,
    key: str,
    metric: str,
    hint: str = "",
    chosen: str | None = None,
) -> None:
    """Draw the scores of every value: a dot per seed, their mean, one standard deviation around.

    Numbers are drawn on an axis, a logarithmic one if they span a decade; other values side by
    side.

    Args:
        points: in the order of the ablation; at least one with a score.
        png: picture to write.
        key: dotted name of the setting.
        metric: what the scores are.
        hint: a line under the title.
        chosen: label of the value that the paper takes, marked with a dashed line.

    Raises:
        DataError: if no point has a score.
        RunError: if the picture cannot be written.
    """
    if not any(point.scores for point in points):
        raise DataError(f"the ablation of {key} has no score yet; train before drawing it.")
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    series = list(dict.fromkeys(point.series for point in points))
    ticks = [point for point in points if point.series == series[0]]
    numeric = len(ticks) > 1 and all(_is_number(point.value) for point in ticks)
    places = _numbers(axes, ticks) if numeric else [float(number) for number in range(len(ticks))]
    for number, (name, colour) in enumerate(zip(series, colours(), strict=False)):
        own = [point for point in points if point.series == name]
        shift = 0.0 if numeric else (number - (len(series) - 1) / 2) / len(series) * 2 * _BAND
        dots = ORANGE if len(series) == 1 else colour
        draw = _draw_numbers if numeric else _draw_categories
        draw(axes, own, [place + shift for place in places], colour, dots, name)
    labels = [f"{shortened(point.label, letters=20)}\n{point.note}".rstrip() for point in ticks]
    axes.set_xticks(places, labels, rotation=0 if len(labels) <= _MOST_UPRIGHT else 45)
    as_written(axes.get_xticklabels())
    if not numeric:
        axes.set_xlim(-0.6, len(ticks) - 0.4)
    for point, place in zip(ticks, places, strict=True):
        if point.label == chosen:
            axes.axvline(
                place,
                color="black",
                linewidth=0.9,
                linestyle="--",
                label="the paper's value",
                zorder=1,
            )
    as_written([axes.set_xlabel(key, fontsize=9)])
    axes.set_ylabel(f"{metric} on validation (%)", fontsize=9)
    finish(axes, f"{metric} over {key}", hint, legend=False)
    as_written(figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8).texts)
    save(figure, png)


def _numbers(axes: Axes, points: Sequence[AblationPoint]) -> list[float]:
    """Return where each number is, on an axis that suits them."""
    places = [float(point.value) for point in points]
    if min(places) > 0 and max(places) >= _DECADE * min(places):
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    return places


def _draw_numbers(
    axes: Axes,
    points: Sequence[AblationPoint],
    places: Sequence[float],
    colour: str,
    dots: str,
    series: str,
) -> None:
    """Draw dots, a line through the means and a band."""
    ordered = sorted(
        (place, point.mean, point.deviation)
        for place, point in zip(places, points, strict=True)
        if point.scores
    )
    if ordered:
        where, means, deviations = zip(*ordered, strict=True)
        _band(axes, where, means, deviations, colour, series)
    for place, point in zip(places, points, strict=True):
        _dots(axes, [place] * len(point.scores), point, dots)


def _draw_categories(
    axes: Axes,
    points: Sequence[AblationPoint],
    places: Sequence[float],
    colour: str,
    dots: str,
    series: str,
) -> None:
    """Draw dots side by side with a bar at their mean."""
    half = _HALF if not series else _HALF / 2
    for place, point in zip(places, points, strict=True):
        if not point.scores:
            continue
        ends = [place - half, place + half]
        _band(axes, ends, [point.mean] * 2, [point.deviation] * 2, colour, series)
        reach = half / 2 if len(point.scores) > 1 else 0.0
        _dots(axes, np.linspace(place - reach, place + reach, len(point.scores)), point, dots)


def _band(
    axes: Axes,
    places: Sequence[float],
    means: Sequence[float],
    deviations: Sequence[float],
    colour: str,
    series: str,
) -> None:
    """Draw a line through the means, and one standard deviation around it."""
    if any(deviations):
        low, high = np.array(means) - deviations, np.array(means) + deviations
        label = _once(axes, "± one standard deviation")
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0, label=label)
    label = _once(axes, series or "mean")
    axes.plot(places, means, color=colour, linewidth=1.5, label=label)


def _dots(axes: Axes, places: npt.ArrayLike, point: AblationPoint, colour: str) -> None:
    if point.scores:
        axes.scatter(
            places, point.scores, color=colour, s=20, zorder=3, edgecolor="white", linewidth=0.5,
            label=_once(axes, "one seed"),
        )  # fmt: skip


def _once(axes: Axes, label: str) -> str | None:
    """Return the label for what is drawn first under it, ``None`` afterwards."""
    return None if label in axes.get_legend_handles_labels()[1] else label


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""A picture of what a model does: its metrics per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from colabel.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    SKY,
    as_written,
    finish,
    new_figure,
    save,
    shortened,
)
from colabel.metrics import ClassReport, Report

_MOST_CLASSES = 80


def per_class_chart(report: Report, png: Path) -> None:
    """Draw average precision, precision and recall of every class, best class first.

    Of more than 80 classes the best and the worst 40 are shown.

    Args:
        report: from :func:`colabel.metrics.evaluate_scores`.
        png: picture to write.

    Raises:
        RunError: if the picture cannot be written.
    """
    rows = sorted(report.per_class, key=_by_average_precision, reverse=True)
    half = _MOST_CLASSES // 2
    shown = rows if len(rows) <= _MOST_CLASSES else [*rows[:half], *rows[-half:]]
    places = np.arange(len(shown))
    figure = new_figure(8, 1.6 + 0.24 * len(shown))
    axes = figure.subplots()
    axes.barh(
        places,
        [0 if np.isnan(row.average_precision) else row.average_precision for row in shown],
        color=SKY,
        height=0.72,
        label="AP",
    )
    for values, marker, colour, label in (
        ([row.precision for row in shown], "o", BLUE, "precision"),
        ([row.recall for row in shown], "D", ORANGE, "recall"),
    ):
        axes.scatter(
            values, places, marker=marker, color=colour, s=16, label=label, zorder=3, clip_on=False
        )
    if not np.isnan(report.mean_average_precision):
        axes.axvline(report.mean_average_precision, color="black", linewidth=0.9, linestyle="--")
    for place, row in enumerate(shown):
        known = "no positives" if row.support == 0 else f"n = {row.support}"
        axes.text(1.02, place, known, va="center", fontsize=7, color=GREY)
    axes.set_yticks(places, [shortened(row.name) for row in shown], fontsize=8)
    as_written(axes.get_yticklabels())
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.0)
    left_out = len(rows) - len(shown)
    hint = f"dashed: mAP {report.mean_average_precision:.3f} ({report.protocol}); n: positives in "
    hint += f"{report.images} images" + (f"; {left_out} classes left out" if left_out else "")
    finish(
        axes, "Average precision, and precision and recall at the threshold", hint, legend=False
    )
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save(figure, png)


def _by_average_precision(row: ClassReport) -> float:
    return -1.0 if np.isnan(row.average_precision) else row.average_precision

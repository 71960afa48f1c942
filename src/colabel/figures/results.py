"""Pictures of what a model does: metrics per class, examples, co-occurrence of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import PercentFormatter
from PIL import Image, ImageOps

from colabel.errors import DataError
from colabel.figures.drawing import (
    BLUE,
    DPI,
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
_MOST_NUMBERED = 24
_LINES_PER_EXAMPLE = 6
_EXAMPLE_SIDE = 2.6  # inches


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


def examples_grid(
    images: Sequence[Image.Image | npt.NDArray[np.uint8]],
    probabilities: npt.NDArray[np.floating[Any]],
    targets: npt.NDArray[np.integer[Any]] | None,
    classes: Sequence[str],
    png: Path,
    *,
    thresholds: float | npt.NDArray[np.floating[Any]] = 0.5,
) -> None:
    """Draw images with the labels given out, and how they compare with the truth.

    Args:
        images: RGB images, or arrays of shape (height, width, 3); at least one.
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, same shape; ``None`` where nothing is known.
        classes: names of the columns.
        png: picture to write.
        thresholds: one probability, or one per class, from which a label is given out.

    Raises:
        DataError: if the shapes disagree or there is no image.
        RunError: if the picture cannot be written.
    """
    shape = (len(images), len(classes))
    truth = np.full(shape, -1) if targets is None else targets
    if not images or probabilities.shape != shape or truth.shape != shape:
        raise DataError(
            f"probabilities and targets must have shape (images, classes) = {shape} with at least "
            f"one image, got {probabilities.shape} and {truth.shape}."
        )
    captions = [
        _captions(scores, scores >= thresholds, row, classes)
        for scores, row in zip(probabilities, truth, strict=True)
    ]
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    side, gap, line, foot = _EXAMPLE_SIDE, 0.1, 0.15, 0.3  # inches
    text = line * max(map(len, captions)) + 2 * gap
    width, height = columns * (side + gap) + gap, rows * (side + text) + gap + foot
    figure = new_figure(width, height, layout=None)
    for place, (image, lines) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        left, bottom = gap + column * (side + gap), height - gap - row * (side + text) - side
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.imshow(_square(image))
        axes.set_axis_off()
        for number, (words, colour) in enumerate(lines):
            top = (bottom - gap / 2 - number * line) / height
            figure.text(
                left / width, top, words, va="top", fontsize=7.5, color=colour, parse_math=False
            )
    if targets is not None:
        legend = "✓ right   ✗ wrong   ○ missed   · truth unknown"
        figure.text(gap / width, gap / height, legend, fontsize=7.5, color=GREY)
    save(figure, png)


def _square(image: Image.Image | npt.NDArray[np.uint8]) -> Image.Image:
    """Return the image in a white square, at the bottom, next to its caption."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    side = round(_EXAMPLE_SIDE * DPI)
    return ImageOps.pad(picture.convert("RGB"), (side, side), color="white", centering=(0, 1))


def _captions(
    scores: npt.NDArray[np.floating[Any]],
    given: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
) -> list[tuple[str, str]]:
    """Return a line and its colour for each label that is given out or present, best first."""
    chosen = [k for k in np.argsort(-scores, kind="stable") if given[k] or truth[k] == 1]
    if not chosen:
        return [("no label", GREY)]
    lines = []
    for k in chosen[:_LINES_PER_EXAMPLE]:
        if not given[k]:
            mark, colour = "○", "black"
        else:
            mark, colour = {1: ("✓", BLUE), 0: ("✗", ORANGE)}.get(int(truth[k]), ("·", GREY))
        lines.append((f"{mark} {shortened(classes[k])} {scores[k]:.2f}", colour))
    more = len(chosen) - _LINES_PER_EXAMPLE
    return [*lines, (f"and {more} more", GREY)] if more > 0 else lines


def co_occurrence_figure(
    matrix: npt.NDArray[np.floating[Any]] | npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
    png: Path,
) -> None:
    """Draw how often the images with one label carry another.

    Args:
        matrix: how often, or how probably, each pair of labels occurs together, shape
            (classes, classes); each label alone on the diagonal. Not negative.
        classes: names of rows and columns.
        png: picture to write.

    Raises:
        DataError: if the matrix does not fit the classes or has negative entries.
        RunError: if the picture cannot be written.
    """
    count = len(classes)
    if matrix.shape != (count, count) or not count or not (matrix >= 0).all():
        raise DataError(
            f"a co-occurrence matrix of {count} classes must have shape {(count, count)} and no "
            f"negative entry, got shape {matrix.shape}."
        )
    alone = np.diag(matrix).astype(np.float64)[:, None]
    share = np.divide(matrix, alone, out=np.full((count, count), np.nan), where=alone > 0)
    np.fill_diagonal(share, np.nan)
    highest = float(share[~np.isnan(share)].max(initial=0.01))
    side = 2.2 + min(0.36 * count, 20)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=highest)
    axes.set_facecolor(PALE)
    size = min(8.0, 400 / count)
    names = [shortened(name) for name in classes]
    axes.set_xticks(np.arange(count), names, rotation=90, fontsize=size)
    axes.set_yticks(np.arange(count), names, fontsize=size)
    as_written([*axes.get_xticklabels(), *axes.get_yticklabels()])
    if count <= _MOST_NUMBERED:
        for (row, column), value in np.ndenumerate(share):
            if not np.isnan(value):
                colour = "white" if value > 0.6 * highest else "black"
                number = f"{100 * value:.0f}"
                axes.text(
                    column, row, number, ha="center", va="center", fontsize=6.5, color=colour
                )
    axes.set_ylabel("of the images with this label …", fontsize=8)
    axes.set_xlabel("… this share carries that one", fontsize=8)
    scale = figure.colorbar(picture, ax=axes, shrink=0.6, format=PercentFormatter(1, decimals=0))
    scale.ax.tick_params(labelsize=8)
    save(figure, png)

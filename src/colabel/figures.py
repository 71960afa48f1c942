"""Pictures of a run: training curves, metrics per class, examples, co-occurrence of labels.

Drawn with matplotlib's objects, without its global state and without a display.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter, StrMethodFormatter
from PIL import Image, ImageOps

from colabel.errors import DataError, RunError
from colabel.metrics import ClassReport, Report
from colabel.training.log import read_log

_DPI = 150
_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#666666",
)  # told apart by colour-blind readers, also in print
_PALE = "#DDDDDD"
_CYCLE = (_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GREY)
_CURVES = ("mAP", "CF1", "OF1", "mAUC")
_MOST_CLASSES = 80
_MOST_NUMBERED = 24
_LINES_PER_EXAMPLE = 6
_EXAMPLE_SIDE = 2.6  # inches


def training_curves(log: Path, png: Path) -> None:
    """Draw what a training log says: losses, gradient shares, validation, learning rate.

    Args:
        log: a run's ``log.jsonl``.
        png: picture to write.

    Raises:
        RunError: if the log holds no training step or epoch, or a file cannot be read or written.
    """
    try:
        records = read_log(log)
    except OSError as error:
        raise RunError(f"cannot read {log}: {error.strerror or error}.") from error
    steps = [record for record in records if record.get("kind") == "step"]
    epochs = [record for record in records if record.get("kind") == "epoch"]
    if not steps and not epochs:
        raise RunError(f"{log} holds no training step yet; train before drawing its curves.")
    figure = _figure(11, 7)
    losses, shares, validation, rate = figure.subplots(2, 2, sharex=True).flat
    _draw_losses(losses, steps, epochs)
    _draw_shares(shares, steps)
    _draw_validation(validation, epochs)
    rate.plot(*_column(steps or epochs, "learning_rate"), color=_BLUE)
    _finish(rate, "Learning rate", "")
    rate.yaxis.set_major_formatter(StrMethodFormatter("{x:.1e}"))
    for axes in (validation, rate):
        axes.set_xlabel("training step", fontsize=8)
    for axes in (losses, shares, validation, rate):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for border in _stage_borders(epochs):
            axes.axvline(border, color=_GREY, linewidth=0.8, linestyle=":")
    _save(figure, png)


def _draw_losses(axes: Axes, steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> None:
    for colour, name in zip(_colours(), _term_names([*steps, *epochs]), strict=False):
        path = ("terms", name, "weighted")
        axes.plot(*_column(steps, *path), color=colour, alpha=0.3, linewidth=1)
        axes.plot(*_column(epochs, *path), color=colour, marker="o", markersize=3, label=name)
    values = np.concatenate([line.get_ydata() for line in axes.lines] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    _finish(axes, "Weighted loss terms", "pale: one batch, dots: mean of an epoch")


def _draw_shares(axes: Axes, steps: list[dict[str, Any]]) -> None:
    for colour, name in zip(_colours(), _term_names(steps), strict=False):
        column = _column(steps, "terms", name, "gradient_share")
        axes.plot(*column, color=colour, linewidth=1, label=name)
    axes.set_ylim(0, 1.02)
    _finish(
        axes, "Share of the gradient at the features", "a term near 1 drives the encoder alone"
    )


def _draw_validation(axes: Axes, epochs: list[dict[str, Any]]) -> None:
    for colour, name in zip(_colours(), _validation_names(epochs), strict=False):
        column = _column(epochs, "validation", name)
        axes.plot(*column, color=colour, marker="o", markersize=3, label=name)
    best = next((record for record in reversed(epochs) if record.get("best")), None)
    hint = ""
    if best is not None and best.get("score") is not None:
        axes.axvline(best["step"], color="black", linewidth=0.8, linestyle="--")
        hint = f"dashed: best {best['monitor']}, {best['score']:.3f}, epoch {best['epoch']}"
        hint += f" of {best['stage']}"
    _finish(axes, "Validation", hint)


def _column(
    records: list[dict[str, Any]], *path: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the steps and the values found under the path, NaN where there is none."""
    values = []
    for record in records:
        value: Any = record
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        values.append(np.nan if value is None else float(value))
    return np.array([float(record["step"]) for record in records]), np.array(values)


def _term_names(records: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.get("terms", ())))


def _validation_names(epochs: list[dict[str, Any]]) -> list[str]:
    logged = dict.fromkeys(name for record in epochs for name in record.get("validation") or ())
    monitors = [str(record["monitor"]) for record in epochs if record.get("monitor")]
    return [name for name in dict.fromkeys([*monitors, *_CURVES]) if name in logged]


def _stage_borders(epochs: list[dict[str, Any]]) -> list[float]:
    return [
        float(one["step"])
        for one, other in itertools.pairwise(epochs)
        if one.get("stage") != other.get("stage")
    ]


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
    figure = _figure(8, 1.6 + 0.24 * len(shown))
    axes = figure.subplots()
    axes.barh(
        places,
        [0 if np.isnan(row.average_precision) else row.average_precision for row in shown],
        color=_SKY,
        height=0.72,
        label="AP",
    )
    for values, marker, colour, label in (
        ([row.precision for row in shown], "o", _BLUE, "precision"),
        ([row.recall for row in shown], "D", _ORANGE, "recall"),
    ):
        axes.scatter(
            values, places, marker=marker, color=colour, s=16, label=label, zorder=3, clip_on=False
        )
    if not np.isnan(report.mean_average_precision):
        axes.axvline(report.mean_average_precision, color="black", linewidth=0.9, linestyle="--")
    for place, row in enumerate(shown):
        known = "no positives" if row.support == 0 else f"n = {row.support}"
        axes.text(1.02, place, known, va="center", fontsize=7, color=_GREY)
    axes.set_yticks(places, [_short(row.name) for row in shown], fontsize=8)
    _plain(axes.get_yticklabels())
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.0)
    left_out = len(rows) - len(shown)
    hint = f"dashed: mAP {report.mean_average_precision:.3f} ({report.protocol}); n: positives in "
    hint += f"{report.images} images" + (f"; {left_out} classes left out" if left_out else "")
    _finish(
        axes, "Average precision, and precision and recall at the threshold", hint, legend=False
    )
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=_PALE, linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    _save(figure, png)


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
    figure = _figure(width, height, layout=None)
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
        figure.text(gap / width, gap / height, legend, fontsize=7.5, color=_GREY)
    _save(figure, png)


def _square(image: Image.Image | npt.NDArray[np.uint8]) -> Image.Image:
    """Return the image in a white square, at the bottom, next to its caption."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    side = round(_EXAMPLE_SIDE * _DPI)
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
        return [("no label", _GREY)]
    lines = []
    for k in chosen[:_LINES_PER_EXAMPLE]:
        if not given[k]:
            mark, colour = "○", "black"
        else:
            mark, colour = {1: ("✓", _BLUE), 0: ("✗", _ORANGE)}.get(int(truth[k]), ("·", _GREY))
        lines.append((f"{mark} {_short(classes[k])} {scores[k]:.2f}", colour))
    more = len(chosen) - _LINES_PER_EXAMPLE
    return [*lines, (f"and {more} more", _GREY)] if more > 0 else lines


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
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=highest)
    axes.set_facecolor(_PALE)
    size = min(8.0, 400 / count)
    names = [_short(name) for name in classes]
    axes.set_xticks(np.arange(count), names, rotation=90, fontsize=size)
    axes.set_yticks(np.arange(count), names, fontsize=size)
    _plain([*axes.get_xticklabels(), *axes.get_yticklabels()])
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
    _save(figure, png)


def _figure(
    width: float, height: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _colours() -> Iterable[str]:
    while True:
        yield from _CYCLE


def _finish(axes: Axes, title: str, hint: str, *, legend: bool = True) -> None:
    axes.set_title(title, fontsize=10, loc="left", pad=18 if hint else 6)
    if hint:
        axes.annotate(
            hint,
            (0, 1),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7.5,
            color=_GREY,
            parse_math=False,
        )
    axes.tick_params(which="both", labelsize=8)
    axes.grid(axis="y", color=_PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend and axes.get_legend_handles_labels()[1]:
        _plain(axes.legend(fontsize=8, frameon=False).get_texts())


def _plain(texts: Iterable[Text]) -> None:
    """Show names as they are: a dollar sign does not begin a formula."""
    for text in texts:
        text.set_parse_math(False)


def _short(name: str, *, letters: int = 28) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _save(figure: Figure, png: Path) -> None:
    try:
        figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
    except OSError as error:
        raise RunError(f"cannot write {png}: {error.strerror or error}.") from error

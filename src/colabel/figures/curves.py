"""Curves of a training run: losses, gradient shares, validation, learning rate, diagnostics."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

from colabel.errors import RunError
from colabel.figures.drawing import (
    GREY,
    PINK,
    colours,
    finish,
    new_figure,
    save,
    shortened,
)
from colabel.training.log import read_log

_CURVES = ("mAP", "CF1", "OF1", "mAUC")
_COLUMNS = 2
_ROW = 3.5  # inches
_HINT_LETTERS = 84  # as many as are as wide as a panel
_ROUNDING = 1e-5  # by which a share of 1 may be above 1

_Log = list[dict[str, Any]]


def training_curves(log: Path, png: Path) -> None:
    """Draw what a training log says: losses, gradient shares, validation, rate, diagnostics.

    Shares of the gradient are drawn where there is more than one term.
    Diagnostics between 0 and 1 whose names begin alike share a panel, as ``similarity_positive``
    and ``similarity_negative`` do; each of those with another range has its own. The first epoch
    with a warning is marked in them. Stages are equally wide, however many steps each has.

    Args:
        log: a run's ``log.jsonl``.
        png: picture to write.

    Raises:
        RunError: if the log holds no training step or epoch, or a file cannot be read or written.
    """
    records = read_log(log)
    steps = [record for record in records if record.get("kind") == "step"]
    epochs = [record for record in records if record.get("kind") == "epoch"]
    if not steps and not epochs:
        raise RunError(f"{log} holds no training step yet; train before drawing its curves.")
    watched = [record for record in steps or epochs if record.get("diagnostics")]
    groups = _diagnostic_groups(watched)
    several = any(len(record["terms"]) > 1 for record in steps)
    figure, panels = _panels(3 + several + len(groups))
    losses, *rest = panels
    _draw_losses(losses, steps, epochs)
    if several:
        _draw_shares(rest.pop(0), steps)
    validation, rate, *others = rest
    _draw_validation(validation, epochs)
    _draw_rate(rate, steps or epochs)
    for number, (axes, (title, names)) in enumerate(zip(others, groups, strict=True)):
        hint = _mark_warning(axes, epochs)
        _draw_diagnostics(axes, title, names, watched, hint if number == 0 else "")
    edges = _stage_edges([*steps, *epochs], epochs)
    for number, axes in enumerate(panels):
        for border in edges[1:-1]:
            axes.axvline(border, color=GREY, linewidth=0.8, linestyle=":")
        _show_steps(axes, edges)
        if number >= len(panels) - _COLUMNS:
            axes.set_xlabel("training step", fontsize=8)
    save(figure, png)


def _stage_edges(records: _Log, epochs: _Log) -> list[float]:
    """Return where the first stage begins and every stage ends, in steps."""
    places = [float(record["step"]) for record in records]
    borders = [
        float(record["step"])
        for record, other in itertools.pairwise(epochs)
        if record.get("stage") != other.get("stage")
    ]
    return [min(places), *borders, max(places)]


def _show_steps(axes: Axes, edges: list[float]) -> None:
    """Show the stages of which a panel tells something, each as wide as the others."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    widths = np.diff(edges)
    if len(widths) == 1 or not (widths > 0).all():
        margin = 0.04 * (edges[-1] - edges[0]) or 1
        axes.set_xlim(edges[0] - margin, edges[-1] + margin)
        return
    knots = [edges[0] - widths[0], *edges, edges[-1] + widths[-1]]
    positions = np.arange(-1, len(knots) - 1)
    axes.set_xscale(
        "function",
        functions=(
            lambda steps: np.interp(steps, knots, positions),
            lambda shown: np.interp(shown, positions, knots),
        ),
    )
    told = np.interp(_places_with_values(axes), edges, positions[1:-1])
    first_stage = np.floor(told.min(initial=len(widths) - 1))
    last_stage = np.ceil(told.max(initial=first_stage + 1))
    margin = 0.04 * (last_stage - first_stage)
    axes.set_xlim(*np.interp([first_stage - margin, last_stage + margin], positions, knots))
    locator = MaxNLocator(nbins=4, integer=True)
    ticks = [
        tick
        for first, last in itertools.pairwise(edges)
        for tick in locator.tick_values(first, last)
        if first <= tick < last - 0.1 * (last - first)
    ]
    axes.xaxis.set_major_locator(FixedLocator([*ticks, edges[-1]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def _places_with_values(axes: Axes) -> npt.NDArray[np.float64]:
    """Return the steps at which a panel has values; lines across the panel have none."""
    curves = [line for line in axes.lines if line.get_transform() == axes.transData]
    parts = [np.asarray(line.get_data(), dtype=np.float64) for line in curves]
    places, values = np.concatenate([np.empty((2, 0)), *parts], axis=1)
    return np.asarray(places[np.isfinite(values)])


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with this many panels in two columns, one above the other."""
    rows = -(-count // _COLUMNS)
    figure = new_figure(11, _ROW * rows)
    panels = list(figure.subplots(rows, _COLUMNS).flat)
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]


def _draw_losses(axes: Axes, steps: _Log, epochs: _Log) -> None:
    for colour, name in zip(colours(), _term_names([*steps, *epochs]), strict=False):
        path = ("terms", name, "weighted")
        pale = _column(steps, *path)
        axes.plot(*pale, color=colour, alpha=0.3, linewidth=1, **_dots(pale[1]))
        axes.plot(*_column(epochs, *path), color=colour, marker="o", markersize=3, label=name)
    values = np.concatenate([line.get_ydata() for line in axes.lines] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    hint = "pale: one batch, dots: mean of an epoch"
    if len(_stages([*steps, *epochs])) > 1:
        hint += "; dotted: between stages, drawn equally wide"
    finish(axes, "Weighted loss terms", hint)


def _draw_shares(axes: Axes, steps: _Log) -> None:
    for colour, name in zip(colours(), _term_names(steps), strict=False):
        places, values = _column(steps, "terms", name, "gradient_share")
        known = bool(np.isfinite(values).any())  # a frozen encoder gives features no gradient
        label = name if known else None
        axes.plot(places, values, color=colour, linewidth=1, label=label, **_dots(values))
    axes.set_ylim(0, 1.02)
    hint = "a term near 1 drives the encoder alone; none where the encoder is frozen"
    finish(axes, "Share of the gradient at the features", hint)


def _draw_validation(axes: Axes, epochs: _Log) -> None:
    for colour, name in zip(colours(), _validation_names(epochs), strict=False):
        column = _column(epochs, "validation", name)
        axes.plot(*column, color=colour, marker="o", markersize=3, label=name)
    best = next((record for record in reversed(epochs) if record.get("best")), None)
    hint = ""
    if best is not None and best.get("score") is not None:
        axes.axvline(best["step"], color="black", linewidth=0.8, linestyle="--")
        hint = f"dashed: best {best['monitor']}, {best['score']:.3f}, epoch {best['epoch']}"
        hint += f" of {best['stage']}"
    finish(axes, "Validation, F1 at 0.5 and uncalibrated", hint)


def _draw_rate(axes: Axes, records: _Log) -> None:
    groups, stages = _groups(records), _stages(records)
    for colour, name in zip(colours(), groups, strict=False):
        places, values = _column(records, "learning_rates", name)
        label = name if len(groups) > 1 else None
        axes.plot(places, values, color=colour, label=label, **_dots(values))
    told = ", ".join(stages)
    hint = f"dotted: between the stages {told}, drawn equally wide" if len(stages) > 1 else ""
    finish(axes, "Learning rate", hint)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.1e}"))


def _stages(records: _Log) -> list[str]:
    """Return the names of the stages, in order."""
    return list(dict.fromkeys(str(record.get("stage", "")) for record in records))


def _groups(records: _Log) -> list[str]:
    """Return the names of the groups of parameters, in order."""
    return list(dict.fromkeys(name for record in records for name in record["learning_rates"]))


def _draw_diagnostics(axes: Axes, title: str, names: list[str], watched: _Log, hint: str) -> None:
    values = []
    for colour, name in zip(colours(), names, strict=False):
        places, column = _column(watched, "diagnostics", name)
        axes.plot(places, column, color=colour, linewidth=1.3, label=name, **_dots(column))
        values.append(column)
    if _are_shares(np.concatenate(values)):
        axes.set_ylim(-0.02, 1.02)
    finish(axes, title, hint, legend=len(names) > 1)


def _diagnostic_groups(watched: _Log) -> list[tuple[str, list[str]]]:
    """Return the title and the diagnostics of every panel they need."""
    names = list(dict.fromkeys(name for record in watched for name in record["diagnostics"]))
    shares = [name for name in names if _are_shares(_column(watched, "diagnostics", name)[1])]
    families: dict[str, list[str]] = {}
    for name in shares:
        families.setdefault(name.split("_")[0], []).append(name)
    groups = [
        (f"Diagnostics: {family}", members)
        for family, members in families.items()
        if len(members) > 1
    ]
    alone = [members[0] for members in families.values() if len(members) == 1]
    if alone:
        groups.append(("Diagnostics: shares", alone))
    return groups + [(f"Diagnostics: {name}", [name]) for name in names if name not in shares]


def _are_shares(values: npt.NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return bool(((known >= -_ROUNDING) & (known <= 1 + _ROUNDING)).all())


def _mark_warning(axes: Axes, epochs: _Log) -> str:
    """Draw a line at the first epoch that warned; return what to say about it."""
    first = next((record for record in epochs if record.get("warning")), None)
    if first is None:
        return ""
    axes.axvline(first["step"], color=PINK, linewidth=1.5, linestyle="-.")
    said = f"dash-dotted: warned after epoch {first['epoch']} of {first['stage']}: "
    return shortened(said + first["warning"], letters=_HINT_LETTERS)


def _column(records: _Log, *path: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the steps and the values found under the path, NaN where there is none.

    Between two stages is a NaN, since what one ends with and the next begins with are not the
    same thing: other images, other weights that learn.
    """
    places, values = [], []
    for before, record in zip([None, *records], records, strict=False):
        value: Any = record
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if before is not None and before.get("stage") != record.get("stage"):
            places.append(float(record["step"]))
            values.append(np.nan)
        places.append(float(record["step"]))
        values.append(np.nan if value is None else float(value))
    return np.array(places), np.array(values)


def _dots(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return how values are drawn that have none beside them, to which a line would lead."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    return {"marker": ".", "markevery": alone.tolist()} if alone.size else {}


def _term_names(records: _Log) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.get("terms", ())))


def _validation_names(epochs: _Log) -> list[str]:
    logged = dict.fromkeys(name for record in epochs for name in record.get("validation") or ())
    monitors = [str(record["monitor"]) for record in epochs if record.get("monitor")]
    return [name for name in dict.fromkeys([*monitors, *_CURVES]) if name in logged]

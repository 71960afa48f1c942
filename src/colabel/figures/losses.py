"""The picture of the terms of a loss over the epochs of runs, each term by its own size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from colabel.figures.drawing import colours, finish, new_figure, save


@dataclass(frozen=True)
class LossRun:
    """What a run logged after each epoch.

    Args:
        losses: by name of the term, ``total`` among them; ``None`` where it was no finite number.
        scores: mAP on validation, in [0, 1].
    """

    losses: Mapping[str, Sequence[float | None]]
    scores: Sequence[float | None]


def losses_figure(runs: Sequence[LossRun], png: Path) -> None:
    """Draw each loss as a share of its largest value, and mAP, over the epochs.

    Lines are means over the runs, the bands around them reach from the lowest to the highest.

    Args:
        runs: at least one; where they differ in length the epochs of the shortest are drawn.
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    for name, colour in zip(runs[0].losses, colours(), strict=False):
        rows = [normalised(run.losses[name]) for run in runs]
        _draw(left, rows, colour, name)
    _draw(right, [100 * _numbers(run.scores) for run in runs], next(colours()), "mAP")
    seeds = f"{len(runs)} seeds: mean, lowest and highest" if len(runs) > 1 else "one seed"
    finish(left, "Losses, each as a share of its largest", seeds)
    finish(right, "mAP on validation (%)", "the test split is not read", legend=False)
    for axes in (left, right):
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    save(figure, png)


def normalised(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Return the values as shares of the one furthest from 0.

    Example:
        >>> normalised([4.0, 1.0, None, -2.0]).tolist()
        [1.0, 0.25, nan, -0.5]
    """
    numbers = _numbers(values)
    largest = np.nanmax(np.abs(numbers)) if np.isfinite(numbers).any() else 1.0
    return numbers / (largest or 1.0)


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else float(value) for value in values])


def _draw(axes: Axes, rows: Sequence[npt.NDArray[np.float64]], colour: str, label: str) -> None:
    length = min(map(len, rows))
    stacked = np.stack([row[:length] for row in rows])
    epochs = np.arange(1, length + 1)
    if len(rows) > 1:
        low, high = stacked.min(axis=0), stacked.max(axis=0)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(epochs, stacked.mean(axis=0), color=colour, marker="o", markersize=3, label=label)

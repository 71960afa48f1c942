"""The picture of the overlaps of an image's labels with those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colabel.figures.drawing import new_figure, save

_DARK = 0.55  # from where on letters are black


@dataclass(frozen=True)
class Overlaps:
    """An overlap of an anchor with other images.

    Args:
        name: of the overlap.
        values: shape (shared labels from 0 on, labels of the other from 1 on); NaN where there is
            no such image.
    """

    name: str
    values: npt.NDArray[np.float64]


def overlaps_figure(overlaps: Sequence[Overlaps], thresholds: Sequence[float], png: Path) -> None:
    """Draw the overlaps as numbers on a coloured grid, with a mark for each threshold reached.

    Args:
        overlaps: side by side.
        thresholds: rising; a cell has a star for each that it reaches.
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    figure = new_figure(5.2 * len(overlaps), 3.6)
    panels = figure.subplots(1, len(overlaps), squeeze=False).flat
    for axes, one in zip(panels, overlaps, strict=True):
        axes.imshow(one.values, vmin=0, vmax=1, cmap="viridis", origin="lower", aspect="auto")
        for (row, column), value in np.ndenumerate(one.values):
            if np.isnan(value):
                continue
            stars = "*" * sum(bool(value >= threshold) for threshold in thresholds)
            axes.text(
                column,
                row,
                f"{value:.2f}\n{stars}".rstrip(),
                ha="center",
                va="center",
                fontsize=7.5,
                color="black" if value > _DARK else "white",
            )
        axes.set_xticks(range(one.values.shape[1]), range(1, one.values.shape[1] + 1))
        axes.set_yticks(range(one.values.shape[0]))
        axes.tick_params(labelsize=8)
        axes.set_xlabel("labels of the other image", fontsize=8)
        axes.set_ylabel("labels in common", fontsize=8)
        marks = ", ".join(
            f"{'*' * number} at least {threshold:g}"
            for number, threshold in enumerate(thresholds, start=1)
        )
        labels = one.values.shape[0] - 1
        axes.set_title(
            f"{one.name} overlap with an image of {labels} labels; {marks}", fontsize=8.5,
            loc="left",
        )  # fmt: skip
    save(figure, png)

"""Pictures of what uncertainty is worth: errors left by coverage, and reliability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colabel.figures.drawing import BLUE, GREY, ORANGE, colours, finish, new_figure, save
from colabel.uncertainty import SCORES, reliability, risk_coverage

_POINTS = 200
_COLOURS = 6


def uncertainty_chart(
    curves: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    risks: Mapping[str, float],
    *,
    uncalibrated: npt.NDArray[np.float64],
    calibrated: npt.NDArray[np.float64],
    targets: npt.NDArray[np.int8],
    png: Path,
) -> None:
    """Draw risk against coverage for pairs and for images, and probabilities against frequencies.

    Args:
        curves: scores and errors by the name of the score.
        risks: share of wrong labels if all are decided, of a "pair" and of an "image".
        uncalibrated: probabilities before calibration.
        calibrated: probabilities after it.
        targets: 1 present, 0 absent, -1 unknown.
        png: picture to write.

    Raises:
        RunError: if the picture cannot be written.
    """
    figure = new_figure(12.5, 4.4)
    pairs, images, truth = figure.subplots(1, 3)
    for axes, per, title in ((pairs, "pair", "Labels"), (images, "image", "Images")):
        chosen = colours()
        mine = [name for name in curves if SCORES[name].per == per]
        for place, name in enumerate(mine):
            scores, errors = curves[name]
            curve = risk_coverage(scores, errors)
            shown = np.unique(np.linspace(0, len(curve.risk) - 1, _POINTS).round().astype(int))
            axes.plot(
                100 * curve.coverage[shown],
                100 * curve.risk[shown],
                color=next(chosen),
                linewidth=1.3,
                linestyle="-" if place < _COLOURS else ":",
                label=name.replace("_", " "),
            )
        risk = risks[per]
        axes.axhline(100 * risk, color=GREY, linewidth=0.9, linestyle="--", label="chance")
        axes.set_xlabel(f"{title.lower()} that are decided, %")
        axes.set_xlim(0, 100)
        axes.set_ylim(0, (250 if len(mine) < 9 else 400) * risk or None)  # room for the legend
        finish(axes, f"{title}: % wrong among those decided", "surest first; lower is better")
    for probabilities, colour, label in (
        (uncalibrated, ORANGE, "before calibration"),
        (calibrated, BLUE, "after"),
    ):
        bins = reliability(probabilities, targets)
        height = np.stack([bins.present - bins.low, bins.high - bins.present]).clip(0)
        truth.errorbar(
            100 * bins.probability,
            100 * bins.present,
            yerr=100 * height,
            color=colour,
            marker="o",
            markersize=3.5,
            linewidth=1.1,
            capsize=2,
            label=label,
        )
    truth.plot([0, 100], [0, 100], color=GREY, linewidth=0.9, linestyle="--", label="perfect")
    truth.set_xlabel("probability, %")
    finish(truth, "Calibration: % present by probability", "bins of equal mass, intervals of 95 %")
    save(figure, png)

"""The picture of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

from colabel.figures.drawing import BLUE, GREEN, GREY, ORANGE, PINK, finish, new_figure, save
from colabel.training.range_test import RangeTest


def learning_rate_chart(found: RangeTest, png: Path) -> None:
    """Draw loss over learning rate, with what the test suggests.

    Args:
        found: what the test saw.
        png: picture to write.

    Raises:
        RunError: if the file cannot be written.
    """
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    axes.plot(found.learning_rates, found.losses, color=GREY, alpha=0.4, linewidth=1)
    axes.plot(found.learning_rates, found.smoothed, color=BLUE, label="smoothed loss")
    for place, colour, name in (
        (found.steepest, GREEN, "falls fastest"),
        (found.lowest, ORANGE, "lowest"),
    ):
        if place is not None:
            said = f"{name}: {place:.2g}"
            axes.axvline(place, color=colour, linestyle=":", linewidth=1, label=said)
    if found.suggested is not None:
        head = "" if found.suggested_head is None else f", head {found.suggested_head:.3g}"
        said = f"suggested: {found.suggested:.2g}{head}"
        axes.axvline(found.suggested, color=PINK, linestyle="--", linewidth=1.5, label=said)
    axes.set_xscale("log")
    half = len(found.smoothed) // 2 + 1  # what explodes later does not count
    low = min(*found.smoothed, *found.losses)
    high = max(*found.smoothed[:half], *found.losses[:half])
    room = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)
    hints = ["pale: one batch"]
    if found.head_multiple != 1:
        hints.append(f"the head learns at {found.head_multiple:g} times the rate")
    if found.lowest is None:
        falls = found.steepest is not None
        hints.append(f"the loss {'was still falling at the end' if falls else 'did not fall'}")
    axes.set_xlabel(_name_of_rate(found), fontsize=8)
    axes.set_ylabel("weighted loss of a batch", fontsize=8)
    finish(axes, f"Learning-rate range test of stage {found.stage}", "; ".join(hints))
    save(figure, png)


def _name_of_rate(found: RangeTest) -> str:
    """Return what the axis is called: the learning rate of what is trained with it."""
    if found.head_multiple == 1:
        return f"learning rate of the {' and the '.join(found.trained)}"
    if "encoder" in found.trained:
        return "learning rate of the encoder"
    return "training.learning_rate; the encoder is frozen, the head alone learns"

"""A contact sheet: the images whose labels are most suspicious, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from colabel.figures.drawing import BLUE, ORANGE, as_written, new_figure, save, shortened

COLUMNS = 6
_WIDTH, _HEIGHT = 1.75, 2.3  # of a picture with its lines, in inches


@dataclass(frozen=True)
class Panel:
    """A picture with what is said of it.

    Args:
        image: small.
        title: the label.
        says: what the file and the model say.
        given: whether the file gives the label.
    """

    image: Image.Image
    title: str
    says: str
    given: bool


def contact_sheet(panels: Sequence[Panel], title: str, png: Path) -> None:
    """Draw pictures in rows, the first at the top left.

    Args:
        panels: at least one.
        title: of the page.
        png: picture to write.

    Raises:
        RunError: if the picture cannot be written.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    height = _HEIGHT * rows + 0.45
    figure = new_figure(max(4.5, _WIDTH * columns), height, layout=None)
    figure.subplots_adjust(
        left=0.015,
        right=0.985,
        top=1 - 0.87 / height,
        bottom=0.06 / height,
        wspace=0.06,
        hspace=0.34,
    )
    as_written([figure.text(0.015, 1 - 0.27 / height, title, fontsize=10)])
    for axes in figure.subplots(rows, columns, squeeze=False).ravel():
        axes.set_axis_off()
    for axes, panel in zip(figure.axes, panels, strict=False):
        axes.imshow(panel.image, interpolation="antialiased")
        axes.set_anchor("NW")
        lines = (
            (shortened(panel.title, letters=24), 13, {"fontsize": 7.5, "weight": "bold"}),
            (panel.says, 4, {"fontsize": 6.5, "color": "black"}),
        )
        for text, above, how in lines:
            style: dict[str, Any] = {"color": ORANGE if panel.given else BLUE, **how}
            place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
            as_written([axes.annotate(text, (0, 1), (0, above), **place, **style)])
    save(figure, png)

"""The picture of how many labels images have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from colabel.figures.drawing import BLUE, ORANGE, as_written, finish, new_figure, save

_COLUMNS = 4


@dataclass(frozen=True)
class LabelCounts:
    """How many images of a data set have how many labels.

    Args:
        name: of the data set.
        classes: how many labels there are.
        images: number of those with 0, 1, 2, ... labels.
        unknown: labels that nobody has judged, which count as not present.
    """

    name: str
    classes: int
    images: tuple[int, ...]
    unknown: int = 0

    @property
    def most_common(self) -> int:
        """The number of labels that most images have, the smallest of several."""
        return self.images.index(max(self.images))

    @property
    def mean(self) -> float:
        """Labels per image.

        Example:
            >>> LabelCounts("two images", 3, (0, 1, 1)).mean
            1.5
        """
        labels = sum(number * images for number, images in enumerate(self.images))
        return labels / max(sum(self.images), 1)


def labels_figure(counts: Sequence[LabelCounts], png: Path) -> None:
    """Draw a histogram for each data set, of relative frequencies.

    Args:
        counts: at least one data set.
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    columns = min(_COLUMNS, len(counts))
    rows = -(-len(counts) // columns)
    figure = new_figure(max(3.4 * columns, 4.5), 3.0 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in panels[len(counts) :]:
        spare.remove()
    for axes, one in zip(panels, counts, strict=False):
        whole = max(sum(one.images), 1)
        shares = [100 * images / whole for images in one.images]
        colours = [ORANGE if n == one.most_common else BLUE for n in range(len(shares))]
        axes.bar(range(len(shares)), shares, color=colours, width=0.85)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        unknown = f"; {one.unknown:,} unknown ones count as absent" if one.unknown else ""
        axes.set_xlabel(f"labels of an image{unknown}", fontsize=8)
        axes.set_ylabel("images (%)", fontsize=8)
        hint = f"{whole:,} images, {one.classes} classes; mean {one.mean:.2f} labels"
        finish(axes, one.name, hint, legend=False)
        as_written([axes.title])
    save(figure, png)

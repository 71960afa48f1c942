"""How many labels the images of data sets have (KMCL, Fig. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from colabel.build.source import open_source
from colabel.config.paths import absolute_source
from colabel.figures.labels import LabelCounts, labels_figure
from colabel.settings.data import Data

_LETTERS = 34  # that a title has room for; the end of a path says more than its beginning


def draw_labels_per_image(sources: Sequence[str], png: Path) -> tuple[LabelCounts, ...]:
    """Draw how many present labels the images of each source have, over all its splits.

    Source: KMCL, Fig. 4.

    Args:
        sources: as ``--data`` takes them, at least one.
        png: picture to write.

    Returns:
        The counts of each source. A label that nobody has judged is none that is present.

    Raises:
        ColabelError: if a source cannot be read, or the picture cannot be written.
    """
    counts = tuple(count_labels(source) for source in sources)
    labels_figure(counts, png)
    return counts


def count_labels(source: str) -> LabelCounts:
    """Count the images of a source by the number of their labels.

    Args:
        source: as ``--data`` takes it.

    Raises:
        ColabelError: if it cannot be read.
    """
    splits = open_source(Data(source=absolute_source(source)))
    targets = np.concatenate([records.targets for records in splits.values()])
    present = (targets == 1).sum(axis=1)
    name = source if len(source) <= _LETTERS else f"…{source[1 - _LETTERS :]}"
    images = tuple(int(count) for count in np.bincount(present))
    return LabelCounts(name, targets.shape[1], images, int((targets == -1).sum()))

"""Which images are positives of each other in ProbMCL, by either overlap of their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from colabel.figures.overlaps import Overlaps, overlaps_figure
from colabel.mixtures import cosine, jaccard

ANCHOR, MOST = 4, 8
"""Labels of the anchor, and the most that another image has."""
THRESHOLDS = (0.5, 0.6)
"""alpha of the paper on ADP and on MS-COCO."""


def draw_overlaps(png: Path) -> None:
    """Draw both overlaps of an anchor with images of 1 to 8 labels, by how many they share.

    Source: ProbMCL, Eq. 3 and Sec. 3.2.

    Args:
        png: picture to write.

    Raises:
        RunError: if it cannot be written.
    """
    overlaps_figure(overlaps(), THRESHOLDS, png)


def overlaps() -> tuple[Overlaps, ...]:
    """Return both overlaps by shared labels and labels of the other image."""
    anchor = torch.zeros(1, ANCHOR + MOST)
    anchor[0, :ANCHOR] = 1
    answer = []
    for name, measure in (("Jaccard", jaccard), ("cosine", cosine)):
        values = np.full((ANCHOR + 1, MOST), np.nan)
        for shared in range(ANCHOR + 1):
            for labels in range(max(shared, 1), MOST + 1):
                other = torch.zeros_like(anchor)
                other[0, :shared] = 1
                other[0, ANCHOR : ANCHOR + labels - shared] = 1
                values[shared, labels - 1] = float(measure(anchor, other))
        answer.append(Overlaps(name, values))
    return tuple(answer)

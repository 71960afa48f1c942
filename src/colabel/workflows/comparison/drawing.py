"""The picture of a comparison, from what its document says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colabel.figures.comparison import ForestRow, comparison_figure
from colabel.workflows.comparison.asked import MOST_PAIRS


def draw(document: Mapping[str, Any], png: Path) -> None:
    """Draw the methods with their intervals and seeds, and the differences of the pairs.

    Raises:
        RunError: if the picture cannot be written.
    """
    resampled = f"{document['draws']:,} resamples of {document['units']:,} {document['resampled']}"
    comparison_figure(
        [
            ForestRow((one["name"],), one["mean"], one["low"], one["high"], _dots(one))
            for one in document["methods"]
        ],
        [
            ForestRow(
                (pair["first"], pair["second"]),
                pair["difference"],
                pair["low"],
                pair["high"],
                tuple(one["difference"] for one in pair["seeds"]),
                marked=pair["different"],
            )
            for pair in document["pairs"]
        ],
        png,
        metric=document["metric"],
        split=document["split"],
        hint=f"95 % intervals of {resampled}",
        as_matrix=len(document["pairs"]) > MOST_PAIRS,
    )


def _dots(method: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the values of several seeds; one is the mean itself."""
    values = method["seeds"]["values"]
    return tuple(values) if len(values) > 1 else ()

"""Predictions of several models, brought into one order of images and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from colabel.data.split import number_groups
from colabel.errors import DataError
from colabel.printing import printable
from colabel.runs.predictions import Predictions

_Values = TypeVar("_Values", bound=np.generic)
_DIVIDED = (
    "Compare runs on one division: a table without splits is divided by training.seed, unless "
    "data.division_seed is set."
)


@dataclass(frozen=True)
class Aligned:
    """Predictions, and where the images and classes of the first run stand in them.

    Args:
        predictions: as the run has them.
        rows: of the images, in the order of the first run.
        columns: of the classes, likewise.
    """

    predictions: Predictions
    rows: list[int]
    columns: list[int]

    def place(self, values: npt.NDArray[_Values]) -> npt.NDArray[_Values]:
        """Return values of shape (images, classes) in the order of the first run."""
        return values[self.rows][:, self.columns]

    @property
    def targets(self) -> npt.NDArray[np.int8]:
        """In the order of the first run."""
        assert self.predictions.targets is not None
        return self.place(self.predictions.targets)

    @property
    def groups(self) -> tuple[str, ...]:
        """What each image belongs to, in the order of the first run; empty without groups."""
        groups = self.predictions.groups
        return tuple(groups[row] for row in self.rows) if groups else ()


def align(predictions: Mapping[str, Predictions]) -> tuple[Aligned, ...]:
    """Find the images and classes of the first predictions in all others.

    Args:
        predictions: with targets, by the name of the run.

    Raises:
        DataError: if images, classes, targets or groups differ, naming the first that does.

    Example:
        >>> logits, targets = np.zeros((2, 1), np.float32), np.array([[1], [0]], np.int8)
        >>> one = Predictions(("a", "b"), ("cat",), logits, targets, "test")
        >>> other = Predictions(("b", "a"), ("cat",), logits, targets[::-1], "test")
        >>> align({"one": one, "other": other})[1].rows
        [1, 0]
    """
    first, reference = next(iter(predictions.items()))
    aligned = []
    for name, other in predictions.items():
        one = Aligned(
            other,
            _places("image", reference.ids, other.ids, first, name),
            _places("class", reference.classes, other.classes, first, name),
        )
        _check_targets(reference, one.targets, first, name)
        if one.groups != (reference.groups or ()):
            raise DataError(
                f"{first} and {name} group the images in different ways, so it is not known which "
                "belong together; measure both with the same column of groups."
            )
        aligned.append(one)
    return tuple(aligned)


def group_numbers(groups: tuple[str, ...] | None) -> npt.NDArray[np.int64] | None:
    """Return the group of each image as a number from 0 on; ``None`` where there are none.

    Example:
        >>> group_numbers(("p2", "p1", "p2")).tolist()
        [0, 1, 0]
    """
    if not groups:
        return None
    return number_groups(groups, len(groups))


def _places(
    what: str, wanted: tuple[str, ...], found: tuple[str, ...], first: str, name: str
) -> list[int]:
    """Return where each wanted name is found.

    Raises:
        DataError: naming the first that only one of the two has.
    """
    if wanted == found:
        return list(range(len(wanted)))
    places = {one: place for place, one in enumerate(found)}
    for owner, lacking, names, known in (
        (first, name, wanted, places),
        (name, first, found, set(wanted)),
    ):
        missing = next((one for one in names if one not in known), None)
        if missing is not None:
            hint = f" {_DIVIDED}" if what == "image" else ""
            raise DataError(
                f"{owner} has predictions for the {what} {printable(missing)!r} and {lacking} has "
                f"none: runs are compared on the same images and classes.{hint}"
            )
    return [places[one] for one in wanted]


def _check_targets(
    reference: Predictions, targets: npt.NDArray[np.int8], first: str, name: str
) -> None:
    """Refuse other labels, naming the first image and class."""
    assert reference.targets is not None
    different = np.argwhere(reference.targets != targets)
    if len(different):
        row, column = different[0]
        raise DataError(
            f"the image {printable(reference.ids[row])!r} has the label "
            f"{printable(reference.classes[column])!r} as {reference.targets[row, column]} in "
            f"{first} and {targets[row, column]} in {name} (1 present, 0 absent, -1 unknown): "
            "they were measured on other data, or it changed in between. Compare runs on the same "
            "data, and measure both anew with: colabel evaluate RUN"
        )

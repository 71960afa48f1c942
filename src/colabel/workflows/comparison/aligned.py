"""Predictions of several models, brought into one order of images and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from colabel.errors import DataError
from colabel.printing import printable
from colabel.runs.predictions import Predictions

_DIVIDED = (
    "Compare runs on one division: a table without splits is divided by training.seed, unless "
    "data.division_seed is set."
)


def align(predictions: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Bring predictions of the same images into the order of the first.

    Args:
        predictions: with targets, by the name of the run.

    Returns:
        The same, with images and classes in one order.

    Raises:
        DataError: if images, classes, targets or groups differ, naming the first that does.

    Example:
        >>> logits, targets = np.zeros((2, 1), np.float32), np.array([[1], [0]], np.int8)
        >>> one = Predictions(("a", "b"), ("cat",), logits, targets, "test")
        >>> other = Predictions(("b", "a"), ("cat",), logits, targets[::-1], "test")
        >>> align({"one": one, "other": other})["other"].ids
        ('a', 'b')
    """
    (first, reference), *others = predictions.items()
    aligned = {first: reference}
    for name, other in others:
        rows = _places("image", reference.ids, other.ids, first, name)
        columns = _places("class", reference.classes, other.classes, first, name)
        assert reference.targets is not None
        assert other.targets is not None
        targets = other.targets[rows][:, columns]
        _check_targets(reference, targets, first, name)
        groups = tuple(other.groups[row] for row in rows) if other.groups else ()
        if groups != (reference.groups or ()):
            raise DataError(
                f"{first} and {name} group the images in different ways, so it is not known which "
                "belong together; measure both with the same column of groups."
            )
        aligned[name] = replace(
            other,
            ids=reference.ids,
            classes=reference.classes,
            logits=other.logits[rows][:, columns],
            targets=targets,
            extra={},
            groups=groups,
        )
    return aligned


def group_numbers(groups: tuple[str, ...] | None) -> npt.NDArray[np.int64] | None:
    """Return the group of each image as a number from 0 on; ``None`` where there are none.

    Example:
        >>> group_numbers(("p2", "p1", "p2")).tolist()
        [0, 1, 0]
    """
    if not groups:
        return None
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


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
            f"{first} and {targets[row, column]} in {name} (1 present, 0 absent, -1 unknown): the "
            "data changed in between; measure both anew with: colabel evaluate RUN"
        )

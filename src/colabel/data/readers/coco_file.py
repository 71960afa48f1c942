"""The instances file of COCO: images, categories, and which of them occur in which image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from colabel.data.readers.json_file import read_json
from colabel.data.readers.layout import empty_targets
from colabel.errors import DataError, nearest

Unannotated = Literal["keep", "drop"]

_FIELDS = (
    "COCO's images (id, file_name), annotations (image_id, category_id) and categories (id, name)"
)


class Image(msgspec.Struct, gc=False):
    """One image."""

    id: int
    file_name: str


class Annotation(msgspec.Struct, gc=False):
    """One object in an image."""

    image_id: int
    category_id: int


class Category(msgspec.Struct, gc=False):
    """One class."""

    id: int
    name: str
    supercategory: Any = None


class Instances(msgspec.Struct, gc=False):
    """The fields that are read; boxes and outlines are skipped while decoding."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def read_instances(path: Path) -> Instances:
    """Return the fields of an instances file.

    Raises:
        DataError: if it is not one, or holds no images or no categories.
    """
    instances = read_json(path, Instances, expected=_FIELDS)
    if not instances.images or not instances.categories:
        raise DataError(f"{path}: no images or no categories; expected some of each.")
    return instances


def _rows_by_id(path: Path, ids: Iterable[int], what: str) -> dict[int, int]:
    rows: dict[int, int] = {}
    for identifier in ids:
        if identifier in rows:
            raise DataError(f"{path}: the {what} id {identifier} occurs twice; expected it once.")
        rows[identifier] = len(rows)
    return rows


def check_categories(path: Path, categories: Sequence[Category]) -> None:
    """Refuse two categories of one id or of one name.

    Raises:
        DataError: names the file, and the ids of a name.
    """
    _rows_by_id(path, (category.id for category in categories), "category")
    ids: dict[str, int] = {}
    for category in categories:
        other = ids.setdefault(category.name, category.id)
        if other != category.id:
            raise DataError(
                f"{path}: the categories {other} and {category.id} are both called "
                f"{category.name!r}; rename one of them, or make them one category."
            )


def targets_of(
    path: Path, instances: Instances, categories: Sequence[Category]
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """Return which categories occur in which image, and a note where annotations are ignored.

    Args:
        path: of the file, for messages.
        instances: what it holds.
        categories: the columns; ids and names are unique.

    Raises:
        DataError: for an image id that occurs twice, an annotation of an unknown category, or a
            file all of whose annotations belong to other images.
    """
    rows = _rows_by_id(path, (image.id for image in instances.images), "image")
    columns = {category.id: column for column, category in enumerate(categories)}
    targets = empty_targets(len(rows), len(columns), source=path)
    strangers = 0
    for position, annotation in enumerate(instances.annotations):
        column = columns.get(annotation.category_id)
        if column is None:
            raise DataError(
                f"{path}, annotation {position + 1}: category {annotation.category_id} is not "
                "among the categories of the file."
            )
        row = rows.get(annotation.image_id)
        if row is None:
            strangers += 1
        else:
            targets[row, column] = 1
    if strangers and strangers == len(instances.annotations):
        raise DataError(f"{path}: not one annotation belongs to an image of the file.")
    if strangers:
        return targets, (f"{strangers} annotations of images that are not in the file ignored",)
    return targets, ()


def kept_images(
    targets: npt.NDArray[np.int8], unannotated: Unannotated
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the rows to keep, and a note where images have no annotation.

    Args:
        targets: as :func:`targets_of` returns them.
        unannotated: what to do with images that have no annotation.

    Raises:
        DataError: for an option that is neither keep nor drop.
    """
    choices = ("keep", "drop")
    if unannotated not in choices:
        raise DataError(f"unannotated: {unannotated!r}; {nearest(unannotated, choices)}")
    annotated = np.flatnonzero(targets.any(axis=1))
    empty = len(targets) - len(annotated)
    if not empty:
        return annotated, ()
    done = "dropped" if unannotated == "drop" else "kept"
    note = f"{empty} images without annotations {done} (option unannotated)"
    return annotated if unannotated == "drop" else np.arange(len(targets)), (note,)

"""MS-COCO 2014 and 2017: which of the categories occur in an image, from the instances file."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from colabel.data.images import find_images
from colabel.data.paths import contained, first_existing
from colabel.data.records import Records
from colabel.errors import DataError, nearest

Unannotated = Literal["keep", "drop"]


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


class _Instances(msgspec.Struct, gc=False):
    """The fields that are read; boxes and outlines are skipped while decoding."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def _decode(path: Path) -> _Instances:
    """Return the fields of an instances file, which is mapped into memory, not read."""
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            return msgspec.json.decode(mapped, type=_Instances)
    except msgspec.ValidationError as error:
        raise DataError(
            f"{path}: not a COCO instances file ({error}); expected images (id, file_name), "
            "annotations (image_id, category_id) and categories (id, name)."
        ) from error
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: an empty file has no map
        raise DataError(f"{path}: not readable JSON ({error}); download it again.") from error


def _rows_by_id(path: Path, ids: Iterable[int], what: str) -> dict[int, int]:
    rows: dict[int, int] = {}
    for identifier in ids:
        if identifier in rows:
            raise DataError(f"{path}: the {what} id {identifier} occurs twice; expected it once.")
        rows[identifier] = len(rows)
    return rows


def _refuse_same_names(path: Path, categories: Iterable[_Category]) -> None:
    first: dict[str, int] = {}
    for category in categories:
        same = first.setdefault(category.name, category.id)
        if same != category.id:
            raise DataError(
                f"{path}: the categories {same} and {category.id} are both called "
                f"{category.name!r}; give each its own name, or join them in the file if they are "
                "one."
            )


def _targets(
    path: Path, instances: _Instances, classes: list[_Category]
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    rows = _rows_by_id(path, (image.id for image in instances.images), "image")
    columns = _rows_by_id(path, (category.id for category in classes), "category")
    targets = np.zeros((len(rows), len(columns)), dtype=np.int8)
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


def _read_coco(
    root: Path, split: str, *, year: int, unannotated: Unannotated, require_images: bool
) -> Records:
    parts = {"train": f"train{year}", "test": f"val{year}"}
    if split not in parts:
        raise DataError(
            f"COCO {year} has no split {split!r} here: its published validation images are the "
            "customary test split, 'test'; hold out a part of 'train' for validation."
        )
    if unannotated not in ("keep", "drop"):
        choices = ("keep", "drop")
        raise DataError(f"unannotated: {unannotated!r}; {nearest(unannotated, choices)}")
    part = parts[split]
    name = f"instances_{part}.json"
    layout = f"annotations/{name} beside the folder {part}"
    source = first_existing(
        [root / "annotations" / name, root / name], what=f"COCO {year}", layout=layout
    )
    instances = _decode(source)
    if not instances.images or not instances.categories:
        raise DataError(f"{source}: no images or no categories; expected some of each.")
    categories = sorted(instances.categories, key=lambda category: category.id)
    _refuse_same_names(source, categories)
    targets, notes = _targets(source, instances, categories)
    names = [
        f"{part}/{contained(root / part, image.file_name, where=f'{source}, image id {image.id}')}"
        for image in instances.images
    ]
    kept = np.arange(len(names))
    empty = int((~targets.any(axis=1)).sum())
    if empty and unannotated == "drop":
        kept = np.flatnonzero(targets.any(axis=1))
    if empty:
        done = "dropped" if unannotated == "drop" else "kept"
        notes = (*notes, f"{empty} images without annotations {done} (option unannotated)")
    ids = [names[row] for row in kept]
    images, missing = find_images(root, ids, source=source, require_images=require_images)
    return Records(
        tuple(ids),
        images,
        targets[kept],
        tuple(category.name for category in categories),
        root=root,
        notes=(*notes, *missing),
    )


def read_coco2014(
    root: Path,
    split: str,
    *,
    unannotated: Unannotated = "keep",
    require_images: bool = True,
) -> Records:
    """Read MS-COCO 2014 from its instances file.

    A category is present if one object of it is annotated, single or in a crowd. Classes are in
    the order of the category ids.

    Args:
        root: folder with ``annotations/instances_train2014.json``, ``train2014`` and so on.
        split: "train", or "test" for val2014: the published validation images are the customary
            test split of multi-label work. For validation hold out a part of "train".
        unannotated: whether images without any object are kept, as images without labels, or
            dropped. KMCL trains on the 82,081 that have one and tests on all 40,504.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Raises:
        DataError: if the folder or the file is not as COCO has it, or a path leaves its folder.
    """
    return _read_coco(
        root, split, year=2014, unannotated=unannotated, require_images=require_images
    )


def read_coco2017(
    root: Path,
    split: str,
    *,
    unannotated: Unannotated = "keep",
    require_images: bool = True,
) -> Records:
    """Read MS-COCO 2017 from its instances file.

    Args:
        root: folder with ``annotations/instances_train2017.json``, ``train2017`` and so on.
        split: "train", or "test" for val2017; see :func:`read_coco2014`.
        unannotated: see :func:`read_coco2014`.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Raises:
        DataError: as :func:`read_coco2014`.
    """
    return _read_coco(
        root, split, year=2017, unannotated=unannotated, require_images=require_images
    )

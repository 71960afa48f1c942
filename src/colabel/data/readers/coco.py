"""MS-COCO 2014 and 2017: which of the categories occur in an image, from the instances file."""

from __future__ import annotations

from pathlib import Path

from colabel.data.listed import find_images
from colabel.data.paths import contained, first_existing
from colabel.data.readers.coco_file import (
    Unannotated,
    check_categories,
    kept_images,
    read_instances,
    targets_of,
)
from colabel.data.records import Records
from colabel.errors import DataError
from colabel.names import check_class_names


def _read_coco(
    root: Path, split: str, *, year: int, unannotated: Unannotated, require_images: bool
) -> Records:
    parts = {"train": f"train{year}", "test": f"val{year}"}
    if split not in parts:
        raise DataError(
            f"COCO {year} has no split {split!r} here: its published validation images are the "
            "customary test split, 'test'; hold out a part of 'train' for validation."
        )
    part = parts[split]
    name = f"instances_{part}.json"
    layout = f"annotations/{name} beside the folder {part}"
    source = first_existing(
        [root / "annotations" / name, root / name], what=f"COCO {year}", layout=layout
    )
    instances = read_instances(source)
    categories = sorted(instances.categories, key=lambda category: category.id)
    check_categories(source, categories)
    check_class_names([category.name for category in categories], source=source)
    targets, notes = targets_of(source, instances, categories)
    names = [
        f"{part}/{contained(root / part, image.file_name, where=f'{source}, image id {image.id}')}"
        for image in instances.images
    ]
    kept, empty = kept_images(targets, unannotated)
    ids = [names[row] for row in kept]
    images, missing = find_images(root, ids, source=source, require_images=require_images)
    return Records(
        tuple(ids),
        images,
        targets[kept],
        tuple(category.name for category in categories),
        root=root,
        notes=(*notes, *empty, *missing),
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

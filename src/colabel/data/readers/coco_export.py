"""COCO files of anyone's images, as annotation tools export them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from colabel.data.listed import find_images
from colabel.data.opening import at_home
from colabel.data.paths import contained, find_files
from colabel.data.readers.coco_file import (
    Category,
    Instances,
    Unannotated,
    check_categories,
    kept_images,
    read_instances,
    targets_of,
)
from colabel.data.readers.json_file import refuse_more_keys_than
from colabel.data.readers.layout import (
    SPLIT_NAMES,
    alike_notes,
    below,
    empty_targets,
    file_names,
    find_split_folders,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError
from colabel.names import check_class_names, is_system_name

_LAYOUT = (
    "a COCO file, annotations/*.json with train, val or test in their names, or one JSON file in "
    "each of the folders train, valid and test"
)
_LOOKED_FOR = 50
"""Images that are looked for in a folder to see if it is the right one."""


@final
@dataclass(frozen=True)
class _File:
    """One file of a source, decoded."""

    path: Path
    instances: Instances
    categories: tuple[Category, ...]
    notes: tuple[str, ...]


def _split_of(path: Path) -> str | None:
    """Return the split that the name of a file holds as a word, if it holds one."""
    words = re.findall(r"[a-z]+", path.stem.lower())
    splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return splits.pop() if len(splits) == 1 else None


def _json_files(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        return []
    names = (name for name in file_names(folder) if name.endswith(".json"))
    return [folder / name for name in names if not is_system_name(name)]


def _find_files(root: Path) -> dict[str, Path]:
    """Return the annotation file of each split, or of all."""
    if not os.path.isdir(root):
        return {"all": root}
    parts = find_split_folders(root)
    if parts:
        files = {split: _json_files(folder) for split, folder in parts.items()}
        for split, inside in files.items():
            if len(inside) != 1:
                raise DataError(
                    f"{parts[split]}: {len(inside)} JSON files, expected one with the annotations "
                    f"of this split.{other_readers(root)}"
                )
        return {split: inside[0] for split, inside in files.items()}
    found = _json_files(root / "annotations") or _json_files(root)
    found = [path for path in found if path.name.startswith("instances_")] or found
    if len(found) == 1:
        return {"all": found[0]}
    if not found:
        raise DataError(f"{root}: no JSON file; expected {_LAYOUT}.{other_readers(root)}")
    by_split: dict[str, Path] = {}
    for path in found:
        named = _split_of(path)
        if named is None or named in by_split:
            problem = (
                f"{path.name} names no split" if named is None
                else f"{by_split[named].name} and {path.name} are both {named}"
            )  # fmt: skip
            raise DataError(
                f"{root}: {len(found)} JSON files, of which {problem}; give one of them as "
                f"coco:{path}, or leave one for each of train, val and test."
            )
        by_split[named] = path
    return {split: by_split[split] for split in ("train", "val", "test") if split in by_split}


def _decode(path: Path) -> Instances:
    """Return what a file holds, refusing keys that occur twice."""
    instances = read_instances(path)
    refuse_more_keys_than(
        path,
        {
            "images": 1,
            "annotations": 1,
            "categories": 1,
            "file_name": len(instances.images),
            "image_id": len(instances.annotations),
            "category_id": len(instances.annotations),
        },
    )
    return instances


def _groups(instances: Instances) -> list[Category]:
    """Return the category 0 if it is only what others are grouped under, as Roboflow writes it."""
    used = {annotation.category_id for annotation in instances.annotations}
    return [
        category
        for category in instances.categories
        if category.id == 0
        and 0 not in used
        and any(
            other.supercategory == category.name
            for other in instances.categories
            if other is not category
        )
    ]


def _read_files(paths: Mapping[str, Path]) -> dict[str, _File]:
    decoded = {split: (path, _decode(path)) for split, path in paths.items()}
    grouping = [{group.name for group in _groups(one)} for _, one in decoded.values()]
    groups = set.intersection(*grouping)  # in all files without annotations
    files = {}
    for split, (path, instances) in decoded.items():
        dropped = [group for group in _groups(instances) if group.name in groups]
        categories = tuple(
            sorted(
                (category for category in instances.categories if category not in dropped),
                key=lambda category: category.id,
            )
        )
        notes = tuple(
            f"the category 0, {group.name!r}, groups others and has no annotation: left out"
            for group in dropped
        )
        check_categories(path, categories)
        files[split] = _File(path, instances, categories, notes)
    return files


def _image_folder(
    file: _File, split: str, names: Sequence[str], given: Path | None
) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that holds the images of a file, and a note where it was looked for."""
    part = re.sub(r"^instances_", "", file.path.stem)
    beside, above = file.path.parent, file.path.parent.parent
    if given is not None:
        candidates = [given, given / part, given / split]
    else:
        candidates = [
            beside, beside / "images", beside / part,
            above / part, above / "images" / part, above / split, above / "images" / split,
            above / "images", above,
        ]  # fmt: skip
    looked_for = names[:_LOOKED_FOR]
    for folder in candidates:
        if os.path.isdir(folder) and len(find_files(folder, looked_for)[1]) < len(looked_for):
            known = folder == candidates[0]
            return folder, () if known else (f"images taken from {folder} (option images)",)
    return candidates[0], ()


def _names(file: _File, folder: Path) -> list[str]:
    """Return the path of each image below a folder, each once."""
    ids: dict[str, int] = {}
    for image in file.instances.images:
        where = f"{file.path}, image id {image.id}"
        name = contained(folder, image.file_name, where=where)
        other = ids.setdefault(name, image.id)
        if other != image.id:
            raise DataError(
                f"{file.path}: the images {other} and {image.id} are both the file {name!r}; "
                "expected each file once."
            )
    if len(ids) != len(file.instances.images):
        targets_of(file.path, file.instances, file.categories)  # names the id that occurs twice
    return list(ids)


def _records(
    file: _File,
    split: str,
    classes: tuple[str, ...],
    *,
    root: Path,
    images: Path | None,
    unannotated: Unannotated,
    require_images: bool,
) -> Records:
    own, notes = targets_of(file.path, file.instances, file.categories)
    targets = empty_targets(len(own), len(classes), source=file.path)
    targets.fill(UNKNOWN)
    number = {name: column for column, name in enumerate(classes)}
    targets[:, [number[category.name] for category in file.categories]] = own
    lacking = sorted(set(classes) - {category.name for category in file.categories})
    if lacking:
        notes = (*notes, f"classes that {file.path.name} lacks are unknown: {', '.join(lacking)}")
    names = _names(file, images or file.path.parent)
    folder, where = _image_folder(file, split, names, images)
    base, names = below(root, folder, names)
    kept, empty = kept_images(own, unannotated)
    if not len(kept):
        raise DataError(f"{file.path}: no image has an annotation, and unannotated is 'drop'.")
    ids = [names[row] for row in kept]
    found, missing = find_images(base, ids, source=file.path, require_images=require_images)
    return Records(
        tuple(ids),
        found,
        targets[kept],
        classes,
        root=base,
        notes=(*file.notes, *notes, *empty, *where, *missing, *alike_notes(classes)),
    )


def read_coco(
    root: Path,
    *,
    images: Path | None = None,
    unannotated: Unannotated = "keep",
    require_images: bool = True,
) -> dict[str, Records]:
    """Read images annotated in the format of COCO: boxes, outlines or labels alone.

    A category is present if one object of it is annotated, single or in a crowd. Classes are in
    the order of the category ids, those of training first.

    Args:
        root: a JSON file, a folder with ``annotations/*.json``, or one with train, valid and test
            that hold a JSON file each.
        images: folder the file names are relative to; else looked for beside the JSON file.
        unannotated: whether images without any object are kept, as images without labels, or
            dropped.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Returns:
        Records by split; under "all" for a single file.

    Raises:
        DataError: if the files are not as COCO has them, an id, a file or a name of a category
            occurs twice, or a path leaves its folder.
    """
    if images is not None:
        images = at_home(images)
    base = root if os.path.isdir(root) else root.parent
    files = _read_files(_find_files(root))
    names = (category.name for file in files.values() for category in file.categories)
    classes = tuple(dict.fromkeys(names))
    check_class_names(classes, source=root)
    return {
        split: _records(
            file,
            split,
            classes,
            root=base,
            images=images,
            unannotated=unannotated,
            require_images=require_images,
        )
        for split, file in files.items()
    }

"""VOC's annotation files with anyone's classes, as annotation tools export them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from colabel.data.listed import find_images
from colabel.data.opening import read_lines
from colabel.data.readers.layout import (
    SPLIT_NAMES,
    Listing,
    alike_notes,
    below,
    empty_targets,
    find_split_folders,
    first_repeated,
    list_folder,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.readers.voc_file import (
    Difficult,
    parse_annotation,
    read_objects,
    target_of_difficult,
)
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError
from colabel.names import check_class_names

_LAYOUT = (
    "Annotations/*.xml and JPEGImages, or XML files beside the images, also in train, valid and "
    "test"
)
_IMAGE_FOLDERS = ("JPEGImages", "Images", "images")


@final
@dataclass(frozen=True)
class _Part:
    """The annotation files of one split."""

    annotations: Path
    stems: Sequence[str]
    images: Path
    listing: Listing
    notes: tuple[str, ...]


def _stems(listing: Listing) -> list[str]:
    return [name[:-4] for name in listing.others if name.lower().endswith(".xml")]


def _read_lists(folder: Path) -> dict[str, list[str]]:
    """Return the names in the lists of splits; trainval counts where there is no train."""
    lists: dict[str, list[str]] = {}
    names = {f"{name}.txt": split for name, split in SPLIT_NAMES.items()}
    if not os.path.exists(folder / "train.txt"):
        names["trainval.txt"] = "train"
    for name, split in names.items():
        path = folder / name
        if not os.path.lexists(path):
            continue
        lines = read_lines(path, expected="one image name per line")
        if split in lists:
            raise DataError(f"{path}: a second list for the split {split}; expected one.")
        # a name may hold spaces, but then no flag follows it
        lists[split] = [os.path.splitext(line.strip())[0] for line in lines if line.strip()]
    return {split: lists[split] for split in ("train", "val", "test") if lists.get(split)}


def _split_by_lists(root: Path, part: _Part) -> dict[str, _Part]:
    """Return the annotation files of each list in ImageSets/Main, or all of them."""
    folder = root / "ImageSets" / "Main"
    lists = _read_lists(folder) if os.path.isdir(folder) else {}
    if not lists:
        return {"all": part}
    known = set(part.stems)
    home: dict[str, str] = {}
    parts = {}
    for split, names in lists.items():
        for name in names:
            if name not in known:
                raise DataError(
                    f"{folder}: the list of {split} holds {name!r}, but there is no "
                    f"{part.annotations / name}.xml; restore the annotation, or correct the list."
                )
            if name in home:
                raise DataError(
                    f"{folder}: {name!r} is listed twice ({home[name]}, {split}); expected each "
                    "image once."
                )
            home[name] = split
        parts[split] = _Part(part.annotations, names, part.images, part.listing, part.notes)
    left_out = len(known) - len(home)
    if left_out:
        note = f"{left_out} annotations that are in no list of {folder} left out"
        parts = {
            split: _Part(one.annotations, one.stems, one.images, one.listing, (*one.notes, note))
            for split, one in parts.items()
        }
    return parts


def _part(folder: Path) -> _Part | None:
    """Return the annotation files of a folder, in Annotations or beside the images."""
    annotations = folder / "Annotations"
    if os.path.isdir(annotations):
        images = next(
            (folder / name for name in _IMAGE_FOLDERS if os.path.isdir(folder / name)), folder
        )
    else:
        annotations = images = folder
    listing = list_folder(images)
    stems = _stems(list_folder(annotations) if annotations != images else listing)
    return _Part(annotations, stems, images, listing, listing.notes()) if stems else None


def _find_parts(root: Path) -> dict[str, _Part]:
    folders = find_split_folders(root) or {"all": root}
    parts: dict[str, _Part] = {}
    for split, folder in folders.items():
        part = _part(folder)
        if part is None:
            raise DataError(f"{folder}: no XML file; expected {_LAYOUT}.{other_readers(root)}")
        parts[split] = part
    return _split_by_lists(root, parts["all"]) if "all" in parts else parts


def _image_names(part: _Part, filenames: Mapping[str, str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the image of each annotation, and a note of the images without one.

    An image has the name of its annotation; where there are several of that name, with other
    endings, or none, the annotation says which.
    """
    by_stem: dict[str, list[str]] = {}
    for image in part.listing.images:
        by_stem.setdefault(os.path.splitext(image)[0], []).append(image)
    known = set(part.listing.images)
    names = []
    for stem in part.stems:
        candidates = by_stem.get(stem, [])
        said = filenames[stem]
        folder = stem.rpartition("/")[0]
        said = f"{folder}/{said}" if folder and said else said
        if len(candidates) == 1 or (candidates and said not in candidates):
            if len(candidates) > 1:
                raise DataError(
                    f"{part.annotations / stem}.xml: {' and '.join(candidates)} have its name; "
                    "expected one image."
                )
            names.append(candidates[0])
        else:
            names.append(said if said in known else f"{stem}.jpg")
    unused = len(known - set(names))
    notes = (f"{unused} images without an annotation left out",) if unused else ()
    return names, notes


def _read_part(
    root: Path, part: _Part, difficult: int
) -> tuple[list[str], list[dict[str, int]], tuple[str, ...]]:
    """Return the images below the root, the target of each class in each, and notes."""
    objects, filenames = [], {}
    for stem in part.stems:
        path = part.annotations / f"{stem}.xml"
        if not os.path.exists(path):  # the listing ignores letter case
            path = path.with_suffix(".XML")
        annotation = parse_annotation(path)
        objects.append(read_objects(path, annotation, difficult))
        filename = (annotation.findtext("filename") or "").strip().replace("\\", "/")
        filenames[stem] = filename.rsplit("/", 1)[-1]
    names, notes = _image_names(part, filenames)
    twice = first_repeated(names)
    if twice is not None:
        raise DataError(f"{part.annotations}: two annotations name {twice}; expected one.")
    return below(root, part.images, names)[1], objects, (*part.notes, *notes)


def read_voc(
    root: Path, *, difficult: Difficult = "unknown", require_images: bool = True
) -> dict[str, Records]:
    """Read VOC's annotation files with classes of their own.

    A class is present if one of its objects is not marked difficult. Classes are the names that
    occur in any file, in the order of the alphabet.

    Args:
        root: folder with Annotations, JPEGImages and perhaps ImageSets/Main; or with XML files
            beside the images; or with train, valid and test of either kind.
        difficult: target of a class with difficult objects only: "unknown" (-1), "present" (1)
            or "absent" (0).
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Returns:
        Records by split; under "all" where nothing divides them.

    Raises:
        DataError: if the folder is not as described, an annotation cannot be read, or one of its
            objects has no name.
    """
    target = target_of_difficult(difficult)
    if not os.path.isdir(root):
        raise DataError(f"{root}: not a folder; expected {_LAYOUT}.{other_readers(root)}")
    parts = _find_parts(root)
    read = {split: _read_part(root, part, target) for split, part in parts.items()}
    found = {name for _, objects, _ in read.values() for targets in objects for name in targets}
    classes = tuple(sorted(found))
    if not classes:
        raise DataError(f"{root}: no annotation has an object; expected some.")
    check_class_names(classes, source=root)
    number = {name: column for column, name in enumerate(classes)}
    records = {}
    for split, (names, objects, notes) in read.items():
        targets = empty_targets(len(names), len(classes), source=root)
        for row, values in enumerate(objects):
            for name, value in values.items():
                targets[row, number[name]] = value
        doubtful = int((targets == UNKNOWN).sum())
        if doubtful:
            notes = (f"{doubtful} labels with difficult objects only are unknown (-1)", *notes)
        images, missing = find_images(
            root, names, source=parts[split].annotations, require_images=require_images
        )
        records[split] = Records(
            tuple(names),
            images,
            targets,
            classes,
            root=root,
            notes=(*notes, *missing, *alike_notes(classes)),
        )
    return records

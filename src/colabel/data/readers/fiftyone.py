"""FiftyOne's exports of classifications: ``labels.json`` or ``samples.json`` beside the images."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import msgspec

from colabel.data.garbage import collector_paused
from colabel.data.listed import find_images
from colabel.data.opening import at_home
from colabel.data.paths import contained
from colabel.data.readers.json_file import read_json, refuse_deep, refuse_repeated_keys
from colabel.data.readers.layout import (
    SPLIT_NAMES,
    alike_notes,
    below,
    find_split_folders,
    first_repeated,
    list_folder,
    to_targets,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import Records
from colabel.data.split import divide
from colabel.errors import DataError, nearest

Unlabelled = Literal["keep", "drop"]

_LAYOUT = (
    "labels.json (classes, labels by image) or samples.json (samples with filepath) beside the "
    "folder data, also in train, validation and test"
)
_KINDS = ("Classification", "Classifications")


class _Label(msgspec.Struct):
    """A label with more than its name."""

    label: int | str | None
    confidence: float | None = None


class _Labels(msgspec.Struct):
    """What labels.json holds."""

    labels: dict[str, int | str | _Label | list[int | str | _Label] | None]
    classes: list[str] | None = None


class _Classifications(msgspec.Struct):
    """A field of a sample, of one label or of several."""

    label: str | None = None
    confidence: float | None = None
    classifications: list[_Label] | None = None


class _Samples(msgspec.Struct):
    """What samples.json holds."""

    samples: list[dict[str, Any]]


@final
@dataclass
class _Part:
    """The images of one file: labels by path, ``None`` where nobody gave any."""

    source: Path
    root: Path
    classes: tuple[str, ...] | None
    labels: dict[str, frozenset[str] | None] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    uncertain: int = 0
    notes: tuple[str, ...] = ()


def _find_images(folder: Path) -> Callable[[str, str], str]:
    """Return a function from the key of an image to its path below a folder."""
    listing = list_folder(folder) if os.path.isdir(folder) else None
    images = listing.images if listing is not None else ()
    known = set(images)
    stems = [image.rpartition(".")[0] for image in images]
    by_stem = dict(zip(stems, images, strict=True))
    several: dict[str, list[str]] = {}
    if len(by_stem) < len(images):
        for stem, image in zip(stems, images, strict=True):
            several.setdefault(stem, []).append(image)

    def find(key: str, where: str) -> str:
        if key in known:
            return key
        name = contained(folder, key, where=where)
        if name in known:
            return name
        if len(several.get(name, ())) > 1:
            raise DataError(
                f"{where}: {key!r} may be {' or '.join(several[name])}; expected one image of "
                "this name."
            )
        return by_stem.get(name, name)

    return find


def _read_labels(path: Path, images: Path | None) -> _Part:
    """Read ``{"classes": [...], "labels": {image: index, name, or a list of them}}``."""
    content = read_json(path, _Labels, expected="FiftyOne's classes and labels by image")
    refuse_repeated_keys(path)
    folder = images or path.parent / "data"
    find = _find_images(folder)
    classes = None if content.classes is None else tuple(content.classes)
    known = set(classes or ())
    twice = first_repeated(classes or ())
    if twice is not None:
        raise DataError(f"{path}: the class {twice!r} occurs twice among the classes.")

    named: dict[int | str, str] = {}

    def name_of(label: int | str, where: str) -> str:
        if label not in named:
            named[label] = find_name(label, where)
        return named[label]

    def find_name(label: int | str, where: str) -> str:
        if isinstance(label, str):
            if classes is not None and label not in known:
                raise DataError(f"{where}: {label!r} is no class; {nearest(label, classes)}")
            return label
        if classes is None or not 0 <= label < len(classes):
            raise DataError(
                f"{where}: the label is number {label}, but the file has "
                f"{0 if classes is None else len(classes)} classes."
            )
        return classes[label]

    part = _Part(path, folder, classes)
    for key, value in content.labels.items():
        where = f"{path}, image {key!r}"
        name = find(key, where)
        if name in part.labels:
            raise DataError(f"{where}: a second entry for {name}; expected one.")
        nobody = value is None or (isinstance(value, _Label) and value.label is None)
        names: set[str] | None = None if nobody else set()
        for item in value if isinstance(value, list) else [value]:
            label = item.label if isinstance(item, _Label) else item
            if isinstance(item, _Label):
                part.uncertain += item.confidence is not None and item.confidence < 1
            if label is not None and names is not None:
                names.add(name_of(label, where))
        part.labels[name] = None if names is None else frozenset(names)
    return part


def _classification_fields(samples: list[dict[str, Any]]) -> list[str]:
    """Return the fields of samples that hold classifications, sorted."""
    return sorted(
        {
            name
            for sample in samples
            for name, value in sample.items()
            if isinstance(value, dict) and value.get("_cls") in _KINDS
        }
    )


def _field_of(path: Path, samples: list[dict[str, Any]], given: str | None) -> str:
    fields = _classification_fields(samples)
    if given is not None and given not in fields:
        raise DataError(f"{path}: no field {given!r} of classifications; {nearest(given, fields)}")
    if given is None and len(fields) != 1:
        raise DataError(
            f"{path}: {len(fields)} fields of classifications ({', '.join(fields) or 'none'}); "
            + ("say which with the option field." if fields else "expected one.")
        )
    return given or fields[0]


def _sample_labels(value: object, where: str) -> dict[str, float | None]:
    """Return name and confidence of each label in a field."""
    try:
        read = msgspec.convert(value, _Classifications)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: not as expected ({error}).") from error
    labels = {
        item.label: item.confidence
        for item in read.classifications or ()
        if isinstance(item.label, str)
    }
    if read.label is not None:
        labels[read.label] = read.confidence
    return labels


def _split_of(tags: object) -> str | None:
    found = {
        SPLIT_NAMES[tag.lower()]
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, str) and tag.lower() in SPLIT_NAMES
    }
    return found.pop() if len(found) == 1 else None


def _read_samples(path: Path, images: Path | None, field_name: str | None) -> _Part:
    """Read ``{"samples": [{"filepath": ..., "tags": [...], FIELD: classifications}, ...]}``."""
    content = read_json(path, _Samples, expected="FiftyOne's samples, with filepath and labels")
    refuse_repeated_keys(path)
    refuse_deep(path, content.samples)
    chosen = _field_of(path, content.samples, field_name)
    part = _Part(path, path.parent if images is None else images, None)
    by_name = 0
    for number, sample in enumerate(content.samples, start=1):
        where = f"{path}, sample {number}"
        filepath = sample.get("filepath")
        if not isinstance(filepath, str):
            raise DataError(f"{where}: filepath is {filepath!r}; expected the path of an image.")
        plain = filepath.replace("\\", "/")
        if images is not None or plain.startswith("/") or plain[1:2] == ":":
            folder = "" if images is not None else "data/"
            filepath = folder + plain.rsplit("/", 1)[-1]
            by_name += 1
        name = contained(part.root, filepath, where=where)
        if name in part.labels:
            raise DataError(f"{where}: a second sample of {name}; expected one.")
        value = sample.get(chosen)
        if value is None:
            part.labels[name] = None
        else:
            found = _sample_labels(value, where)
            part.labels[name] = frozenset(found)
            for confidence in found.values():
                part.uncertain += confidence is not None and confidence < 1
        split = _split_of(sample.get("tags"))
        if split is not None:
            part.splits[name] = split
    if by_name:
        part.notes = (f"{by_name} images looked up by their file name alone",)
    if len(part.splits) < len(part.labels):
        part.splits = {}
    elif part.splits:
        part.notes = (*part.notes, "splits taken from the tags of the samples")
    return part


def _find_parts(root: Path, images: Path | None, field_name: str | None) -> dict[str, _Part]:
    folders = find_split_folders(root) or {"all": root}
    parts = {}
    for split, folder in folders.items():
        base = images if images is None or split == "all" else images / folder.name
        if os.path.lexists(folder / "labels.json"):
            if field_name is not None:
                raise DataError(f"{folder}: labels.json has no fields; remove the option field.")
            parts[split] = _read_labels(folder / "labels.json", base)
        elif os.path.lexists(folder / "samples.json"):
            parts[split] = _read_samples(folder / "samples.json", base, field_name)
        else:
            raise DataError(
                f"{folder}: neither labels.json nor samples.json; expected {_LAYOUT}."
                f"{other_readers(root)}"
            )
    return parts


def _records(
    part: _Part,
    classes: tuple[str, ...],
    *,
    root: Path,
    unlabelled: Unlabelled,
    require_images: bool,
) -> tuple[Records, list[str]]:
    """Return the images of a part, and the split of each where its tags tell."""
    without = sum(labels is None for labels in part.labels.values())
    kept = {
        name: labels or frozenset()
        for name, labels in part.labels.items()
        if labels is not None or unlabelled == "keep"
    }
    if not kept:
        raise DataError(f"{part.source}: no image with labels; expected some.")
    base, names = below(root, part.root, list(kept))
    images, missing = find_images(base, names, source=part.source, require_images=require_images)
    done = "kept as images without labels" if unlabelled == "keep" else "left out"
    counts = (
        (without, f"images that nobody labelled {done} (option unlabelled)"),
        (part.uncertain, "labels with a confidence below 1 taken as present"),
    )
    notes = [f"{count} {what}" for count, what in counts if count]
    records = Records(
        tuple(names),
        images,
        to_targets(list(kept.values()), classes, source=part.source),
        classes,
        root=base,
        notes=(*part.notes, *notes, *missing, *alike_notes(classes)),
    )
    return records, [part.splits[name] for name in kept if name in part.splits]


@collector_paused()
def read_fiftyone(
    root: Path,
    *,
    field: str | None = None,
    images: Path | None = None,
    unlabelled: Unlabelled = "drop",
    require_images: bool = True,
) -> dict[str, Records]:
    """Read an export of FiftyOne with a classification, or several, for each image.

    Classes are in the order of ``classes`` in labels.json, else of the alphabet.

    Args:
        root: folder with labels.json (FiftyOneImageClassificationDataset) or samples.json
            (FiftyOneDataset) and ``data``; or with train, validation and test of this kind.
        field: of a sample, that holds the labels; needed where there are several.
        images: folder of the images, instead of ``data``.
        unlabelled: whether images whose label is null, which nobody labelled, are dropped or kept
            as images without labels. An empty list of labels is always kept.
        require_images: refuse if not one image file exists; ``False`` reads the labels alone.

    Returns:
        Records by split; of samples that are all tagged so, by tag; else under "all".

    Raises:
        DataError: if the folder is not as described, or a label is none of the classes.
    """
    choices = ("keep", "drop")
    if unlabelled not in choices:
        raise DataError(f"unlabelled: {unlabelled!r}; {nearest(unlabelled, choices)}")
    if not os.path.isdir(root):
        raise DataError(f"{root}: not a folder; expected {_LAYOUT}.{other_readers(root)}")
    parts = _find_parts(root, None if images is None else at_home(images), field)
    listed = [name for part in parts.values() for name in part.classes or ()]
    found = {
        name for part in parts.values() for names in part.labels.values() for name in names or ()
    }
    classes = (*dict.fromkeys(listed), *sorted(found - set(listed)))
    if not classes:
        raise DataError(f"{root}: no image has a label; expected some.")
    records: dict[str, Records] = {}
    for split, part in parts.items():
        whole, splits = _records(
            part, classes, root=root, unlabelled=unlabelled, require_images=require_images
        )
        records |= divide(whole, splits) if splits else {split: whole}
    return records

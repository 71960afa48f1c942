"""Which reader of a layout fits a file or folder: for messages, never to read by guess."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from colabel.data.readers.layout import (
    SPLIT_NAMES,
    check_name,
    is_image,
)
from colabel.foreign import read_plain
from colabel.names import is_system_name

_MAX_BYTES = 1 << 28
"""Largest JSON file that is looked into: 256 MB."""
_MAX_NAMES = 2000
"""Most names of a folder that are looked at."""


def _top_level(path: Path) -> list[set[str]]:
    """Return the keys of a JSON object, or of the first object of an array; else nothing."""
    try:
        content = read_plain(path, limit=_MAX_BYTES).removeprefix(b"\xef\xbb\xbf")
        found = msgspec.json.decode(content, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        if isinstance(found, dict):
            return [set(found)]
        first = msgspec.json.decode(found[0], type=dict[str, msgspec.Raw]) if found else {}
        return [set(), set(first)]
    except (msgspec.MsgspecError, OSError, ValueError, RecursionError, MemoryError):
        return []


def _recognise_json(path: Path) -> list[str]:
    keys = _top_level(path)
    if len(keys) == 1:
        if {"images", "annotations", "categories"} <= keys[0]:
            return [f"coco:{path}"]
        if {"classes", "labels"} <= keys[0] or "samples" in keys[0]:
            return [f"fiftyone:{path.parent}"]
    if len(keys) == 2:
        exported = {"data", "annotations"} <= keys[1] or {"data", "completions"} <= keys[1]
        if exported or {"annotation_id", "annotator"} & keys[1]:
            return [f"labelstudio:{path}"]
    return []


class _Folder:
    """The names directly in a folder, the first two thousand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[str] = []
        self.folders: list[str] = []
        with os.scandir(path) as entries:
            for entry, _ in zip(entries, range(_MAX_NAMES), strict=False):
                if not is_system_name(entry.name):
                    check_name(path, entry.name)
                    (self.folders if entry.is_dir() else self.files).append(entry.name)

    def inner(self) -> list[_Folder]:
        """Return the folders in it, the first twenty."""
        return [_Folder(self.path / name) for name in sorted(self.folders)[:20]]

    def ending(self, suffix: str) -> list[str]:
        """Return the files of an ending, given in lower case."""
        return [name for name in self.files if name.lower().endswith(suffix)]

    def images(self) -> list[str]:
        """Return the files that end like images."""
        return [name for name in self.files if is_image(name)]

    def beside(self, suffix: str) -> bool:
        """Tell whether a file of this ending has the stem of an image."""
        stems = {os.path.splitext(name)[0] for name in self.images()}
        return any(os.path.splitext(name)[0] in stems for name in self.ending(suffix))


def _splits_or_itself(folder: _Folder) -> list[_Folder]:
    names = {name.lower() for name in folder.folders}
    return folder.inner() if names and names <= SPLIT_NAMES.keys() else [folder]


def _is_coco(folder: _Folder) -> bool:
    files = [folder.path / name for name in folder.ending(".json")]
    for inner in folder.inner():
        if inner.path.name == "annotations" or inner.path.name.lower() in SPLIT_NAMES:
            files += [inner.path / name for name in inner.ending(".json")]
    return any(_recognise_json(path)[:1] == [f"coco:{path}"] for path in files[:8])


def _is_voc(folder: _Folder) -> bool:
    if "Annotations" in folder.folders:
        return bool(_Folder(folder.path / "Annotations").ending(".xml"))
    return any(part.beside(".xml") for part in _splits_or_itself(folder))


def _is_fiftyone(folder: _Folder) -> bool:
    return any(
        _recognise_json(part.path / name) == [f"fiftyone:{part.path}"]
        for part in _splits_or_itself(folder)
        for name in ("labels.json", "samples.json")
        if name in part.files
    )


def _is_openimages(folder: _Folder) -> bool:
    return any(
        "imagelabels" in name or name == "classifications.csv"
        for part in (folder, *folder.inner())
        for name in part.ending(".csv")
    )


def _is_folders(folder: _Folder) -> bool:
    return any(
        inner.images()
        for part in _splits_or_itself(folder)
        for inner in part.inner()
        if inner.path.name not in ("images", "data", "JPEGImages")
    )


def _is_textfiles(folder: _Folder) -> bool:
    return any(part.beside(".txt") for part in _splits_or_itself(folder))


_FOLDERS: Mapping[str, Callable[[_Folder], bool]] = {
    "coco": _is_coco,
    "voc": _is_voc,
    "fiftyone": _is_fiftyone,
    "openimages": _is_openimages,
    "textfiles": _is_textfiles,
}
"""Layouts by what else lies in the folder; class folders are what remains."""


def recognise(path: Path) -> list[str]:
    """Return the sources, as they are typed, that a file or folder looks like.

    Args:
        path: a file or folder, or neither.

    Returns:
        Such as ``["folders:animals"]``; nothing where no layout is recognised.
    """
    try:
        if os.path.isdir(path):
            folder = _Folder(path)
            found = [name for name, fits in _FOLDERS.items() if fits(folder)]
            found = found or ["folders"] * _is_folders(folder)
            return [f"{name}:{path}" for name in found]
        return _recognise_json(path) if path.suffix.lower() == ".json" else []
    except (OSError, ValueError):  # a DataError is a ValueError
        return []


def other_readers(path: Path) -> str:
    """Return a sentence that offers the source a file or folder looks like, or nothing.

    Example:
        >>> other_readers(Path("no such folder"))
        ''
    """
    found = recognise(path)
    return f" Did you mean {' or '.join(found)}?" if found else ""

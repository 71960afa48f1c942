"""Parts that readers of folders and annotation files share: listings, splits, targets, notes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt

from colabel.data.images import IMAGE_SUFFIXES
from colabel.data.opening import unreadable
from colabel.errors import DataError
from colabel.limits import MAX_TARGETS
from colabel.names import check_class_names, is_system_name

SPLIT_NAMES: Mapping[str, str] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Folders and files of a split by their name in lower case."""

_NOT_DATA = "hidden files and files of the operating system"
_NOT_PLAIN = "names that are no plain files"


@final
@dataclass(frozen=True)
class Listing:
    """The files below a folder, as sorted relative paths with forward slashes.

    Args:
        images: files that end like images.
        others: all other files.
        skipped: what was passed over, counted by what it is.
    """

    images: tuple[str, ...]
    others: tuple[str, ...]
    skipped: Mapping[str, int]

    def notes(self) -> tuple[str, ...]:
        """Return a note for each kind of thing that was passed over."""
        return tuple(f"{count} {what} left out" for what, count in self.skipped.items())


def is_image(name: str) -> bool:
    """Tell whether a file name ends like an image, as ``os.path.splitext`` finds its ending."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() in IMAGE_SUFFIXES and bool(stem.rpartition("/")[2].strip("."))


def check_name(folder: str | Path, name: str) -> None:
    """Refuse a name that is no text.

    Raises:
        DataError: if the bytes of the name are not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{folder}: the name {os.fsencode(name)!r} is not UTF-8; rename the file or folder."
        ) from error


def list_folder(folder: Path) -> Listing:
    """List the files below a folder, links followed, each folder once.

    Raises:
        DataError: if a folder cannot be read, or a name is no text.
    """
    images: list[str] = []
    others: list[str] = []
    skipped: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        here = os.path.join(folder, inner)
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                found = sorted((entry.name, _kind_of(entry)) for entry in entries)
        except (OSError, ValueError) as error:
            raise unreadable(here, error, "a folder that can be listed") from error
        for name, kind in found:
            path = f"{inner}{name}"
            if is_system_name(name):
                skipped[_NOT_DATA] += 1
                continue
            check_name(here, name)
            if kind == "folder":
                waiting.append(f"{path}/")
            elif kind == "other":
                skipped[_NOT_PLAIN] += 1
            else:
                (images if is_image(name) else others).append(path)
    return Listing(tuple(sorted(images)), tuple(sorted(others)), dict(skipped))


def _kind_of(entry: os.DirEntry[str]) -> str:
    """Return what an entry of a folder is; the file system is only asked about links."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def find_split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of splits if they are all the folders there are, else none.

    Args:
        root: folder that may hold train, val (valid, validation, dev) and test.

    Raises:
        DataError: if two folders are the same split.
    """
    found: dict[str, Path] = {}
    names = [name for name in folder_names(root) if not is_system_name(name)]
    if not names or not {name.lower() for name in names} <= SPLIT_NAMES.keys():
        return {}
    for name in names:
        split = SPLIT_NAMES[name.lower()]
        if split in found:
            raise DataError(
                f"{root}: {found[split].name} and {name} are both the split {split}; "
                "expected one folder for each split."
            )
        found[split] = root / name
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def folder_names(root: Path) -> list[str]:
    """Return the names of the folders directly below a folder, sorted.

    Raises:
        DataError: if the folder cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if _kind_of(entry) == "folder")
    except (OSError, ValueError) as error:
        raise unreadable(root, error, "a folder that can be listed") from error


def below(root: Path, folder: Path, names: Sequence[str]) -> tuple[Path, list[str]]:
    """Return names in a folder as names in the root, if the folder lies below it.

    Args:
        root: of the source.
        folder: that the names are relative to.
        names: relative paths with forward slashes.

    Returns:
        The folder that the returned names are relative to, and the names.

    Example:
        >>> below(Path("set"), Path("set/images"), ["a.jpg"])[1]
        ['images/a.jpg']
    """
    if not folder.is_relative_to(root):
        return folder, list(names)
    prefix = folder.relative_to(root).as_posix()
    return root, [name if prefix == "." else f"{prefix}/{name}" for name in names]


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first name that occurred before, or None.

    Example:
        >>> first_repeated(["cat", "dog", "cat"])
        'cat'
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def file_names(root: Path) -> list[str]:
    """Return the names of all that is directly in a folder, sorted.

    Raises:
        DataError: if the folder cannot be read.
    """
    try:
        return sorted(os.listdir(root))
    except (OSError, ValueError) as error:
        raise unreadable(root, error, "a folder that can be listed") from error


def empty_targets(images: int, classes: int, *, source: Path) -> npt.NDArray[np.int8]:
    """Return zeros of shape (images, classes).

    Raises:
        DataError: if that would take more than 4 GiB.
    """
    if images * classes > MAX_TARGETS:
        raise DataError(
            f"{source}: {images} images times {classes} classes are more than {MAX_TARGETS} "
            "targets; keep fewer classes or images."
        )
    return np.zeros((images, classes), dtype=np.int8)


def to_targets(
    labels: Sequence[Collection[str]], classes: Sequence[str], *, source: Path
) -> npt.NDArray[np.int8]:
    """Return the targets of images that have these labels and no others.

    Args:
        labels: the labels of each image, all of them among the classes.
        classes: the columns.
        source: for messages.

    Raises:
        DataError: as :func:`empty_targets`, or for classes that :func:`check_class_names` refuses.
    """
    check_class_names(classes, source=source)
    targets = empty_targets(len(labels), len(classes), source=source)
    number = {name: column for column, name in enumerate(classes)}
    lengths = np.fromiter(map(len, labels), dtype=np.int64, count=len(labels))
    columns = np.fromiter(
        (number[name] for names in labels for name in names), np.int64, count=int(lengths.sum())
    )
    targets[np.repeat(np.arange(len(labels)), lengths), columns] = 1
    return targets


def alike_notes(classes: Iterable[str]) -> tuple[str, ...]:
    """Return a note of classes that differ only in letter case or surrounding space, if any."""
    folded: dict[str, list[str]] = {}
    for name in classes:
        folded.setdefault(name.strip().casefold(), []).append(name)
    alike = [name for names in folded.values() if len(names) > 1 for name in names]
    return (f"labels that differ only in letter case: {', '.join(alike)}",) if alike else ()

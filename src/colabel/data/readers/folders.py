"""Class folders: an image carries the label its folder is named after."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from colabel.data.images import FileImages
from colabel.data.opening import unreadable
from colabel.data.readers.layout import (
    alike_notes,
    find_split_folders,
    folder_names,
    list_folder,
    to_targets,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import Records
from colabel.errors import DataError, nearest
from colabel.foreign import open_plain
from colabel.names import is_system_name

Nested = Literal["refuse", "outer", "inner", "path", "every"]

_NESTED = ("refuse", "outer", "inner", "path", "every")
_LAYOUT = "one folder of images per class, or train, val and test with such folders in each"


@final
@dataclass(frozen=True)
class _Rules:
    """What a folder's path says about the labels of its images."""

    separator: str | None
    nested: Nested
    unlabelled: str | None

    def labels(self, root: Path, folder: str) -> frozenset[str]:
        """Return the labels of the images in a folder, given relative to the root."""
        names = folder.split("/")
        if len(names) > 1 and self.nested == "refuse":
            raise DataError(
                f"{root}: {folder} is a folder within a class folder; say what is the label with "
                f"the option nested: outer ({names[0]}), inner ({names[-1]}), path ({folder}) or "
                f"every ({' and '.join(names)})."
            )
        if self.nested == "path":
            names = [folder]
        elif self.nested != "every":
            names = [names[0 if self.nested == "outer" else -1]]
        if self.separator is not None:
            names = [part.strip() for name in names for part in name.split(self.separator)]
        if not all(names):
            raise DataError(
                f"{root}: the folder {folder!r} leaves an empty label between the separators "
                f"{self.separator!r}; rename it."
            )
        return frozenset(names) - {self.unlabelled}


def _digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open_plain(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _find_copies(root: Path, paths: Iterable[str]) -> list[list[str]]:
    """Return the groups of files of the same bytes, each in the order of the paths.

    Only files whose size occurs more than once are read.
    """
    sizes: dict[int, list[str]] = defaultdict(list)
    contents: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    try:
        for path in paths:
            sizes[os.stat(os.path.join(root, path)).st_size].append(path)
        for size, alike in sizes.items():
            if len(alike) > 1:
                for path in alike:
                    contents[size, _digest(os.path.join(root, path))].append(path)
    except OSError as error:  # gone since it was listed, or not to be read
        raise unreadable(
            os.path.join(root, path), error, "an image, to compare it with others of its size"
        ) from error
    return [copies for copies in contents.values() if len(copies) > 1]


def _merge(
    root: Path, splits: Mapping[str, dict[str, frozenset[str]]]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Merge copies within each split; return the notes of each, and those of all.

    The first of the copies stays, with the labels of all of them.
    """
    home = {path: split for split, labels in splits.items() for path in labels}
    merged = dict.fromkeys(splits, 0)
    joined: dict[str, list[str]] = {split: [] for split in splits}
    shared: list[list[str]] = []
    for copies in _find_copies(root, home):
        by_split: dict[str, list[str]] = defaultdict(list)
        for path in copies:
            by_split[home[path]].append(path)
        if len(by_split) > 1:
            shared.append(copies)
        for split, (first, *others) in by_split.items():
            labels = splits[split]
            union = labels[first].union(*(labels.pop(path) for path in others))
            merged[split] += len(others)
            if union != labels[first]:
                joined[split].append(first)
            labels[first] = union
    notes = {}
    for split, count in merged.items():
        first = f", first {min(joined[split])}" if joined[split] else ""
        notes[split] = (
            f"{count} files are copies of others and were merged with them; {len(joined[split])} "
            f"images so carry the labels of several folders{first}",
        ) * bool(count)
    everywhere = tuple(
        f"{len(shared)} images lie in more than one split, first {' and '.join(copies)}: scores "
        "on them say little"
        for copies in shared[:1]
    )
    return notes, everywhere


def _combination_notes(classes: Iterable[str]) -> tuple[str, ...]:
    """Return a note where a class is named after two others, as if it combined them."""
    known = set(classes)
    for name in sorted(known):
        for separator in ("+", "_", "-", "&", ",", " "):
            parts = name.split(separator)
            if len(parts) > 1 and known.issuperset(parts):
                return (
                    f"the class {name!r} is named after {' and '.join(parts)}; if it means both "
                    f"of them, give the option separator: {separator!r}",
                )
    return ()


def _read_split(
    root: Path, folder: Path, rules: _Rules
) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """Return the labels of the images below a folder, by path below the root, and notes."""
    listing = list_folder(folder)
    prefix = "" if folder == root else f"{folder.name}/"
    inside = [path for path in listing.images if "/" in path]
    by_folder = {path.rsplit("/", 1)[0] for path in inside}
    of_folder = {inner: rules.labels(folder, inner) for inner in sorted(by_folder)}
    labels = {f"{prefix}{path}": of_folder[path.rsplit("/", 1)[0]] for path in inside}
    notes = listing.notes()
    if listing.others:
        notes = (
            *notes,
            f"{len(listing.others)} files that are no images left out, first {listing.others[0]}",
        )
    outside = len(listing.images) - len(inside)
    if outside:
        notes = (*notes, f"{outside} images outside the class folders left out")
    bare = [
        name
        for name in folder_names(folder)
        if not is_system_name(name)
        and not any(path.startswith(f"{name}/") for path in by_folder)
        and name not in by_folder
    ]
    if bare:
        notes = (*notes, f"folders without images left out: {', '.join(bare)}")
    return labels, notes


def read_folders(
    root: Path,
    *,
    separator: str | None = None,
    nested: Nested = "refuse",
    unlabelled: str | None = None,
) -> dict[str, Records]:
    """Read class folders, in which an image may lie several times.

    Files of the same bytes are one image, which carries the labels of all folders it lies in.
    Other data sets have one folder for each combination of labels (``cat+dog``); then
    ``separator`` says what stands between the labels.

    Args:
        root: a folder with one folder per class, or with train, val and test that have them.
        separator: what separates the labels in the name of a folder.
        nested: what a folder within a class folder means: refuse, the outermost name is the label
            (outer), the innermost (inner), all joined by a slash (path), each of them (every).
        unlabelled: the folder of the images without any label.

    Returns:
        Records by split; under "all" where there are no folders of splits.

    Raises:
        DataError: if there are no class folders with images, or folders within them.
    """
    if nested not in _NESTED:
        raise DataError(f"nested: {nested!r}; {nearest(nested, _NESTED)}")
    if separator == "":
        raise DataError("the separator of labels must be at least one character, got none.")
    if not os.path.isdir(root):
        raise DataError(f"{root}: not a folder; expected {_LAYOUT}.{other_readers(root)}")
    rules = _Rules(separator, nested, unlabelled)
    read = {
        split: _read_split(root, folder, rules)
        for split, folder in (find_split_folders(root) or {"all": root}).items()
    }
    classes = tuple(
        sorted(
            {name for labels, _ in read.values() for names in labels.values() for name in names}
        )
    )
    if not classes:
        raise DataError(
            f"{root}: no image in a class folder; expected {_LAYOUT}.{other_readers(root)}"
        )
    merged, everywhere = _merge(root, {split: labels for split, (labels, _) in read.items()})
    common = (*everywhere, *alike_notes(classes))
    if separator is None:
        common = (*common, *_combination_notes(classes))
    records = {}
    for split, (labels, notes) in read.items():
        if not labels:
            raise DataError(
                f"{root / split}: no image in a class folder; expected {_LAYOUT}, or no such "
                "folder at all."
            )
        targets = to_targets(list(labels.values()), classes, source=root)
        records[split] = Records(
            tuple(labels),
            FileImages(list(labels), root),
            targets,
            classes,
            root=root,
            notes=(*notes, *merged[split], *common),
        )
    return records

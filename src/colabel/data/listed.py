"""Image files by the names that a list gives them: found, missing, or spelled otherwise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from colabel.data.images import IMAGE_SUFFIXES, FileImages
from colabel.data.paths import find_files
from colabel.errors import DataError


def find_images(
    root: Path, names: Sequence[str], *, source: Path, require_images: bool
) -> tuple[FileImages, tuple[str, ...]]:
    """Return the images of these names, with a note about those that are missing.

    Args:
        root: folder the names are relative to.
        names: relative paths with forward slashes.
        source: the file that lists them, for messages.
        require_images: refuse if not one of the files exists: the folder must be wrong.

    Returns:
        The images, and a note for :class:`Records` where some are missing.

    Raises:
        DataError: if there are names, none of them exists and ``require_images`` is set.
    """
    paths, missing = find_files(root, names, IMAGE_SUFFIXES)
    images = FileImages(paths)
    lost = frozenset(missing)
    notes = (*_ending_notes(names, paths, lost), *_spelling_notes(names, paths, lost))
    if not missing:
        return images, notes
    if require_images and len(missing) == len(names):
        raise DataError(
            f"none of the {len(names)} images listed in {source} exists; the first was looked for "
            f"at {paths[0]}. {_remedy(root, names[0])}"
        )
    return images, (
        *notes,
        f"{len(missing)} of {len(names)} image files are missing, first {paths[missing[0]]}",
    )


def _ending_notes(
    names: Sequence[str], paths: Sequence[str], missing: frozenset[int]
) -> tuple[str, ...]:
    """Say how many names were completed by the ending of a file."""
    completed = [
        position
        for position, (name, path) in enumerate(zip(names, paths, strict=True))
        if not path.endswith(f"/{name}")  # most are found as they are written
        and position not in missing
        and os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES
        and os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES
    ]
    if not completed:
        return ()
    first = completed[0]
    return (
        f"{len(completed)} names without an ending matched to files, such as {names[first]} to "
        f"{os.path.basename(paths[first])}",
    )


def _spelling_notes(
    names: Sequence[str], paths: Sequence[str], missing: frozenset[int]
) -> tuple[str, ...]:
    """Say how many names differ from their files in letter case or Unicode form."""
    other = [
        position
        for position, (name, path) in enumerate(zip(names, paths, strict=True))
        if position not in missing and name not in path.replace(os.sep, "/")
    ]
    if not other:
        return ()
    name, path = names[other[0]], paths[other[0]].replace(os.sep, "/")
    return (
        f"{len(other)} names matched to files that are spelled otherwise, such as {name} to "
        f"{'/'.join(path.split('/')[-name.count('/') - 1 :])}",
    )


_MOST_LISTED = 50_000


def _above(folder: str, name: str) -> str:
    """Return the folder without what its end and the folders of the name have in common."""
    for part in reversed(name.split("/")[:-1]):
        above, last = os.path.split(folder)
        if last != part:
            break
        folder = above
    return folder


def _remedy(root: Path, name: str) -> str:
    """Say where a file of this name lies below the folder, and what to do."""
    leaf = name.rsplit("/", 1)[-1]
    bare = os.path.splitext(leaf)[1].lower() not in IMAGE_SUFFIXES
    listed = 0
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(entry for entry in inner if not entry.startswith("."))
        listed += len(files)
        for file in files:
            stem, ending = os.path.splitext(file)
            if file == leaf or (bare and stem == leaf and ending.lower() in IMAGE_SUFFIXES):
                base = _above(folder, name)
                return f"{os.path.join(folder, file)} exists: set the option images={base}."
            if stem.isdecimal() and os.path.splitext(leaf)[0] == (stem.lstrip("0") or "0"):
                return (
                    f"{os.path.join(folder, file)} exists: write the names with their zeros, "
                    "which spreadsheets drop from cells that are not text."
                )
        if listed > _MOST_LISTED:
            break
    ending = (
        f" The name {leaf!r} has no ending such as .jpg; a file with the same name and the ending "
        "of an image would be found."
        if bare
        else ""
    )
    return "Check the folder, give it as the option images, or unpack the images there." + ending

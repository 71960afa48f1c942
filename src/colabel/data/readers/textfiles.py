"""Images beside text files of tags: ``a.jpg`` and ``a.txt``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from colabel.data.images import FileImages
from colabel.data.opening import read_data
from colabel.data.readers.layout import (
    Listing,
    alike_notes,
    find_split_folders,
    list_folder,
    to_targets,
)
from colabel.data.readers.recognise import other_readers
from colabel.data.records import Records
from colabel.errors import DataError, nearest
from colabel.limits import MAX_TAGS_BYTES

Untagged = Literal["keep", "drop"]

_UNTAGGED = ("keep", "drop")
_LAYOUT = "images with a text file of tags beside each, such as a.jpg and a.txt"
_BOX = re.compile(r"\d+( -?(?:\d+(?:\.\d+)?|\.\d+)(e-?\d+)?){4,}", re.IGNORECASE)


def _split(text: str, delimiter: str | None) -> frozenset[str]:
    """Return the tags of a text: between line ends, and between commas or another delimiter."""
    lines = text.splitlines()
    tags = (tag.strip() for line in lines for tag in line.split(delimiter or ","))
    return frozenset(tag for tag in tags if tag)


def _read_tags(path: str, delimiter: str | None) -> frozenset[str]:
    try:
        content = read_data(path, expected="the tags of one image", limit=MAX_TAGS_BYTES)
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = content.decode(encoding)
    except UnicodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8.") from error
    if "\0" in text:
        raise DataError(f"{path}: holds NUL characters; expected a text of tags.")
    return _split(text, delimiter)


def _refuse_boxes(root: Path, labels: Mapping[str, frozenset[str]]) -> None:
    """Refuse the text files of a detector, whose lines are a class number and coordinates."""
    tagged = [tags for tags in labels.values() if tags]
    if tagged and all(_BOX.fullmatch(tag) for tags in tagged for tag in tags):
        raise DataError(
            f"{root}: the text files hold numbers and boxes ({min(tagged[0])!r}), not tags; "
            "convert the labels to COCO or to a table first."
        )


def _read_split(
    folder: Path, listing: Listing, *, ending: str, delimiter: str | None, untagged: Untagged
) -> tuple[dict[str, frozenset[str]], tuple[str, ...]]:
    """Return the tags of the images of a folder by their path, and notes."""
    texts = {name for name in listing.others if name.lower().endswith(ending)}
    stems = {name[: -len(ending)]: name for name in texts}
    tags: dict[str, frozenset[str]] = {}
    owners: dict[str, str] = {}
    without = empty = 0
    for image in listing.images:
        stem = os.path.splitext(image)[0]
        text = stems.get(stem, stems.get(image))
        found: frozenset[str] = frozenset()
        if text is None:
            without += 1
        else:
            if owners.setdefault(text, image) != image:
                raise DataError(
                    f"{folder / text}: the tags of {owners[text]} or of {image}? Expected one "
                    "image of this name."
                )
            found = _read_tags(os.path.join(folder, text), delimiter)
            empty += not found
        if found or untagged == "keep":
            tags[image] = found
    done = "kept without labels" if untagged == "keep" else "dropped"
    counts = (
        (without, f"images without a text file {done} (option untagged)"),
        (empty, f"images with an empty text file {done} (option untagged)"),
        (len(texts - owners.keys()), "text files without an image left out"),
        (len(listing.others) - len(texts), "files that are neither left out"),
    )
    return tags, (*listing.notes(), *(f"{count} {what}" for count, what in counts if count))


def read_textfiles(
    root: Path,
    *,
    delimiter: str | None = None,
    ending: str = ".txt",
    untagged: Untagged = "keep",
) -> dict[str, Records]:
    """Read images with a text file of tags beside each, as image boards export them.

    The tags stand one on a line or between commas; the order does not matter. Folders within the
    folder are read too.

    Args:
        root: folder of images and text files, or with train, val and test that hold them.
        delimiter: what separates tags on a line, instead of commas; a space for some boards.
        ending: of the text files.
        untagged: whether images whose text file is missing or empty are kept without labels, or
            dropped.

    Returns:
        Records by split; under "all" where there are no folders of splits.

    Raises:
        DataError: if no image has a text file with tags, or one cannot be read.
    """
    if untagged not in _UNTAGGED:
        raise DataError(f"untagged: {untagged!r}; {nearest(untagged, _UNTAGGED)}")
    if delimiter == "":
        raise DataError("the delimiter of tags must be at least one character, got none.")
    ending = ending.lower()
    if not re.fullmatch(r"\.\w+", ending):
        raise DataError(f"ending: {ending!r}; expected a full stop and letters, such as .txt.")
    if not os.path.isdir(root):
        raise DataError(f"{root}: not a folder; expected {_LAYOUT}.{other_readers(root)}")
    read = {
        split: (
            folder,
            *_read_split(
                folder,
                list_folder(folder),
                ending=ending,
                delimiter=delimiter,
                untagged=untagged,
            ),
        )
        for split, folder in (find_split_folders(root) or {"all": root}).items()
    }
    found = {tag for _, tags, _ in read.values() for names in tags.values() for tag in names}
    classes = tuple(sorted(found))
    if not classes:
        raise DataError(
            f"{root}: no text file with tags; expected {_LAYOUT}.{other_readers(root)}"
        )
    records = {}
    for split, (folder, tags, notes) in read.items():
        _refuse_boxes(folder, tags)
        if not tags:
            raise DataError(f"{folder}: no image; expected {_LAYOUT}.")
        prefix = "" if folder == root else f"{folder.name}/"
        names = [f"{prefix}{image}" for image in tags]
        if delimiter is None:
            notes = (*notes, *_space_notes(tags))
        records[split] = Records(
            tuple(names),
            FileImages(names, root),
            to_targets(list(tags.values()), classes, source=root),
            classes,
            root=root,
            notes=(*notes, *alike_notes(classes)),
        )
    return records


def _space_notes(tags: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return a note if every text is one tag of several words, as if spaces separated tags."""
    tagged = [min(names) for names in tags.values() if len(names) == 1]
    if tagged and len(tagged) == sum(map(bool, tags.values())) and all(" " in t for t in tagged):
        return (
            f"each text file was read as one tag, such as {tagged[0][:60]!r}; if spaces separate "
            "tags, give the option delimiter: ' '",
        )
    return ()

"""Image files found in folders by their content, so that none is passed over in silence."""

from __future__ import annotations

import glob
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from colabel.data.images import FORMATS, IMAGE_SUFFIXES
from colabel.errors import DataError
from colabel.names import SYSTEM_NAMES, is_system_name

PICTURE_SUFFIXES = IMAGE_SUFFIXES | {
    ".jfif", ".jpe", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".psd", ".exr", ".tga",
    ".dcm", ".dicom", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pbm",
}  # fmt: skip
"""Endings that promise a picture, whether it can be decoded or not."""

_SIGNATURES = (
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+"),  # TIFF, BigTIFF, most raw files
    (8, b"WEBP"),
    (4, b"ftypavif"), (4, b"ftypavis"), (4, b"ftypheic"), (4, b"ftypheix"), (4, b"ftyphevc"),
    (4, b"ftypmif1"), (4, b"ftypmsf1"), (4, b"ftypcrx "),
    (4, b"jP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51"),  # JPEG 2000
    (4, b"JXL \r\n\x87\n"), (0, b"\xff\x0a"),  # JPEG XL
    (0, b"8BPS"),  # Photoshop
    (0, b"v/1\x01"),  # OpenEXR
    (128, b"DICM"),
)  # fmt: skip
"""Where a format of pictures has which bytes; longer ones than what text begins with."""

_START = 132  # bytes that hold every signature
_APPLE_DOUBLE = b"\0\5\x16\7"


@dataclass
class Found:
    """What files, folders and patterns lead to.

    Args:
        pictures: paths of what should be a picture, whether it can be decoded or not; those of
            each argument sorted, none twice.
        folders: that cannot be listed, with the reason.
        others: how many files are no pictures, by ending.
        hidden: how many hidden files and folders, and files of operating systems, were left alone.
    """

    pictures: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left alone, in a sentence for each kind."""
        notes = []
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.others.items()))
            notes.append(f"files that are no pictures, left alone: {kinds}")
        if self.hidden:
            notes.append(f"hidden and system files and folders, left alone: {self.hidden}")
        return tuple(notes)


def find_pictures(arguments: Iterable[str]) -> Found:
    """Expand files, folders and patterns to the paths of images.

    In a folder an image is known by its content, whatever its ending; what only its ending calls
    an image is listed too, so that its failure has a name. Subfolders and linked folders are
    searched, each once.

    Args:
        arguments: files, taken whatever they are; folders; patterns such as ``scans/**/*.png``.

    Returns:
        The paths, and what was left alone.

    Raises:
        DataError: if an argument leads to nothing that should be an image.
    """
    found = Found()
    for argument in arguments:
        here = _expand(argument)
        if not (here.pictures or here.folders or _is_clutter(argument)):
            left = f" ({'; '.join(here.notes)})" if here.notes else ""
            raise DataError(
                f"{argument!r} leads to no image{left}: expected a file, a folder with images "
                f"({', '.join(FORMATS)}) or a pattern such as 'scans/*.png'."
            )
        found.pictures += here.pictures
        found.folders |= here.folders
        found.others += here.others
        found.hidden += here.hidden
    found.pictures = list(dict.fromkeys(found.pictures))
    return found


def _expand(argument: str) -> Found:
    """Return what one argument leads to."""
    found = Found()
    if os.path.isdir(argument):
        found.pictures = sorted(_sorted_out(_walk(argument, found), found))
    elif os.path.isfile(argument) or os.path.islink(argument):
        if _is_clutter(argument):
            found.hidden = 1
        else:
            found.pictures = [argument]
    else:
        files = (path for path in glob.iglob(argument, recursive=True) if not os.path.isdir(path))
        found.pictures = sorted(_sorted_out(files, found))
    return found


def _walk(folder: str, found: Found) -> Iterator[str]:
    """Yield the files below a folder, real folders before linked ones, none of them twice."""
    seen: set[tuple[int, int]] = set()
    waiting, linked = deque([folder]), deque[str]()
    while waiting or linked:
        here = waiting.popleft() if waiting else linked.popleft()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                names = sorted((entry.name, entry.is_dir()) for entry in entries)
        except OSError as error:
            found.folders[here] = f"the folder cannot be listed ({error.strerror})"
            continue
        for name, is_folder in names:
            path = os.path.join(here, name)
            if is_system_name(name):
                found.hidden += 1
            elif is_folder:
                (linked if os.path.islink(path) else waiting).append(path)
            else:
                yield path


def _sorted_out(files: Iterable[str], found: Found) -> Iterator[str]:
    """Yield the files that should be pictures and count the others."""
    for path in files:
        if _is_clutter(path):
            found.hidden += 1
        elif should_be_picture(path):
            yield path
        else:
            found.others[Path(path).suffix.lower() or "without an ending"] += 1


def should_be_picture(path: str) -> bool:
    """Tell whether the content or the ending of a file is that of a picture.

    Args:
        path: of a file; what cannot be opened counts as a picture, since nobody can tell.
    """
    if Path(path).suffix.lower() in PICTURE_SUFFIXES:
        return True
    if os.path.exists(path) and not os.path.isfile(path):
        return False  # a pipe or a device: opening it may wait forever
    try:
        start = _start_of(path)
        if any(start.startswith(sign, offset) for offset, sign in _SIGNATURES):
            return True
        with Image.open(path, formats=FORMATS):
            return True
    except (PermissionError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except Exception:  # a decoder that mistook other bytes for its own
        return False


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_START)


def _is_clutter(path: str) -> bool:
    """Tell whether an operating system made this file for itself, beside the user's."""
    name = os.path.basename(path)
    if name.lower() in SYSTEM_NAMES or name == ".DS_Store":
        return True
    try:
        return name.startswith("._") and _start_of(path).startswith(_APPLE_DOUBLE)
    except OSError:
        return False

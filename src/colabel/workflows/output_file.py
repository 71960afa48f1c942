"""Where predictions may be written: never over an image, nor over a file of the run."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from colabel.errors import RunError
from colabel.files import partial_of
from colabel.runs.folder import (
    CONFIG,
    CURVES,
    DATA,
    DESCRIPTION,
    LAST,
    LOCK,
    LOG,
    RESULT,
    SPLIT,
    WEIGHTS,
)

_OF_A_RUN = (
    CONFIG, CURVES, DATA, DESCRIPTION, LAST, LOCK, LOG, RESULT, SPLIT, WEIGHTS,
    "metrics-*.json", "predictions-*.npz", "per-class-*.png",
)  # fmt: skip
_BEGINNINGS = (b"image,labels", b'{"image": ')


def check_place(path: Path, run: Path) -> None:
    """Refuse a place where predictions cannot or must not be written, before any work.

    Args:
        path: file to make or replace.
        run: folder of the run.

    Raises:
        RunError: with what to do.
    """
    if path.is_dir():
        raise RunError(f"--out {path} is a folder; give the name of a file in it.")
    if path.exists() and not path.is_file():
        return  # a pipe or a device
    place = path.resolve()
    folder = place.parent
    if not folder.is_dir():
        raise RunError(
            f"{path} cannot be written: there is no folder {folder}; make it, or choose another "
            "with --out."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(
            f"{path} cannot be written: no permission to make files in {folder}; choose another "
            "folder with --out."
        )
    if place.exists() and not os.access(place, os.W_OK):
        raise RunError(f"{path} is read-only; remove it, or choose another file with --out.")
    if _is_of_run(place, run.resolve()):
        raise RunError(
            f"{path} is a file of the run, which predictions would replace; choose another name "
            "with --out."
        )


def _is_of_run(place: Path, run: Path) -> bool:
    """Tell whether a file is part of a run, or lies in its folder and is no earlier output."""
    if not place.is_relative_to(run):
        return False
    top = place.relative_to(run).parts[0]
    if any(fnmatch.fnmatch(top, pattern) for pattern in _OF_A_RUN):
        return True
    try:
        with place.open("rb") as file:
            return not file.read(len(_BEGINNINGS[0])).startswith(_BEGINNINGS)
    except FileNotFoundError:
        return False


def check_is_no_input(path: Path, pictures: Iterable[str]) -> None:
    """Refuse to write over an image that is to be predicted, by whatever name.

    Args:
        path: file to make or replace.
        pictures: the images.

    Raises:
        RunError: if the file, or the one it grows in, is one of them.
    """
    targets = set()
    for target in (path, partial_of(path.resolve())):
        with suppress(OSError):
            status = target.stat()
            targets.add((status.st_dev, status.st_ino))
    if not targets:
        return
    for picture in pictures:
        with suppress(OSError):
            status = os.stat(picture)
            if (status.st_dev, status.st_ino) in targets:
                raise RunError(
                    f"--out {path} is one of the images, {picture}; choose another file."
                )


def what_is_left(path: Path | None) -> str:
    """Return a sentence on what a prediction that ended early leaves behind."""
    if path is None or (path.exists() and not path.is_file()):
        return "The output ends early."
    partial = partial_of(path.resolve())
    said = f"{path} is what it was before" if path.exists() else f"{path} was not written"
    return f"{said}; the predictions so far are in {partial}." if partial.exists() else f"{said}."

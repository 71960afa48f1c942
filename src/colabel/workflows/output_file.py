"""Where predictions may be written: never over an image, nor over a file of the run."""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from colabel.errors import RunError
from colabel.files import partial_of
from colabel.foreign import open_plain
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
from colabel.workflows.predictions_file import least_size
from colabel.workflows.resumed_predictions import facts_file

_OF_A_RUN = (
    CONFIG, CURVES, DATA, DESCRIPTION, LAST, LOCK, LOG, RESULT, SPLIT, WEIGHTS,
    "metrics-*.json", "predictions-*.npz", "per-class-*.png",
)  # fmt: skip
_BEGINNINGS = (b"image,labels", b'{"image": ')


def is_file(path: Path) -> bool:
    """Tell whether a place is, or would be, a plain file: no pipe and no device."""
    return path.is_file() or not path.exists()


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
    if not is_file(path):
        return
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
    _check_partial(partial_of(place))


def _check_partial(partial: Path) -> None:
    """Refuse to write over a file that has the name of unfinished predictions and is none."""
    if not os.path.lexists(partial):
        return
    try:
        with open_plain(partial, follow_links=False) as file:
            start = file.read(max(map(len, _BEGINNINGS)))
        reason = "" if not start or start.startswith(_BEGINNINGS) else "not begun by predictions"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise RunError(
            f"{partial} is in the way ({reason}); move it, or choose another file with --out."
        )


def check_room(path: Path, pictures: Iterable[str], classes: Sequence[str], *, form: str) -> None:
    """Refuse to begin what cannot fit on the disk even if every number is as short as can be.

    Args:
        path: file to make or replace.
        pictures: the images.
        classes: of the model.
        form: csv or jsonl.

    Raises:
        RunError: naming both sizes.
    """
    partial = partial_of(path.resolve())
    needed = least_size(pictures, classes, form=form)
    try:
        room = shutil.disk_usage(partial.parent).free
        room += partial.stat().st_size if partial.exists() else 0
    except OSError:
        return  # a file system that does not say
    if needed > room:
        raise RunError(
            f"{path} cannot be written: the predictions take at least {needed:,} bytes, and the "
            f"disk has room for {room:,}; make room, or choose a file on another disk with --out."
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
        RunError: if the file, or one that is made on the way, is one of them.
    """
    targets = set()
    partial = partial_of(path.resolve())
    for target in (path, partial, facts_file(partial)):
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
    if path is None or not is_file(path):
        return "The output ends early."
    partial = partial_of(path.resolve())
    said = f"{path} is what it was before" if path.exists() else f"{path} was not written"
    if not partial.exists():
        return f"{said}."
    go_on = " To go on: the same command with --resume." if facts_file(partial).exists() else ""
    return f"{said}; the predictions so far are in {partial}.{go_on}"

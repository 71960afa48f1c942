"""The folder of a run, made or found, and held for one process."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from colabel.errors import RunError
from colabel.files import remove_left_over
from colabel.foreign import check_is_text
from colabel.runs.folder import CONFIG, DATA, LAST, LOCK, LOG, SPLIT, WEIGHTS

_held: set[TextIO] = set()
"""The locks of this process."""


def _let_go() -> None:
    """Close the locks in a process that has been forked off.

    A worker that outlives a killed run for a moment must not hold its folder.
    """
    for lock in _held:
        lock.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def claimed_run(folder: Path | None, *, name: str, resume: bool) -> Iterator[Path]:
    """Hold the folder of a run for this process alone, until the block ends.

    A start that fails before the first step leaves nothing behind.

    Args:
        folder: of the run; ``None`` makes the first free ``runs/<name>-<number>``.
        name: of the recipe.
        resume: whether a run is expected in the folder; a new one needs an empty folder.

    Yields:
        The folder.

    Raises:
        RunError: if the folder is in use, holds something else, holds no run to resume, or cannot
            be made.
    """
    if resume:
        if folder is None or not (folder / CONFIG).is_file():
            raise RunError(
                f"there is no run to resume in {folder}: it has no {CONFIG}. Give the folder of "
                "the run as --out, or leave out --resume to start one."
            )
        _check_links(folder)
        made = False
    else:
        _check_name(folder)
        folder, made = _make_folder(folder, name)
    with locked_folder(folder, busy=f"another process is training in {folder}"):
        if not resume:
            _check_empty(folder)  # again: a run may have begun and ended since
        try:
            yield folder
        finally:
            if not resume and not _has_begun(folder):
                _clear(folder, made=made)


def _check_name(folder: Path | None) -> None:
    """Refuse a folder whose weights could be written and not be read."""
    try:
        check_is_text(folder or "")
    except OSError as error:
        raise RunError(
            f"the run folder {folder} cannot be used: {error.strerror}; choose another with --out."
        ) from error


@contextmanager
def locked_folder(folder: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock of a folder; the system takes it back when this process ends, however.

    Args:
        folder: that exists.
        busy: what another process does that holds it, as a clause.

    Raises:
        RunError: if another process holds it, or it cannot be locked.
    """
    advice = f"{busy}; wait for it, stop it, or choose another folder with --out."
    with _open_lock(folder) as lock:
        _held.add(lock)
        try:
            _lock(folder, lock, advice)
            yield
        finally:
            _held.discard(lock)  # it is closed, which frees the folder


def _lock(folder: Path, lock: TextIO, busy: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(busy) from error
    except OSError as error:
        raise RunError(_cannot_lock(folder, error)) from error
    if not _is_same_file(folder / LOCK, lock):  # a start that failed took it away just now
        raise RunError(busy)


def _open_lock(folder: Path) -> TextIO:
    """Open the lock, making it if there is none; a symbolic link is not followed."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    try:
        return open(os.open(folder / LOCK, flags, 0o666), "a", encoding="utf-8")
    except OSError as error:
        raise RunError(_cannot_lock(folder, error)) from error


def _cannot_lock(folder: Path, error: OSError) -> str:
    return (
        f"{folder / LOCK} cannot be locked: {error.strerror or error}; check the permissions, or "
        "use a folder on another disk."
    )


def _is_same_file(path: Path, file: TextIO) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _check_links(folder: Path) -> None:
    """Refuse a run from which a symbolic link leads out, so that nothing outside is written."""
    inside = folder.resolve()
    for path in itertools.chain(folder.iterdir(), (folder / LAST).glob("*")):
        if path.is_symlink() and inside not in path.resolve().parents:
            raise RunError(
                f"{path} is a symbolic link that leads out of the run; put what it points to in "
                "its place, or start a new run."
            )


def _make_folder(folder: Path | None, name: str) -> tuple[Path, bool]:
    """Return an empty folder, and whether it was made here."""
    try:
        if folder is None:
            return _make_next(Path("runs"), name), True
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"the run folder {folder or f'runs/{name}-1'} cannot be made: "
            f"{error.strerror or error}; choose another with --out."
        ) from error
    _check_empty(folder)
    return folder, made


def _check_empty(folder: Path) -> None:
    """Refuse a folder that holds anything but a lock and what a killed start left."""
    try:
        remove_left_over(folder / CONFIG)  # the first file that a start writes
        occupied = any(entry.name != LOCK for entry in folder.iterdir())
    except OSError as error:
        raise RunError(
            f"the run folder {folder} cannot be read: {error.strerror or error}; choose another "
            "with --out."
        ) from error
    if occupied:
        raise RunError(
            f"{folder} exists already; add --resume to continue the run in it, or choose another "
            "folder with --out."
        )


def _make_next(parent: Path, name: str) -> Path:
    """Make the first of ``name-1``, ``name-2``, ... that nobody else makes."""
    parent.mkdir(exist_ok=True)
    for number in itertools.count(1):
        folder = parent / f"{name}-{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


def _has_begun(folder: Path) -> bool:
    """Tell whether a run has something to lose: a line of its log, a state or a model."""
    log = folder / LOG
    return (
        (log.is_file() and log.stat().st_size > 0)
        or (folder / LAST).exists()
        or (folder / WEIGHTS).exists()
    )


def _clear(folder: Path, *, made: bool) -> None:
    """Take away what a start wrote into a folder that was empty before."""
    for name in (CONFIG, SPLIT, DATA, LOG, LOCK):
        (folder / name).unlink(missing_ok=True)
    if made:
        with suppress(OSError):
            folder.rmdir()

"""Files of ours: written whole or not at all, read without following links."""

from __future__ import annotations

import fcntl
import glob
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

from colabel.errors import RunError, remedy
from colabel.foreign import parse_json, read_plain
from colabel.limits import MAX_DESCRIPTION_BYTES
from colabel.printing import json_text


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: if the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside the place, force it to disk, then rename: a full disk or a kill costs nothing.

    Args:
        path: file to make or replace; its folder must exist.
        write: called with a binary file to write to.

    Raises:
        RunError: if the disk refuses; the previous file is intact.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> replace_file(path, lambda file: file.write(b"kept"))
        >>> path.read_text()
        'kept'
    """
    beside = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        remove_left_over(path)
        with open(beside, "xb") as file:  # made here, so no symbolic link is followed
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        kept = ". What was there before is intact" if path.exists() else ""
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}{kept}; {remedy(error)}, then "
            "try again."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    with suppress(OSError):  # the new file is in place; some file systems cannot do more
        flush_to_disk(path.parent)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as :func:`~colabel.printing.json_text` has them, whole or not at all.

    Raises:
        RunError: as :func:`replace_file`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "facts.json"
        >>> write_json(path, {"images": 3})
        >>> read_json(path)
        {'images': 3}
    """
    text = json_text(content, indent=2) + "\n"
    replace_file(path, lambda file: file.write(text.encode()))


def make_folder(folder: Path) -> None:
    """Make a folder, and those it is in, where they are missing.

    Raises:
        RunError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be made: {error.strerror or error}; {remedy(error)}."
        ) from error


def remove_left_over(path: Path) -> None:
    """Remove what killed processes, and an earlier try of this one, left beside a file.

    Raises:
        OSError: if the disk refuses.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        number = left.name.split(".")[-2]
        if number.isdecimal() and not _runs_elsewhere(int(number)):
            left.unlink(missing_ok=True)


def _runs_elsewhere(process: int) -> bool:
    """Tell whether another process of this number runs."""
    return process != os.getpid() and is_running(process)


def is_running(process: int) -> bool:
    """Tell whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def read_file(path: Path) -> bytes:
    """Return the content of a file of a run; the file itself may be no symbolic link.

    Raises:
        RunError: if it is missing, cannot be read, is no plain file or larger than any of ours.
    """
    try:
        return read_plain(path, limit=MAX_DESCRIPTION_BYTES, follow_links=False)
    except FileNotFoundError as error:
        raise RunError(
            f"there is no {path}; copy the whole run folder, or train again."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{path} cannot be read: {reason}; {remedy(error)}.") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file of a run says.

    Raises:
        RunError: as :func:`read_file`, or if it is damaged.
    """
    try:
        return parse_json(read_file(path))
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({error}); copy the whole run folder, or train again."
        ) from error


def partial_of(path: Path) -> Path:
    """Return where a growing file is kept until it is complete."""
    return path.with_name(f"{path.name}.partial")


def _nothing_kept(partial: Path) -> int:  # noqa: ARG001
    return 0


@contextmanager
def growing_file(path: Path, begin: Callable[[Path], int] = _nothing_kept) -> Iterator[TextIO]:
    """Hold a text file open that takes its name when the block ends without an error.

    Until then every line is in ``<name>.partial`` as soon as it is written; it stays there if the
    block fails or the process is killed, and what was under the name before stays as well. Only
    one process at a time writes to it. A pipe or a device is written to as it is.

    Args:
        path: file to make or replace; its folder must exist.
        begin: called with the partial file when it belongs to this process; returns how many of
            its bytes are kept, after which the file grows.

    Yields:
        The file, UTF-8.

    Raises:
        RunError: if another process writes to it, or the partial file is a link.
        OSError: if the disk refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lines.txt"
        >>> with growing_file(path) as file:
        ...     _ = file.write("one")
        ...     path.exists(), partial_of(path).exists()
        (False, True)
        >>> path.read_text(), partial_of(path).exists()
        ('one', False)
    """
    if path.exists() and not path.is_file():
        with open(path, "w", encoding="utf-8", newline="") as file:
            yield file
        return
    path = path.resolve()  # a link stays a link
    partial = partial_of(path)
    with _held(partial) as raw:
        raw.truncate(begin(partial))
        raw.seek(0, os.SEEK_END)
        with io.TextIOWrapper(raw, encoding="utf-8", newline="", line_buffering=True) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                shutil.copymode(path, partial)
            partial.replace(path)  # while it is held: nobody else begins to write to it
    with suppress(OSError):  # the new file is in place; some file systems cannot do more
        flush_to_disk(path.parent)


@contextmanager
def _held(partial: Path) -> Iterator[BinaryIO]:
    """Open a file for this process alone, as it is; the system lets go of it when we end."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(partial, flags, 0o666)
    except OSError as error:
        if partial.is_symlink():
            raise RunError(f"{partial} is a symbolic link in the way; remove it.") from error
        raise
    with open(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            busy = not os.path.samestat(os.fstat(descriptor), os.stat(partial))
        except (BlockingIOError, FileNotFoundError):
            busy = True  # or it has been renamed just now
        except OSError:
            busy = False  # a file system without locks
        if busy:
            raise RunError(
                f"another process is writing {partial}; wait for it, stop it, or give another "
                "file with --out."
            )
        yield file

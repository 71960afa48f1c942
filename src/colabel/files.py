"""Files of ours: written whole or not at all, read without following links."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from colabel.errors import RunError, remedy
from colabel.foreign import parse_json, read_plain
from colabel.limits import MAX_DESCRIPTION_BYTES


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
        beside.unlink(missing_ok=True)
        with open(beside, "xb") as file:  # made here, so no symbolic link is followed
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        kept = " What was there before is intact;" if path.exists() else ""
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}.{kept} {remedy(error)}, then "
            "try again."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    with suppress(OSError):  # the new file is in place; some file systems cannot do more
        flush_to_disk(path.parent)


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


@contextmanager
def growing_file(path: Path) -> Iterator[TextIO]:
    """Hold a text file open that takes its name when the block ends without an error.

    Until then every line is in ``<name>.partial`` as soon as it is written; it stays there if the
    block fails or the process is killed, and what was under the name before stays as well. A pipe
    or a device is written to as it is.

    Args:
        path: file to make or replace; its folder must exist.

    Yields:
        The file, UTF-8.

    Raises:
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
    with open(partial, "w", encoding="utf-8", newline="", buffering=1) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileNotFoundError):
        shutil.copymode(path, partial)
    partial.replace(path)
    with suppress(OSError):  # the new file is in place; some file systems cannot do more
        flush_to_disk(path.parent)

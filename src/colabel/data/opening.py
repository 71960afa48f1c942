"""Files of annotations opened: plain ones of a bounded size, and every failure a sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from colabel.errors import DataError
from colabel.foreign import open_plain, read_plain
from colabel.limits import MAX_LIST_BYTES

_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EISDIR: "a folder",
    errno.ENAMETOOLONG: "no such file, its name is too long",
    errno.ELOOP: "a symbolic link that leads to itself",
}


def open_data(path: Path | str, *, expected: str, limit: int) -> BinaryIO:
    """Open a file of annotations.

    Args:
        path: of the file.
        expected: what it should hold, for the message.
        limit: largest size in bytes.

    Returns:
        The file, at its beginning; whoever asked for it closes it.

    Raises:
        DataError: if there is no plain file, it is too large or cannot be opened.

    Example:
        >>> open_data("/dev/null", expected="one name per line", limit=10)
        Traceback (most recent call last):
        colabel.errors.DataError: /dev/null: not a plain file; expected one name per line.
    """
    try:
        return open_plain(path, limit=limit)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, expected) from error


def read_data(path: Path | str, *, expected: str, limit: int) -> bytes:
    """Return the content of a file of annotations.

    Args:
        path: of the file.
        expected: what it should hold, for the message.
        limit: largest size in bytes.

    Raises:
        DataError: as :func:`open_data`.
    """
    try:
        return read_plain(path, limit=limit)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, expected) from error
    except MemoryError as error:
        raise DataError(f"{path}: too large for the memory of this machine; divide it.") from error


def read_lines(path: Path | str, *, expected: str) -> list[str]:
    """Return the lines of a list in UTF-8.

    Args:
        path: of the file.
        expected: what it should hold, for the message.

    Raises:
        DataError: as :func:`open_data`, or if it is not UTF-8.
    """
    try:
        content = read_data(path, expected=expected, limit=MAX_LIST_BYTES)
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from error


def unreadable(path: Path | str, error: OSError | ValueError, expected: str) -> DataError:
    """Return what to say of a file or folder that cannot be opened.

    Args:
        path: that was opened.
        error: what the system said; a ``ValueError`` is about a path that no file can have.
        expected: what it should hold.
    """
    if not isinstance(error, OSError):
        return DataError(f"{str(path)!r}: no file can be called so; expected {expected}.")
    known = error.errno in _REASONS or error.errno in (errno.EINVAL, errno.EFBIG, errno.ENXIO)
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    if error.errno == errno.ENXIO:  # a socket
        reason = "not a plain file"
    if not known:
        return DataError(f"{path}: cannot be read ({reason}); expected {expected}.")
    return DataError(f"{path}: {reason}; expected {expected}.")


def at_home(path: Path | str) -> Path:
    """Return a path with the user's folder for ``~``, or as it is where there is no such user."""
    return Path(os.path.expanduser(path))

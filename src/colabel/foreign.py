"""Reading what somebody else wrote: plain files of a bounded size, JSON of a bounded depth."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from colabel.limits import MAX_JSON_DEPTH


def open_plain(
    path: Path | str, *, limit: int | None = None, follow_links: bool = True
) -> BinaryIO:
    """Open a plain file for reading; a pipe or a device is refused instead of waited for.

    Args:
        path: of the file.
        limit: largest size in bytes; ``None`` for any.
        follow_links: whether the path itself may be a symbolic link.

    Returns:
        The file, at its beginning; whoever asked for it closes it.

    Raises:
        OSError: if there is no such file, it cannot be opened, is no plain file or is too large;
            ``strerror`` says which, for people.

    Example:
        >>> open_plain("/dev/null")
        Traceback (most recent call last):
        OSError: [Errno 22] not a plain file: '/dev/null'
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links and os.path.islink(path):
            raise OSError(
                errno.ELOOP, "a symbolic link, which is not followed here", str(path)
            ) from error
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "a folder, expected a file", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        if limit is not None and status.st_size > limit:
            raise OSError(
                errno.EFBIG,
                f"{status.st_size:,} bytes, where at most {limit:,} are read",
                str(path),
            )
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_is_text(path: Path | str) -> None:
    r"""Refuse a path with bytes that are no text: the library of safetensors cannot open it.

    Raises:
        OSError: saying so.

    Example:
        >>> check_is_text("runs/größe")
        >>> check_is_text("runs/\udcff")
        Traceback (most recent call last):
        OSError: [Errno 84] the path is not UTF-8: 'runs/\udcff'
    """
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "the path is not UTF-8", str(path)) from error


def read_plain(path: Path | str, *, limit: int, follow_links: bool = True) -> bytes:
    """Return the content of a plain file.

    Args:
        path: of the file.
        limit: largest size in bytes.
        follow_links: whether the path itself may be a symbolic link.

    Raises:
        OSError: as :func:`open_plain`.
    """
    with open_plain(path, limit=limit, follow_links=follow_links) as file:
        content = file.read(limit + 1)  # it may have grown since
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit:,} bytes", str(path))
    return content


def parse_json(content: bytes | str) -> Any:
    """Return what a JSON text says, as the standard defines it.

    ``NaN`` and ``Infinity`` are no JSON, a number of thousands of digits and lists in lists
    without end serve no honest purpose: all are refused by name.

    Args:
        content: the text, UTF-8 where it is bytes.

    Raises:
        ValueError: saying what is wrong with it, and where.

    Example:
        >>> parse_json('{"epochs": [1, 2]}')
        {'epochs': [1, 2]}
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: lists and objects within each other more than 200 deep
        >>> parse_json("[NaN]")
        Traceback (most recent call last):
        ValueError: NaN is no JSON
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        raise _too_deep() from None
    if not within_depth(value, MAX_JSON_DEPTH):
        raise _too_deep()
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > 400:  # more than the largest floating-point number has
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _too_deep() -> ValueError:
    return ValueError(f"lists and objects within each other more than {MAX_JSON_DEPTH} deep")


def within_depth(value: Any, most: int = MAX_JSON_DEPTH) -> bool:
    """Tell whether lists and objects lie at most so many levels within each other.

    Args:
        value: decoded JSON.
        most: the levels.

    Example:
        >>> within_depth([[1]], 2), within_depth([[1]], 1)
        (True, False)
    """
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for part in level
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return True
    return False

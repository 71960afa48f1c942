"""Errors a user can act on: what was expected, what came, what to do next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence

_LISTED = 50
"""Most choices that a message lists."""

_REMEDIES = {
    "make room on the disk": (errno.ENOSPC, errno.EDQUOT),
    "raise the limit on the size of files (ulimit -f)": (errno.EFBIG,),
    "check the permissions": (errno.EACCES, errno.EPERM),
    "the disk is read-only, so take another": (errno.EROFS,),
    "check whether the file and its folder are still there": (errno.ENOENT, errno.ENOTDIR),
    "give the name of a file, not of a folder": (errno.EISDIR,),
    "raise the limit on open files (ulimit -n)": (errno.EMFILE, errno.ENFILE),
    "take a shorter name": (errno.ENAMETOOLONG,),
    "rename it, or the folder it is in": (errno.EILSEQ,),
    "put the file itself in the place of the symbolic link": (errno.ELOOP,),
    "check the disk": (errno.EIO,),
}


class ColabelError(Exception):
    """Base of all errors that the input causes; the command line prints them without a trace."""


class ConfigError(ColabelError, ValueError):
    """A recipe or an option that cannot be run as written."""


class DataError(ColabelError, ValueError):
    """Images or labels that cannot be used as they are."""


class UnusedOptionError(DataError):
    """An option of a reader that has no effect on the data.

    Args:
        message: what to do about it.
        option: its name.
    """

    def __init__(self, message: str, *, option: str) -> None:
        super().__init__(message)
        self.option = option


class ImageError(DataError):
    """One image file that cannot be decoded, named with the reason."""


class NotEnoughMemoryError(ColabelError, MemoryError):
    """What was asked for is in order, and the machine has not the memory for it."""


class RunError(ColabelError):
    """A run folder that is missing, incomplete, of another kind or in the way."""


class WeightsError(ColabelError, ValueError):
    """A weight file that does not fit the model it is loaded into."""


class NonFiniteLossError(ColabelError, FloatingPointError):
    """A loss that became infinite or not a number, with the terms named."""


class MissingExtraError(ColabelError, ImportError):
    """A feature whose optional packages are not installed.

    Args:
        package: the package that could not be imported.
        extra: the optional dependency group of colabel that brings it.
    """

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"this needs the package {package}, which is not installed; "
            f"install it with: pip install 'colabel[{extra}]'"
        )


def remedy(error: OSError) -> str:
    """Return what to do about an error of the system, as a clause; the only place that says it.

    Example:
        >>> remedy(PermissionError(errno.EACCES, "Permission denied"))
        'check the permissions'
    """
    for words, numbers in _REMEDIES.items():
        if error.errno in numbers:
            return words
    return "check the file and its disk"


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a sentence that offers the closest of the choices, or lists the first fifty.

    Example:
        >>> nearest("epoch", ["epochs", "batch_size"])
        "did you mean 'epochs'?"
        >>> nearest("zzz", ["a", "b"])
        'expected one of: a, b'
    """
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of: {listed(known, _LISTED)}"


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return names with commas between, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

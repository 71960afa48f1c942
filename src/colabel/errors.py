"""Errors a user can act on: what was expected, what came, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_LISTED = 50
"""Most choices that a message lists."""


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

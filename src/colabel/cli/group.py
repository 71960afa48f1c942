"""The command as a whole: what is wrong with its words, said as plain text."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from colabel.printing import printable

_UsageError: Any = typer.BadParameter.__base__
"""The base of all that is wrong with words, in whichever package typer has it."""


class PlainGroup(TyperGroup):
    """The commands; words of the user that come back in a message are text and nothing else."""

    def make_context(self, *words: Any, **options: Any) -> Any:
        """Read the words before the name of the command."""
        with _said_plainly():
            return super().make_context(*words, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the words after the name of the command, and run it."""
        with _said_plainly():
            return super().invoke(ctx)


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Take from messages what acts on a terminal; name what no command can do anything about."""
    try:
        yield
    except _UsageError as error:
        error.message = printable(error.message)
        raise
    except OSError as error:
        from colabel.errors import ConfigError

        if error.errno == errno.ENAMETOOLONG:
            name = os.fsdecode(error.filename or "")
            raise ConfigError(
                f"{name[:60]!r}... is longer than a path may be ({len(name):,} letters); check "
                "what was given, or give a shorter one."
            ) from error
        if error.errno == errno.ENOENT and not _is_somewhere():
            raise ConfigError(
                "the folder that the command was started in no longer exists; change to another "
                "one, as with: cd"
            ) from error
        raise


def _is_somewhere() -> bool:
    """Tell whether the current folder exists."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True

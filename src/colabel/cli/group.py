"""The command as a whole: what is wrong with its words, and help, printed as all else is."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from colabel.cli.guard import print_error
from colabel.cli.output import note_unprinted, say
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
        _check_current_folder()
        with _said_plainly(), _plain_warnings():
            return super().invoke(ctx)


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Print what is wrong with words as every other error, and note help that nobody gets.

    The commands themselves are guarded: an error of a stream that comes through here is about
    help, which typer prints on its own.
    """
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # which has printed the help
            print_error(printable(error.format_message()))
            if error.ctx is not None:
                say(error.ctx.get_usage())
                say(f"Try '{error.ctx.command_path} --help' for help.")
        sys.exit(error.exit_code)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not sys.stdout.closed:
            raise
        note_unprinted(error)
        sys.exit(0)


class _PlainFormatter(logging.Formatter):
    """What libraries log, each message on a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, of which nothing acts on a terminal."""
        return printable(f"{record.name}: {record.getMessage()}")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Let libraries warn as text, too: they name files."""
    as_before, last = warnings.formatwarning, logging.lastResort
    warnings.formatwarning = lambda message, category, *_, **__: (
        printable(f"{category.__name__}: {message}") + "\n"
    )
    logging.lastResort = logging.StreamHandler()
    logging.lastResort.setLevel(logging.WARNING)
    logging.lastResort.setFormatter(_PlainFormatter())
    try:
        yield
    finally:
        warnings.formatwarning, logging.lastResort = as_before, last


def _check_current_folder() -> None:
    """Refuse to work in a folder that has been removed: libraries end the process without it."""
    try:
        os.getcwd()
    except OSError as error:
        from colabel.errors import ConfigError

        raise ConfigError(
            f"the folder that the command was started in cannot be used ({error.strerror}): it "
            "may have been removed. Change to another one and try again."
        ) from error

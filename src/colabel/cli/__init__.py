"""The command line. Importing it, and printing help, imports neither torch nor any of the rest."""

from __future__ import annotations

import io
import os
import sys

import typer

from colabel.cli.ablate import ablate
from colabel.cli.check import check
from colabel.cli.cost import cost
from colabel.cli.evaluate import evaluate
from colabel.cli.group import PlainGroup
from colabel.cli.output import errors_as_text
from colabel.cli.predict import predict
from colabel.cli.recipes import recipes
from colabel.cli.train import train
from colabel.cli.version import version

app = typer.Typer(
    name="colabel",
    cls=PlainGroup,
    help="Train, measure and use image classifiers for images that carry several labels at once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for command in (train, evaluate, predict, check, cost, ablate, version, recipes):
    app.command()(command)


def main() -> None:
    """Run the command line; errors that the input causes are printed without a trace."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be text, and a terminal need not know every letter of a class.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with errors_as_text():
            app()
    finally:
        _flush()


def _flush() -> None:
    """Write out what is left; whoever reads it may have gone, as ``head`` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        sys.exit(1)

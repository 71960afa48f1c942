"""The commands, put together. Importing it imports nothing that is slow."""

from __future__ import annotations

import typer

from colabel.cli.ablate import ablate
from colabel.cli.calibrate import calibrate
from colabel.cli.check import check
from colabel.cli.compare import compare
from colabel.cli.cost import cost
from colabel.cli.evaluate import evaluate
from colabel.cli.figure import figure
from colabel.cli.group import PlainGroup
from colabel.cli.guard import errors_as_text, guarded
from colabel.cli.output import finish
from colabel.cli.predict import predict
from colabel.cli.recipes import recipes
from colabel.cli.streams import close_streams, open_streams
from colabel.cli.sweep import sweep
from colabel.cli.train import train
from colabel.cli.uncertainty import uncertainty
from colabel.cli.version import version

app = typer.Typer(
    name="colabel",
    cls=PlainGroup,
    help="Train, measure and use image classifiers for images that carry several labels at once.",
    epilog="Exit status: 0 done; 1 done except for what was named; 2 refused, with what to do; "
    "70 a fault of colabel; more than 128 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    train,
    evaluate,
    calibrate,
    uncertainty,
    predict,
    check,
    cost,
    ablate,
    compare,
    figure,
    sweep,
    version,
    recipes,
):
    app.command()(guarded(command))


def run() -> int | str:
    """Run the command that the words of this process ask for; return its exit status."""
    open_streams()
    status: int | str | None = 0
    try:
        with errors_as_text():
            app()
    except SystemExit as ended:
        status = ended.code
    printed = finish()
    closed = close_streams()
    return status or (0 if printed and closed else 1)

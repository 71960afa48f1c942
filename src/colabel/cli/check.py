"""``colabel check``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from colabel.cli.options import Change, ReaderOption
from colabel.cli.output import progress_bar, show, show_text
from colabel.printing import json_text


def check(
    source: Annotated[str, typer.Argument(metavar="SPEC", help="As for --data of train.")],
    option: ReaderOption = None,
    change: Change = None,
    decode: Annotated[bool, typer.Option(help="Read every image completely.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what is in this data and what is wrong with it; status 1 if something must be mended."""
    from colabel.cli.check_view import render
    from colabel.data.check import check_records
    from colabel.workflows.check import open_for_check

    splits = open_for_check(source, option or (), change or ())
    with progress_bar(enabled=decode and not as_json) as progress:
        report = check_records(splits, decode=decode, progress=progress)
    if as_json:
        show_text(json_text(report.to_dict(), indent=2))
    else:
        show(render(report))
    if report.of("error"):
        sys.exit(1)

"""``colabel train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import prints_results, say, show
from colabel.cli.tables import metrics_table


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: runs/RECIPE-N).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    cpu: Cpu = False,
) -> None:
    """Train a model, keep the weights that validation chooses, and say how good they are."""
    from colabel.config import load_config

    config = load_config(recipe, [*(change or ()), *as_changes(option)])
    # only now what imports torch: a mistake in the recipe is told at once
    from colabel.training import make_display
    from colabel.workflows import train as workflow

    trained = workflow.train(
        config,
        data=data,
        name=Path(recipe).stem,
        out=out,
        resume=resume,
        cpu=cpu,
        display=make_display(),
    )
    if not prints_results():
        return
    if trained.report is None:
        say(f"to go on: the same command with --resume --out {trained.folder}")
        sys.exit(130)
    show(metrics_table(trained.report, "validation"))
    if trained.history.warnings:
        say(f"warning: {trained.history.warnings[-1]}")
    show(f"run: {trained.folder}")
    show(f"next: colabel evaluate {trained.folder}")

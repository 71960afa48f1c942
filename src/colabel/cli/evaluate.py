"""``colabel evaluate``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer
from rich.console import Console

from colabel.cli.options import Cpu, ReaderOption, Run, Source, read_options
from colabel.cli.output import prints_results
from colabel.cli.tables import class_table, metrics_table


def evaluate(
    run: Run,
    data: Source = None,
    option: ReaderOption = None,
    missing_labels: Annotated[
        Literal["unknown", "absent"],
        typer.Option(help="What a label of the model is that the data does not have."),
    ] = "unknown",
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    cpu: Cpu = False,
    classes: Annotated[bool, typer.Option("--classes", help="Also a line per class.")] = False,
    on_corrupt: Annotated[
        Literal["stop", "skip"] | None,
        typer.Option(help="What an unreadable image does (default: as in training)."),
    ] = None,
) -> None:
    """Measure a run's model on a split; writes predictions and metrics into the run."""
    from colabel.workflows import evaluate as workflow

    evaluated = workflow.evaluate(
        run,
        data=data,
        options=read_options(option),
        missing_labels=missing_labels,
        split=split,
        cpu=cpu,
        on_corrupt=on_corrupt,
    )
    if not prints_results():
        return
    for note in evaluated.notes:
        print(f"note: {note}", file=sys.stderr)
    console = Console()
    console.print(metrics_table(evaluated.report, split))
    if classes:
        console.print(class_table(evaluated.report))
    console.print(f"written: {evaluated.path}", soft_wrap=True, highlight=False)

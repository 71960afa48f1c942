"""``colabel evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from colabel.cli.options import (
    Cpu,
    MaxPixels,
    MissingLabels,
    OnCorrupt,
    ReaderOption,
    Run,
    Source,
    read_options,
)
from colabel.cli.output import prints_results, say, show
from colabel.cli.tables import class_table, metrics_table


def evaluate(
    run: Run,
    data: Source = None,
    option: ReaderOption = None,
    missing_labels: MissingLabels = None,
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    cpu: Cpu = False,
    classes: Annotated[bool, typer.Option("--classes", help="Also a line per class.")] = False,
    on_corrupt: OnCorrupt = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Measure a run's model on a split; writes predictions, metrics and a picture into the run."""
    from colabel.runs.description import load_description
    from colabel.runs.folder import RunFolder

    options = read_options(option)
    load_description(run)
    RunFolder(run).config()
    # only now what imports torch: what is wrong with the run is told at once
    from colabel.workflows import evaluate as workflow

    evaluated = workflow.evaluate(
        run,
        data=data,
        options=options,
        missing_labels=missing_labels,
        split=split,
        cpu=cpu,
        on_corrupt=on_corrupt,
        max_pixels=max_pixels,
    )
    if not prints_results():
        return
    for line in evaluated.reading:
        say(f"data: {line}")
    for note in evaluated.notes:
        say(f"note: {note}")
    show(metrics_table(evaluated.measured, split))
    if classes:
        show(class_table(evaluated.measured))
    show(f"written: {evaluated.path}")
    show(f"picture: {evaluated.chart}")

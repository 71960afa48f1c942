"""``colabel train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import interrupted_status, prints_results, progress_bar, say, show
from colabel.cli.tables import metrics_table

if TYPE_CHECKING:
    from colabel.config import Config


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: runs/RECIPE-N).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    find_learning_rate: Annotated[
        bool,
        typer.Option(
            "--find-learning-rate",
            help="Do not train: try growing learning rates for 100 steps and draw the losses.",
        ),
    ] = False,
    cpu: Cpu = False,
) -> None:
    """Train a model, keep the weights that validation chooses, and say how good they are."""
    from colabel.config import load_config
    from colabel.errors import ConfigError

    config = load_config(recipe, [*(change or ()), *as_changes(option)])
    name = Path(recipe).stem
    if find_learning_rate:
        if resume:
            raise ConfigError("--find-learning-rate and --resume exclude each other.")
        _find_learning_rate(config, data, out or Path("runs") / f"{name}-learning-rate", cpu=cpu)
        return
    # only now what imports torch: a mistake in the recipe is told at once
    from colabel.training import make_display
    from colabel.workflows import train as workflow

    trained = workflow.train(
        config,
        data=data,
        name=name,
        out=out,
        resume=resume,
        cpu=cpu,
        display=make_display(),
    )
    if not prints_results():
        return
    if trained.report is None:
        say(f"to go on: the same command with --resume --out {trained.folder}")
        sys.exit(interrupted_status(trained.history.signal))
    show(metrics_table(trained.report, "validation"))
    if trained.history.warnings:
        say(f"warning: {trained.history.warnings[-1]}")
    if trained.verdict:
        say(f"note: {trained.verdict}")
    show(f"run: {trained.folder}")
    show(f"next: colabel evaluate {trained.folder}")


def _find_learning_rate(config: Config, data: str | None, out: Path, *, cpu: bool) -> None:
    """Run a range test and say what came of it."""
    from colabel.training import make_display
    from colabel.workflows.range_test import CHART, find_learning_rate

    display = make_display()
    with progress_bar(enabled=True, task="training steps") as told:
        found = find_learning_rate(config, out, data=data, cpu=cpu, display=display, told=told)
    say(
        f"stage {found.stage}: the loss falls fastest at {found.steepest:.2g} and is lowest at "
        f"{found.lowest:.2g}; suggested: --set training.learning_rate={found.suggested:.2g}"
    )
    show(f"picture: {out / CHART}")

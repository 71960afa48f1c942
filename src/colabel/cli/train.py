"""``colabel train``."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import (
    interrupted_status,
    prints_results,
    progress_bar,
    say,
    show,
    show_text,
)
from colabel.cli.tables import metrics_table

if TYPE_CHECKING:
    from colabel.config import Config
    from colabel.config.budget import Budget

AUTOMATIC = "auto"
"""The recipe that is completed by what this machine can do in a time."""


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: runs/RECIPE-N).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            help="For the recipe auto: how long it may take, as in 20m, 1h30m or 3epochs."
        ),
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print", help="Do not train: print the recipe with every setting.")
    ] = False,
    find_learning_rate: Annotated[
        bool,
        typer.Option(
            "--find-learning-rate",
            help="Do not train: try growing learning rates for 100 steps and draw the losses. Not "
            "for the recipe auto: test the recipe that it prints with --print.",
        ),
    ] = False,
    cpu: Cpu = False,
) -> None:
    """Train a model, keep the weights that validation chooses, and say how good they are."""
    from colabel.config import load_config
    from colabel.config.budget import parse_budget
    from colabel.config.paths import with_absolute_paths
    from colabel.errors import ConfigError

    began = time.monotonic()
    changes = [*(change or ()), *as_changes(option)]
    config = load_config(recipe, changes)
    name = Path(recipe).stem
    automatic = recipe == AUTOMATIC
    if automatic and find_learning_rate:
        raise ConfigError(_test_what_is_planned(data, budget))
    if automatic != (budget is not None):
        raise ConfigError(
            "say how long the recipe auto may take: --budget 20m, or --budget 3epochs."
            if automatic
            else "--budget is for the recipe auto; for others set training.epochs or "
            "training.minutes."
        )
    if budget is not None:
        allowed = parse_budget(budget)
        if resume:
            config = _as_begun(out, allowed, changes)
        else:
            config = _chosen(config, allowed, data, changes, cpu=cpu, began=began)
    if print_recipe:
        show_text(with_absolute_paths(config, data).to_yaml())
        return
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
        began=began,
    )
    if not prints_results():
        return
    if trained.measured is None:
        say(f"to go on: the same command with --resume --out {trained.folder}")
        sys.exit(interrupted_status(trained.history.signal))
    show(metrics_table(trained.measured, "validation"))
    if trained.history.warnings:
        say(f"warning: {trained.history.warnings[-1]}")
    if trained.verdict:
        say(f"note: {trained.verdict}")
    show(f"run: {trained.folder}")
    show(f"next: colabel evaluate {trained.folder}")


def _chosen(
    config: Config,
    budget: Budget,
    data: str | None,
    changes: Iterable[str],
    *,
    cpu: bool,
    began: float,
) -> Config:
    """Choose a recipe for the budget and say why."""
    from colabel.config import changed_keys
    from colabel.workflows.automatic import plan_training

    if budget.minutes is None:
        say(f"choosing for {budget}")
    else:
        say(f"measuring what a step takes on this machine, to choose for {budget}")
    keys = changed_keys(changes)
    plan = plan_training(config, budget, data=data, changed=keys, cpu=cpu, began=began)
    for reason in plan.reasons:
        say(reason)
    return plan.config


def _as_begun(out: Path | None, budget: Budget, changes: Iterable[str]) -> Config:
    """Return the recipe that a run was begun with, if it was for this budget, and the changes."""
    from colabel.config import change_config
    from colabel.config.budget import Budget
    from colabel.errors import ConfigError
    from colabel.runs.folder import RunFolder

    if out is None:
        raise ConfigError("--resume needs the folder of the run to go on with: add --out FOLDER.")
    config = RunFolder(out).config()
    begun = config.training
    same = (
        budget.minutes is None and begun.epochs == budget.epochs
        if begun.minutes is None
        else budget.minutes is not None and abs(begun.minutes - budget.minutes) < 1e-3
    )
    if not same:
        told = Budget(begun.minutes) if begun.minutes else Budget(epochs=begun.epochs)
        raise ConfigError(
            f"the run in {out} was begun with a budget of {told}, now it is {budget}; resume it "
            "with the same one, or begin a new run."
        )
    return change_config(config, changes)  # what they change is refused by name, not left out


def _test_what_is_planned(data: str | None, budget: str | None) -> str:
    """Return why auto has no range test, and the commands that test the recipe it plans."""
    words = ["colabel", "train", AUTOMATIC, "--data", data or "labels.csv"]
    planned = shlex.join([*words, "--budget", budget or "20m", "--print"])
    return (
        "--find-learning-rate is not for the recipe auto, which plans another recipe when the "
        "learning rate that was found is set. Write the recipe that it plans with the same "
        f"command and --print in place of --find-learning-rate, as in `{planned} > mine.yaml`, "
        "and test that: `colabel train mine.yaml --find-learning-rate`."
    )


def _find_learning_rate(config: Config, data: str | None, out: Path, *, cpu: bool) -> None:
    """Run a range test and say what came of it."""
    from colabel.training import make_display
    from colabel.workflows.range_test import CHART, find_learning_rate

    display = make_display()
    with progress_bar(enabled=True, task="training steps") as told:
        found = find_learning_rate(config, out, data=data, cpu=cpu, display=display, told=told)
    suggested = " ".join(f"--set {change}" for change in found.changes)
    say(
        f"stage {found.stage}: {found.finding}; "
        + (
            f"suggested: {suggested}"
            if suggested
            else "nothing is suggested. Look at the labels, and for a head that learns too fast "
            "at training.head_learning_rate"
        )
    )
    show(f"picture: {out / CHART}")

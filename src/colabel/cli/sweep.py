"""``colabel sweep``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import say, show, tell_problems
from colabel.cli.sweep_view import sweep_table


def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|KEY=LOW..HIGH",
            help="What is tried: a range of numbers, KEY=A|B|C, several with commas between, or a "
            "YAML file of them (default: rates and weights of the recipe's method).",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(help="How many in all, those of an earlier start counted.")
    ] = 15,
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the sweep (default: sweeps/RECIPE).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is tried.")] = 0,
    keep: Annotated[
        Literal["best", "all"], typer.Option(help="Whose run folders stay: the best trial's, all.")
    ] = "best",
    cpu: Cpu = False,
) -> None:
    """Try settings of a recipe, by chance at first and then near the better ones, on validation.

    The same command goes on with a sweep that was interrupted: ended trials are kept.
    """
    from colabel.workflows.sweep import plan_sweep

    plan = plan_sweep(
        recipe,
        space=space or (),
        data=data,
        changes=[*(change or ()), *as_changes(option)],
        out=out,
        trials=trials,
        seed=seed,
        keep=keep,
    )
    # only now what imports torch: a mistake in the above is told at once
    from colabel.training import make_display
    from colabel.workflows.sweep.planning import BEST
    from colabel.workflows.sweep.run import run_sweep

    swept = run_sweep(plan, cpu=cpu, display=make_display())
    show(sweep_table(swept))
    show(f"written: {plan.folder}")
    tell_problems(swept.problems, interrupted=swept.interrupted, name=swept.signal)
    if swept.best is None:
        say("no trial ended with a score")
        sys.exit(1)
    show(f"next: colabel train {plan.folder / BEST}")

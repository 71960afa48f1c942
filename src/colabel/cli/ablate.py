"""``colabel ablate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import prints_results, show, tell_problems
from colabel.cli.tables import (
    ablation_table,
    ablations_table,
)


def ablate(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="An ablation's name, or a YAML file; without it, all of them are listed.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A recipe's name, or a YAML file (default: the ablation's)."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Another recipe over the same values; may be given again (default: the "
            "ablation's, none with --recipe)."
        ),
    ] = None,
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the ablation (default: ablations/NAME).")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="How many seeds, from 0 on (default: those of the ablation)."),
    ] = None,
    cpu: Cpu = False,
) -> None:
    """Train a recipe over the values of one setting and several seeds; compare on validation.

    The same command goes on with an ablation that was interrupted: finished runs are skipped.
    """
    from colabel.workflows.ablation import ablation_names, load_ablation, plan_ablation

    if name is None:
        known = {listed: load_ablation(listed) for listed in ablation_names()}
        show(ablations_table(known))
        return
    work = plan_ablation(
        name,
        recipe=recipe,
        against=against or (),
        data=data,
        changes=[*(change or ()), *as_changes(option)],
        out=out,
        seeds=seeds,
    )
    # only now what imports torch: a mistake in the above is told at once
    from colabel.training import make_display
    from colabel.workflows.ablation.run import run_ablation

    ablated = run_ablation(work, cpu=cpu, display=make_display())
    if not prints_results():
        return
    show(ablation_table(ablated))
    show(f"written: {ablated.folder}")
    tell_problems(ablated.problems, interrupted=ablated.interrupted, name=ablated.signal)
    if ablated.problems:
        sys.exit(1)

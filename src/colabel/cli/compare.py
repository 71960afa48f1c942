"""``colabel compare``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from colabel.cli.compare_view import (
    classes_table,
    costs_table,
    methods_table,
    pairs_table,
    scores_table,
)
from colabel.cli.options import Change, Cpu, ReaderOption, Source, as_changes
from colabel.cli.output import prints_results, say, show, show_text, tell_problems

if TYPE_CHECKING:
    from colabel.workflows.comparison.run import Comparison
    from colabel.workflows.grid.planning import Planned

_TRAINING = {
    "--data": "data", "--option": "option", "--set": "change", "--encoder": "encoder",
    "--epochs": "epochs", "--seeds": "seeds", "--tune": "tune", "--frozen": "frozen",
}  # fmt: skip


def compare(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Folders of trained runs, two or more."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Train these first: bce, asl, kmcl, probmcl (the laptop recipes), other recipes "
            "or YAML files, with commas between.",
        ),
    ] = None,
    data: Source = None,
    option: ReaderOption = None,
    change: Change = None,
    encoder: Annotated[
        str | None, typer.Option(help="With --methods: the backbone of all of them.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="With --methods: epochs of all of them.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="With --methods: how many seeds, from 0 on (default: 1)."),
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --methods: first so many trials of each method's own rates and weights, "
            "judged on validation.",
        ),
    ] = None,
    frozen: Annotated[
        bool,
        typer.Option("--frozen", help="With --methods: train heads alone, without augmentation."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of what is written.")] = Path("comparison"),
    split: Annotated[str, typer.Option(help="Split to compare on.")] = "test",
    metric: Annotated[
        str,
        typer.Option(
            help="Of the pairs: mAP, CF1, OF1, operating_point.CF1 or operating_point.OF1."
        ),
    ] = "mAP",
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_000_000,
            help="How often the images are resampled; default: 1000, more for many pairs.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    speed: Annotated[
        bool, typer.Option("--speed", help="Also measure how many images a second each takes.")
    ] = False,
    classes: Annotated[bool, typer.Option("--classes", help="Also a line per class.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    cpu: Cpu = False,
) -> None:
    """Compare runs, or methods that are trained first, on the same images and resamples.

    The same command with --methods goes on where it was interrupted: finished runs are skipped.
    """
    from colabel.errors import ConfigError

    given: dict[str, Any] = {
        "out": out, "split": split, "metric": metric, "draws": draws, "seed": seed, "speed": speed,
    }  # fmt: skip
    if methods is None:
        training = (data, option, change, encoder, epochs, seeds, tune, frozen or None)
        useless = [
            name for name, value in zip(_TRAINING, training, strict=True) if value is not None
        ]
        if useless:
            raise ConfigError(
                f"{', '.join(useless)}: only with --methods, for runs that are trained; those "
                "that are given are compared as they are."
            )
        _compare_runs(runs or (), as_json=as_json, classes=classes, cpu=cpu, **given)
        return
    if runs:
        raise ConfigError(
            "give runs, or --methods to train; to compare both, train first and then give all "
            f"run folders: those of --methods are {out}/METHOD-SEED."
        )
    from colabel.workflows.comparison.asked import check_asked
    from colabel.workflows.comparison.methods import (
        check_folders,
        check_split,
        configure_methods,
        plan_methods,
    )

    names = [name.strip() for name in methods.split(",") if name.strip()]
    configs = configure_methods(
        names,
        data=data,
        changes=[*(change or ()), *as_changes(option)],
        encoder=encoder,
        epochs=epochs,
        frozen=frozen,
    )
    check_asked(len(configs) * (seeds or 1), metric=metric, out=out)
    first = 0 if tune is None else 1  # the trials have the seed 0
    check_folders(configs, out=out, seeds=seeds or 1, first=first)
    check_split(configs, split, out=out, seeds=seeds or 1, first=first)
    if tune is not None:
        from colabel.training import make_display
        from colabel.workflows.comparison.tuning import tune_methods

        configs, found = tune_methods(
            configs, trials=tune, out=out, cpu=cpu, display=make_display()
        )
        given["tuning"] = {"trials": tune, "settings": found}
    planned = plan_methods(configs, out=out, seeds=seeds or 1, first=first)
    _compare_methods(planned, as_json=as_json, classes=classes, cpu=cpu, **given)


def _compare_runs(
    runs: Sequence[Path], *, as_json: bool, classes: bool, cpu: bool, **given: Any
) -> None:
    from colabel.runs.description import load_description
    from colabel.runs.folder import RunFolder
    from colabel.workflows.comparison.asked import check_asked, check_is_the_same

    check_asked(len(runs), metric=given["metric"], out=given["out"])
    for folder in runs:
        load_description(folder)
        RunFolder(folder).config()
    check_is_the_same(runs, out=given["out"])
    # only now what imports torch: what is wrong with a run is told at once
    from colabel.training import make_display
    from colabel.workflows.comparison import run as workflow

    _print(
        workflow.compare(runs, cpu=cpu, display=make_display(), **given),
        as_json=as_json,
        classes=classes,
    )


def _compare_methods(
    planned: Sequence[Planned], *, as_json: bool, classes: bool, cpu: bool, **given: Any
) -> None:
    from colabel.training import make_display
    from colabel.workflows.comparison import run as workflow

    trial = workflow.compare_methods(planned, cpu=cpu, display=make_display(), **given)
    if trial.comparison is not None:
        _print(trial.comparison, as_json=as_json, classes=classes)
    if not prints_results():
        return
    stopped = trial.interruption
    tell_problems(
        trial.problems,
        interrupted=stopped is not None,
        name=None if stopped is None else stopped.signal,
    )
    if trial.problems:
        sys.exit(1)


def _print(comparison: Comparison, *, as_json: bool, classes: bool) -> None:
    if not prints_results():
        return
    if as_json:
        from colabel.printing import json_text

        show_text(json_text({**comparison.document, "timings": comparison.timings}, indent=2))
        return
    document = comparison.document
    show(scores_table(document))
    if any(len(one["runs"]) > 1 for one in document["methods"]):
        show(methods_table(document))
    show(pairs_table(document))
    show(costs_table(document, comparison.timings))
    if classes:
        show(classes_table(document))
    for note in document["notes"]:
        say(f"note: {note}")
    show(f"written: {comparison.folder}")

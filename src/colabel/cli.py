"""The command line. Importing it, and printing help, imports neither torch nor any of the rest."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer
from rich.console import Console

from colabel.tables import (
    ablation_table,
    ablations_table,
    class_table,
    cost_table,
    metrics_table,
    recipes_table,
)

if TYPE_CHECKING:
    from colabel.predict import Failure, Prediction, Predictor

app = typer.Typer(
    name="colabel",
    help="Train, measure and use image classifiers for images that carry several labels at once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Change = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as in training.epochs=5."),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SPEC",
        help="A CSV, TSV or Parquet file of paths and labels; voc2007:DIR, voc2012:DIR, "
        "coco2014:DIR, coco2017:DIR, chestxray14:DIR, adp:DIR; or shapes.",
    ),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Do not use an accelerator.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.")]


def main() -> None:
    """Run the command line; errors that the input causes are printed without a trace."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be text, and a terminal need not know every letter of a class.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _errors_as_text():
            app()
    finally:
        _flush()


@contextmanager
def _errors_as_text() -> Iterator[None]:
    """Print an error of ours as a message and leave with status 2."""
    from colabel.errors import ColabelError

    try:
        yield
    except ColabelError as error:
        Console(stderr=True).print(
            f"error: {_message(error)}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(2)


def _message(error: Exception) -> str:
    """Return what an error says, without the trace that torch adds where a worker raised it."""
    text = str(error)
    if "Original Traceback" in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return text.strip()


def _flush() -> None:
    """Write out what is left; whoever reads it may have gone, as ``head`` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        sys.exit(1)


def _reports() -> bool:
    """Tell whether this is the process that prints results, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    data: Source = None,
    change: Change = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: runs/RECIPE-N).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    cpu: Cpu = False,
) -> None:
    """Train a model, keep the weights that validation chooses, and say how good they are."""
    from colabel import api
    from colabel.training import make_display

    trained = api.train(
        recipe,
        data=data,
        changes=change or (),
        out=out,
        resume=resume,
        cpu=cpu,
        display=make_display(),
    )
    if not _reports():
        return
    if trained.report is None:
        print(f"to go on: the same command with --resume --out {trained.folder}", file=sys.stderr)
        sys.exit(130)
    console = Console()
    console.print(metrics_table(trained.report, "validation"))
    if trained.history.warnings:
        print(f"warning: {trained.history.warnings[-1]}", file=sys.stderr)
    console.print(f"run: {trained.folder}", soft_wrap=True, highlight=False)
    console.print(f"next: colabel evaluate {trained.folder}", soft_wrap=True, highlight=False)


@app.command()
def evaluate(
    run: Run,
    data: Source = None,
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    cpu: Cpu = False,
    classes: Annotated[bool, typer.Option("--classes", help="Also a line per class.")] = False,
    on_corrupt: Annotated[
        Literal["stop", "skip"] | None,
        typer.Option(help="What an unreadable image does (default: as in training)."),
    ] = None,
) -> None:
    """Measure a run's model on a split; writes predictions and metrics into the run."""
    from colabel import api

    evaluated = api.evaluate(run, data=data, split=split, cpu=cpu, on_corrupt=on_corrupt)
    if not _reports():
        return
    for note in evaluated.notes:
        print(f"note: {note}", file=sys.stderr)
    console = Console()
    console.print(metrics_table(evaluated.report, split))
    if classes:
        console.print(class_table(evaluated.report))
    console.print(f"written: {evaluated.path}", soft_wrap=True, highlight=False)


@app.command()
def predict(
    run: Run,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Files, folders or patterns.")
    ],
    form: Annotated[
        Literal["csv", "jsonl"], typer.Option("--format", help="Of the output.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option(help="File to write (default: standard output).")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, ...")] = "cpu",
) -> None:
    """Label images. Those that cannot be read are named, skipped, and make the exit status 1."""
    from colabel.api import load
    from colabel.errors import RunError
    from colabel.predict import Failure, find_pictures

    predictor = load(run, device=device)
    pictures = find_pictures(images)
    failures: list[Failure] = []

    def good() -> Iterator[Prediction]:
        for answer in predictor.stream(pictures, batch=batch):
            if isinstance(answer, Failure):
                failures.append(answer)
                print(f"skipped: {answer.reason}", file=sys.stderr)
            else:
                yield answer

    try:
        with (
            nullcontext(sys.stdout)
            if out is None
            else open(out, "w", encoding="utf-8", errors="surrogateescape", newline="") as file
        ):
            _write(good(), predictor, form, file)
    except BrokenPipeError:
        raise  # whoever reads the output has gone: no error
    except OSError as error:
        raise RunError(
            f"{out or 'the output'} cannot be written: {error.strerror or error}; make room, or "
            "give another file with --out."
        ) from error
    if failures:
        print(f"{len(failures)} of {len(pictures)} images were skipped.", file=sys.stderr)
        sys.exit(1)


@app.command()
def check(
    source: Annotated[str, typer.Argument(metavar="SPEC", help="As for --data of train.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Of the reader, as data.options."),
    ] = None,
    decode: Annotated[bool, typer.Option(help="Read every image completely.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what is in this data and what is wrong with it; status 1 if something must be mended."""
    from colabel.api import open_for_check
    from colabel.check_view import render
    from colabel.data.check import check_records

    splits = open_for_check(source, option or ())
    with _progress(enabled=decode and not as_json) as progress:
        report = check_records(splits, decode=decode, progress=progress)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        Console().print(render(report))
    if report.of("error"):
        sys.exit(1)


@app.command()
def cost(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|ENCODER", help="Folder of a run, or a timm model, such as tresnet_m."
        ),
    ],
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of labels; needed with an encoder.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Side of the image in pixels (default: the run's; 224 for an encoder)."
        ),
    ] = None,
    covariance: Annotated[
        Literal["isotropic", "diagonal", "shared_diagonal", "shared_isotropic", "linear"] | None,
        typer.Option(
            help="isotropic (default), diagonal, shared_diagonal or shared_isotropic; linear for "
            "a plain classifier. For an encoder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain numbers.")] = False,
) -> None:
    """Count parameters and multiply-accumulate operations of a model, also as the papers do."""
    from colabel import api

    answer = api.cost(model, classes=classes, image_size=image_size, covariance=covariance)
    if as_json:
        print(json.dumps(answer.to_dict()))
        return
    Console().print(cost_table(answer))


@app.command()
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
    data: Source = None,
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
    from colabel import ablation
    from colabel.training import make_display

    if name is None:
        known = {one: ablation.load_ablation(one) for one in ablation.ablation_names()}
        Console().print(ablations_table(known))
        return
    ablated = ablation.ablate(
        name,
        recipe=recipe,
        data=data,
        changes=change or (),
        out=out,
        seeds=seeds,
        cpu=cpu,
        display=make_display(),
    )
    if not _reports():
        return
    console = Console()
    console.print(ablation_table(ablated))
    console.print(f"written: {ablated.folder}", soft_wrap=True, highlight=False)
    for problem in ablated.problems:
        print(f"failed: {problem}", file=sys.stderr)
    if ablated.interrupted:
        print("to go on: the same command again", file=sys.stderr)
        sys.exit(130)
    if ablated.problems:
        sys.exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    from colabel.version import VERSION

    print(VERSION)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe as YAML.")] = None,
) -> None:
    """List the recipes that come with colabel, or print one to start your own from."""
    from colabel.config import load_config, recipe_names

    if name is not None:
        print(load_config(name).to_yaml(), end="")
        return
    Console().print(recipes_table({known: load_config(known) for known in recipe_names()}))


def _write(
    predictions: Iterator[Prediction], predictor: Predictor, form: str, file: TextIO
) -> None:
    """Write predictions as they come."""
    if form == "csv":
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "labels", *predictor.classes])
        for one in predictions:
            writer.writerow(
                [
                    one.image,
                    ";".join(one.labels),
                    *(f"{p:.6f}" for p in one.probabilities.values()),
                ]
            )
        return
    thresholds = dict(zip(predictor.classes, predictor.description.thresholds, strict=True))
    for one in predictions:
        line = {
            "image": one.image,
            "labels": one.labels,
            "probabilities": one.probabilities,
            "thresholds": thresholds,
            "variance": one.variance,
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def _progress(*, enabled: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on standard error, where it is a terminal."""
    console = Console(stderr=True)
    if not (enabled and console.is_terminal):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("reading images")
        yield lambda done, total: bars.update(task, completed=done, total=total)

"""``colabel predict``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

if TYPE_CHECKING:
    from colabel.workflows.predict import Failure, Prediction, Predictor

from colabel.cli.options import MaxPixels, Run
from colabel.cli.output import say


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
    max_pixels: MaxPixels = None,
) -> None:
    """Label images. Those that cannot be read are named, skipped, and make the exit status 1."""
    from colabel.errors import RunError
    from colabel.workflows.predict import Failure, find_pictures, load

    predictor = load(run, device=device, max_pixels=max_pixels)
    pictures = find_pictures(images)
    failures: list[Failure] = []

    def good() -> Iterator[Prediction]:
        for answer in predictor.stream(pictures, batch=batch):
            if isinstance(answer, Failure):
                failures.append(answer)
                say(f"skipped: {answer.reason}")
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
        say(f"{len(failures)} of {len(pictures)} images were skipped.")
        sys.exit(1)


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

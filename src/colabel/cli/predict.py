"""``colabel predict``."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from colabel.cli.options import MaxPixels, Run
from colabel.cli.output import say
from colabel.errors import listed

if TYPE_CHECKING:
    from colabel.workflows.predict import Prediction


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
    from colabel.runs.description import load_description
    from colabel.workflows.output_file import check_is_no_input, check_place
    from colabel.workflows.pictures import find_pictures
    from colabel.workflows.predictions_file import write_csv, write_jsonl

    if out is not None:
        check_place(out, run)
    load_description(run)
    found = find_pictures(images)
    if out is not None:
        check_is_no_input(out, found.pictures)
    # only now what imports torch: what is wrong with the run or the files is told at once
    from colabel.workflows.predict import Failure, load

    predictor = load(run, device=device, max_pixels=max_pixels)
    for note in found.notes:
        say(f"note: {note}")
    failed: list[str] = []
    predicted = 0

    def fail(name: str, reason: str) -> None:
        failed.append(name)
        say(f"not read: {reason}")

    def good() -> Iterator[Prediction]:
        nonlocal predicted
        for folder, reason in found.folders.items():
            fail(folder, f"{folder}: {reason}")
        for answer in predictor.stream(found.pictures, batch=batch):
            if isinstance(answer, Failure):
                fail(answer.image, answer.reason)
            else:
                yield answer
                predicted += 1

    with _output(out) as file:
        if form == "csv":
            write_csv(good(), predictor.classes, file)
        else:
            write_jsonl(good(), predictor.description, file)
    say(_summary(predicted, failed))
    if failed:
        sys.exit(1)


def _summary(predicted: int, failed: Sequence[str]) -> str:
    if not failed:
        return f"{predicted} predicted"
    return f"{predicted} predicted, {len(failed)} not read: {listed(failed)}"


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Hold open what predictions are written to; say what is left where it ends early."""
    from colabel.errors import RunError
    from colabel.files import growing_file
    from colabel.workflows.output_file import what_is_left

    try:
        with _termination_as_interruption():
            if out is not None:
                with growing_file(out) as file:
                    yield file
                return
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")
            yield sys.stdout
            sys.stdout.flush()
    except BrokenPipeError:
        raise  # whoever reads the output has gone: no error
    except OSError as error:
        raise RunError(
            f"{out or 'the output'} cannot be written: {error.strerror or error}; make room, or "
            f"give another file with --out. {what_is_left(out)}"
        ) from error
    except KeyboardInterrupt as interruption:
        say(f"interrupted. {what_is_left(out)}")
        sys.exit(128 + (interruption.args[0] if interruption.args else signal.SIGINT))


@contextmanager
def _termination_as_interruption() -> Iterator[None]:
    """Raise KeyboardInterrupt for the polite kill too, so that its end is told as well."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

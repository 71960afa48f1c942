"""``colabel predict``."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from colabel.cli.options import MaxPixels, Run
from colabel.cli.output import say, speak_utf8
from colabel.errors import ConfigError, listed, remedy
from colabel.limits import MAX_BATCH_BYTES

if TYPE_CHECKING:
    from colabel.workflows.predict import Prediction
    from colabel.workflows.resumed_predictions import Kept, Work


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
    abstain: Annotated[
        str | None,
        typer.Option(
            metavar="WISH",
            help="Mark images that the model should not decide: coverage=0.9 (the share that it "
            "decides) or risk=0.05 (the share of wrong labels among those).",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was interrupted; needs --out.")
    ] = False,
) -> None:
    """Label images. Those that cannot be read are named, skipped, and make the exit status 1."""
    from colabel.runs.description import load_description
    from colabel.workflows.output_file import check_is_no_input, check_place, check_room, is_file
    from colabel.workflows.pictures import find_pictures
    from colabel.workflows.predictions_file import write_csv, write_jsonl
    from colabel.workflows.resumed_predictions import Work

    if out is not None:
        check_place(out, run)
    file_out = out if out is not None and is_file(out) else None
    if resume and file_out is None:
        raise ConfigError("--resume goes on with a file: give its name as --out.")
    if out is None and sys.stdout.closed:
        raise ConfigError("the standard output is closed: give the name of a file as --out.")
    description = load_description(run)
    if abstain is not None:
        description.operating_point.limit(abstain)  # refused at once if it means nothing
    found = find_pictures(images)
    batch = min(batch, len(found.pictures) or 1)
    _check_batch(batch, description.image_size)
    work: Work | None = None
    if file_out is not None:
        check_is_no_input(file_out, found.pictures)
        check_room(file_out, found.pictures, description.classes, form=form)
        work = Work.of(
            run, found.pictures, description.classes,
            form=form, batch=batch, device=device, max_pixels=max_pixels,
            resume=resume, abstain=abstain,
        )  # fmt: skip
        work.check(file_out)
    # only now what imports torch: what is wrong with the run or the files is told at once
    from colabel.workflows.predict import Failure, load

    predictor = load(run, device=device, max_pixels=max_pixels)
    for note in found.notes:
        say(f"note: {note}")
    failed: list[str] = []
    predicted = undecided = 0

    def fail(name: str, reason: str) -> None:
        failed.append(name)
        say(f"not read: {reason}")

    def good(kept: Kept) -> Iterator[Prediction]:
        nonlocal predicted, undecided
        predicted = kept.images - len(kept.failed)
        for folder, reason in found.folders.items():
            fail(folder, f"{folder}: {reason}")
        for picture in kept.failed:
            fail(picture, f"{picture}: could not be read before the interruption")
        left = itertools.islice(found.pictures, kept.images, None)
        for answer in predictor.stream(left, batch=batch, abstain=abstain):
            if isinstance(answer, Failure):
                fail(answer.image, answer.reason)
            else:
                yield answer
                predicted += 1
                undecided += bool(answer.abstains)

    with _output(out, work) as (file, kept):
        if kept.images:
            say(f"note: going on after {kept.images} of {len(found.pictures)} images")
        if form == "csv":
            write_csv(
                good(kept), predictor.classes, file,
                header=not kept.images, abstain=abstain is not None,
            )  # fmt: skip
        else:
            write_jsonl(good(kept), predictor.description, file)
    say(_summary(predicted, failed))
    if abstain is not None:
        say(f"left undecided (--abstain {abstain}): {undecided} of those predicted now")
    if failed:
        sys.exit(1)


def _check_batch(batch: int, side: int) -> None:
    """Refuse a batch whose pixels alone would fill the memory."""
    needed = 3 * batch * side**2
    if needed > MAX_BATCH_BYTES:
        raise ConfigError(
            f"--batch: the pixels of {batch:,} images of {side} x {side} take {needed:,} bytes, "
            f"expected at most {MAX_BATCH_BYTES:,}; give --batch "
            f"{max(1, MAX_BATCH_BYTES // (3 * side**2)):,} or less."
        )


def _summary(predicted: int, failed: Sequence[str]) -> str:
    if not failed:
        return f"{predicted} predicted"
    return f"{predicted} predicted, {len(failed)} not read: {listed(failed)}"


@contextmanager
def _output(out: Path | None, work: Work | None) -> Iterator[tuple[TextIO, Kept]]:
    """Hold open what predictions are written to; say what is left where it ends early."""
    from colabel.errors import RunError
    from colabel.files import growing_file
    from colabel.workflows.output_file import what_is_left
    from colabel.workflows.resumed_predictions import Kept

    try:
        if out is None:
            speak_utf8()
            yield sys.stdout, Kept()
            sys.stdout.flush()
        elif work is None:
            with growing_file(out) as file:
                yield file, Kept()
        else:
            with growing_file(out, work.begin) as file:
                yield file, work.kept
                work.finish(file, out)
    except BrokenPipeError:
        raise  # whoever reads the output has gone: no error
    except OSError as error:
        raise RunError(
            f"{out or 'the output'} cannot be written: {error.strerror or error}; "
            f"{remedy(error)}, or give another file with --out. {what_is_left(out)}"
        ) from error
    except KeyboardInterrupt as interruption:
        say(f"interrupted. {what_is_left(out)}")
        sys.exit(128 + (interruption.args[0] if interruption.args else signal.SIGINT))

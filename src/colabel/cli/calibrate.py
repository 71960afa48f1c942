"""``colabel calibrate``."""

from __future__ import annotations

from csv import reader
from typing import TYPE_CHECKING, Annotated, Literal

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
from colabel.cli.output import say, show, show_text
from colabel.errors import ConfigError
from colabel.printing import json_text

if TYPE_CHECKING:
    from colabel.workflows.calibrate import Calibrated


def calibrate(
    run: Run,
    target: Annotated[
        str,
        typer.Option(
            help="f1; recall=0.95, precision=0.9: guaranteed for each label; missed=0.1: share of "
            "an image's labels; cost=5:1: of a missed label to that of a false one; none: 0.5."
        ),
    ] = "f1",
    confidence: Annotated[
        float | None,
        typer.Option(help="Of the guarantee (default: recall on average, precision 0.9)."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Set these labels' thresholds alone (default: all); quotes around a comma.",
        ),
    ] = None,
    calibration: Annotated[
        Literal["platt", "temperature", "isotonic"] | None,
        typer.Option(help="How probabilities are calibrated (default: platt); not with --labels."),
    ] = None,
    data: Source = None,
    option: ReaderOption = None,
    missing_labels: MissingLabels = None,
    split: Annotated[str, typer.Option(help="Split with the images to go by.")] = "val",
    cpu: Cpu = False,
    on_corrupt: OnCorrupt = None,
    max_pixels: MaxPixels = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Set a trained run's thresholds anew, on images with labels; no training."""
    from colabel.settings.target import parse_target
    from colabel.workflows import calibrate as workflow

    try:
        wanted = parse_target(target)
    except ValueError as error:
        raise ConfigError(f"--target: {error}.") from error
    if confidence is not None and not 0 < confidence < 1:
        raise ConfigError(f"--confidence: expected a share such as 0.9, got {confidence:g}.")
    if confidence is not None and wanted.kind not in ("recall", "precision"):
        raise ConfigError("--confidence is for --target recall=... and precision=... .")
    if calibration is not None and labels is not None:
        raise ConfigError("--calibration is for all labels at once; leave out --labels.")
    done = workflow.calibrate(
        run,
        wanted,
        confidence=confidence,
        kind=calibration or "platt",
        labels=None if labels is None else _names(labels),
        data=data,
        options=read_options(option),
        missing_labels=missing_labels,
        split=split,
        cpu=cpu,
        on_corrupt=on_corrupt,
        max_pixels=max_pixels,
    )
    _tell(done, as_json=as_json)


def _names(text: str) -> list[str]:
    """Return names with commas between; one that holds a comma stands in quotes.

    Example:
        >>> _names('cat,"dog, small"')
        ['cat', 'dog, small']
    """
    return [name.strip() for row in reader([text], skipinitialspace=True) for name in row]


def _tell(done: Calibrated, *, as_json: bool) -> None:
    from colabel.cli.calibrate_view import to_dict, view

    for note in done.notes:
        say(f"note: {note}")
    if as_json:
        show_text(json_text(to_dict(done), indent=2))
        return
    show(view(done))
    show(f"written: {done.path}")

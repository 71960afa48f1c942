"""``colabel uncertainty``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table

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
from colabel.cli.output import prints_results, say, show, show_text
from colabel.cli.tables import percent
from colabel.errors import ConfigError
from colabel.printing import json_text, plain

if TYPE_CHECKING:
    from colabel.workflows.uncertainty import ScoreReport, UncertaintyReport


def uncertainty(
    run: Run,
    split: Annotated[str, typer.Option(help="Split with the images to measure on.")] = "test",
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGES",
            help="Images of another kind: a folder, a pattern, a source of data; or blur, noise, "
            "jpeg, occlusion: the same images, damaged. May be given several times.",
        ),
    ] = None,
    members: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", metavar="RUN", help="Another run, for an ensemble; may be given often."
        ),
    ] = None,
    passes: Annotated[
        int,
        typer.Option(min=0, help="Passes of the images with dropout, where the model has it."),
    ] = 0,
    data: Source = None,
    option: ReaderOption = None,
    missing_labels: MissingLabels = None,
    cpu: Cpu = False,
    on_corrupt: OnCorrupt = None,
    max_pixels: MaxPixels = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure whether a run knows when it does not know; writes a table and a picture into it."""
    from colabel.runs.description import load_description
    from colabel.runs.folder import RunFolder

    options = read_options(option)
    if passes == 1 or (passes and members):
        raise ConfigError("--passes: expected at least 2, and no --with beside it.")
    for folder in (run, *(members or ())):
        load_description(folder)
        RunFolder(folder).config()
    # only now what imports torch: what is wrong with the run is told at once
    from colabel.workflows.uncertainty import measure_uncertainty

    report = measure_uncertainty(
        run,
        split=split,
        data=data,
        options=options,
        missing_labels=missing_labels,
        against=against or (),
        members=members or (),
        passes=passes,
        cpu=cpu,
        on_corrupt=on_corrupt,
        max_pixels=max_pixels,
    )
    if not prints_results():
        return
    if as_json:
        show_text(json_text(report.to_dict(), indent=2))
        return
    for note in report.notes:
        say(f"note: {note}")
    show(view(report))
    show(f"written: {report.path}")
    show(f"picture: {report.chart}")


def view(report: UncertaintyReport) -> Group:
    """Return what each score is worth, chance beside it, and what follows."""
    parts: list[RenderableType] = [_of_errors(report)]
    if report.outside:
        sets = ", ".join(f"{name} {images:,}" for name, images in report.outside.items())
        parts.append(plain(f"telling other images from these, of images: {sets}"))
        for number, measure in enumerate(("AUROC", "FPR95")):
            parts.append(_of_others(report, number, measure))
    parts.extend(plain(line) for line in sentences(report))
    return Group(*parts)


def _of_errors(report: UncertaintyReport) -> Table:
    """Return how well each score knows errors, best first."""
    table = Table(
        title=plain(f"{report.split}: {report.images:,} images"),
        caption="AURC: mean % of wrong labels among those decided, surest first; AUGRC: % of all "
        "that are decided and wrong",
    )
    for name in ("score", "of", "AURC", "AUGRC"):
        table.add_column(name, justify="left" if name in ("score", "of") else "right")
    for per, named, risk in (
        ("pair", "labels", report.risk),
        ("image", "images", report.image_risk),
    ):
        table.add_row("chance", named, f"{100 * risk:.2f}", f"{50 * risk:.2f}")
        for score in _sorted(report, per):
            numbers = (f"{100 * score.aurc:.2f}", f"{100 * score.augrc:.2f}")
            table.add_row(plain(score.name.replace("_", " ")), named, *numbers)
        table.add_section()
    return table


def _of_others(report: UncertaintyReport, number: int, measure: str) -> Table:
    """Return how well each score tells other images from these, in per cent."""
    table = Table(measure)
    for name in report.outside:
        table.add_column(plain(name), justify="right")
    table.add_row("chance", *["50.0" if number == 0 else "95.0"] * len(report.outside))
    for score in _sorted(report, "image"):
        told = [
            percent(score.outside[name][number]) if name in score.outside else "-"
            for name in report.outside
        ]
        table.add_row(plain(score.name.replace("_", " ")), *told)
    return table


def _sorted(report: UncertaintyReport, per: str) -> list[ScoreReport]:
    return sorted((s for s in report.scores if s.per == per), key=lambda score: score.aurc)


def sentences(report: UncertaintyReport) -> list[str]:
    """Return what follows from the numbers, a sentence each."""
    before, after = report.calibration["before"], report.calibration["after"]
    lines = [
        "calibration error (mean over labels, 15 bins of equal mass): "
        f"{percent(before['calibration_error'])} before, {percent(after['calibration_error'])} "
        f"after; Brier score {before['brier']:.4f} before, {after['brier']:.4f} after"
    ]
    by_name = {score.name: score for score in report.scores}
    for own, free in (("kernel_variance", "entropy"), ("mean_variance", "entropy_sum")):
        if own in by_name and free in by_name:
            beats = by_name[own].aurc < by_name[free].aurc
            lines.append(
                f"{own.replace('_', ' ')} {'beats' if beats else 'does not beat'} "
                f"{free.replace('_', ' ')}: AURC {100 * by_name[own].aurc:.2f} and "
                f"{100 * by_name[free].aurc:.2f}"
            )
    reasons: dict[str, list[str]] = {}
    for sentence in report.unavailable:
        name, _, reason = sentence.partition(" needs ")
        reasons.setdefault(reason, []).append(name.replace("_", " "))
    lines.extend(
        f"not computed: {', '.join(names)}: needs {reason}" for reason, names in reasons.items()
    )
    return lines

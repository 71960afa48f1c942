"""``colabel check``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from colabel.cli.options import Change, Cpu, ReaderOption
from colabel.cli.output import progress_bar, say, show, show_text
from colabel.printing import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Judging(TypedDict):
    """What was asked for about labels that are probably wrong."""

    run: Path | None
    folds: int | None
    most: int
    out: Path | None
    changed: tuple[str, ...]


def check(
    source: Annotated[str, typer.Argument(metavar="SPEC", help="As for --data of train.")],
    option: ReaderOption = None,
    change: Change = None,
    decode: Annotated[bool, typer.Option(help="Read every image completely.")] = True,
    run: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="RUN", help="List labels that are probably wrong, by a run's model."
        ),
    ] = None,
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate",
            help="Likewise by classifiers that have not seen the labels they judge, on the "
            "encoder of RUN, or one whose weights are here or in --set encoder.weights.",
        ),
    ] = False,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of --cross-validate (default: 5).")
    ] = None,
    suspects: Annotated[
        int | None, typer.Option(min=1, help="How many such labels to list (default: 50).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where they are written, with pictures (default: suspects/NAME-1, -2, ...).",
        ),
    ] = None,
    cpu: Cpu = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what is in this data and what is wrong with it; status 1 if something must be mended."""
    from colabel.cli.check_view import render
    from colabel.data.check import check_records
    from colabel.workflows.check import config_for_check, open_for_check

    asked = run is not None or cross_validate
    _check_options(
        asked=asked,
        cross_validate=cross_validate,
        given={"--folds": folds, "--suspects": suspects, "--out": out},
    )
    if run is not None:
        from colabel.runs.description import load_description
        from colabel.runs.folder import RunFolder

        load_description(run)
        RunFolder(run).config()
    splits = open_for_check(source, option or (), change or ())
    judging = None
    if asked:
        from colabel.config import changed_keys
        from colabel.workflows.suspects import DEFAULT_FOLDS, DEFAULT_SUSPECTS, check_request

        judging = _Judging(
            run=run,
            folds=(folds or DEFAULT_FOLDS) if cross_validate else None,
            most=suspects or DEFAULT_SUSPECTS,
            out=out,
            changed=changed_keys(change or ()),
        )
        config = config_for_check(source, option or (), change or ())
        check_request(config, **judging)
    with progress_bar(enabled=decode and not as_json) as progress:
        report = check_records(splits, decode=decode, progress=progress)
    found = None
    if not as_json:
        show(render(report))
    if judging is not None:
        from colabel.workflows.suspects import find_suspects

        images = sum(map(len, splits.values()))
        say(f"a model looks at {images:,} images for labels that are probably wrong")
        found = find_suspects(splits, config, **judging, cpu=cpu)
    if as_json:
        content = report.to_dict() | ({} if found is None else found.to_dict())
        show_text(json_text(content, indent=2))
    elif found is not None:
        from colabel.cli.suspects_view import render_suspects

        show("")
        show(render_suspects(found))
        show(f"written: {found.folder / 'suspects.csv'}")
        show(f"picture: {found.folder / 'contact-sheet.png'}")
    if report.of("error"):
        sys.exit(1)


def _check_options(*, asked: bool, cross_validate: bool, given: Mapping[str, object]) -> None:
    """Refuse options that would have no effect."""
    from colabel.errors import ConfigError

    for name, value in given.items():
        if value is not None and not asked:
            raise ConfigError(
                f"{name} is for a list of labels that are probably wrong; add --with RUN or "
                "--cross-validate."
            )
    if given["--folds"] is not None and not cross_validate:
        raise ConfigError("--folds is for --cross-validate; add it, or leave out --folds.")

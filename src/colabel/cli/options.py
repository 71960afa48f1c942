"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

Change = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as in training.epochs=5."),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SPEC",
        help="A table of paths and labels (text, JSON, Parquet, a workbook); voc2007:DIR, "
        "voc2012:DIR, coco2014:DIR, coco2017:DIR, chestxray14:DIR, adp:DIR; coco:PATH, voc:DIR, "
        "fiftyone:DIR, labelstudio:FILE, openimages:DIR, folders:DIR, textfiles:DIR; or shapes.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Width times height above which no image is decoded (default: as in training).",
    ),
]
ReaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the reader of the data: --set data.options.NAME=VALUE.",
    ),
]
MissingLabels = Annotated[
    Literal["absent", "unknown"] | None,
    typer.Option(
        help="What a label of the model is that the data does not have (default: absent where "
        "the data lists labels, unknown where labels have columns)."
    ),
]
OnCorrupt = Annotated[
    Literal["stop", "skip"] | None,
    typer.Option(help="What an unreadable image does (default: as in training)."),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Do not use an accelerator.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.")]


def as_changes(given: Iterable[str] | None) -> list[str]:
    """Return options of a reader as changes of the setting that holds them.

    Example:
        >>> as_changes(["delimiter=#"])
        ['data.options.delimiter=#']
    """
    return [f"data.options.{name}={value}" for name, value in read_options(given).items()]


def read_options(given: Iterable[str] | None) -> dict[str, str]:
    """Return options of a reader by name; the last of a name holds.

    Raises:
        ConfigError: for one that is not ``NAME=VALUE``.

    Example:
        >>> read_options(["delimiter=#", "ignore=sex,age"])
        {'delimiter': '#', 'ignore': 'sex,age'}
    """
    options = {}
    for option in given or ():
        name, equals, value = option.partition("=")
        if not equals or not name:
            from colabel.errors import ConfigError

            raise ConfigError(f"--option: expected NAME=VALUE, got {option!r}.")
        options[name] = value
    return options

"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
        help="A CSV, TSV or Parquet file of paths and labels; voc2007:DIR, voc2012:DIR, "
        "coco2014:DIR, coco2017:DIR, chestxray14:DIR, adp:DIR; or shapes.",
    ),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Do not use an accelerator.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.")]

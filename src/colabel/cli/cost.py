"""``colabel cost``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from colabel.cli.output import show, show_text
from colabel.cli.tables import (
    cost_table,
)
from colabel.printing import json_text


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
    head: Annotated[
        str | None,
        typer.Option(
            help="kernel_mixture (default), linear, mixture_density, csra, ml_decoder, "
            "query2label, ml_gcn, tdrg; average, max, generalised_mean, class_attention: linear "
            "on that pooling. For an encoder."
        ),
    ] = None,
    covariance: Annotated[
        Literal["isotropic", "diagonal", "shared_diagonal", "shared_isotropic", "linear"] | None,
        typer.Option(
            help="Of a kernel mixture: isotropic (default), diagonal, shared_diagonal or "
            "shared_isotropic; linear means the linear head. For an encoder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain numbers.")] = False,
) -> None:
    """Count parameters and multiply-accumulate operations of a model, also as the papers do."""
    from colabel.runs.description import is_surely_run, load_description

    if is_surely_run(model):
        load_description(Path(model))
    # only now what imports torch: what is wrong with the run is told at once
    from colabel.workflows import cost as workflow

    answer = workflow.cost(
        model, classes=classes, image_size=image_size, head=head, covariance=covariance
    )
    if as_json:
        show_text(json_text(answer.to_dict()))
        return
    show(cost_table(answer))

"""``colabel figure``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from colabel.cli.options import Change, Cpu
from colabel.cli.output import show, tell_problems


def figure(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Of the figure; without it, all are listed."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="Data as for train (default: shapes); labels-per-image takes several.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="For a figure that trains: a recipe's name, or a YAML file.")
    ] = None,
    change: Change = None,
    out: Annotated[Path | None, typer.Option(help="Folder (default: figures/NAME).")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="For a figure that trains: how many, from 0 on.")
    ] = None,
    cpu: Cpu = False,
) -> None:
    """Draw a figure of the papers again: from mathematics, from data, or from trained runs.

    One that trains goes on with the same command after an interruption.
    """
    from colabel.errors import ConfigError, nearest
    from colabel.workflows.paper_figures import FIGURES

    if name is None:
        from colabel.cli.tables import figures_table

        show(figures_table(FIGURES))
        return
    if name not in FIGURES:
        raise ConfigError(f"there is no figure {name!r}; {nearest(name, FIGURES)}")
    folder = Path("figures", name) if out is None else out
    if name == "kmcl-losses":
        _train(folder, data, recipe, change, seeds, cpu=cpu)
        return
    if recipe or change or seeds or (data and name != "labels-per-image"):
        raise ConfigError(
            f"{name} trains nothing; leave out --recipe, --set and --seeds"
            + ("." if name == "labels-per-image" else ", and --data.")
        )
    from colabel.files import make_folder

    png = folder / f"{name}.png"
    if name == "labels-per-image":
        from colabel.workflows.paper_figures.labels import draw_labels_per_image

        make_folder(folder)
        for one in draw_labels_per_image(data or ["shapes"], png):
            show(
                f"{one.name}: {sum(one.images):,} images, {one.mean:.2f} labels each on average, "
                f"most have {one.most_common}"
                + (f"; {one.unknown:,} unknown labels count as absent" if one.unknown else "")
            )
    elif name == "kmcl-similarities":
        from colabel.workflows.paper_figures.kernels import draw_similarities

        make_folder(folder)
        draw_similarities(png)
    else:
        from colabel.workflows.paper_figures.overlaps import draw_overlaps

        make_folder(folder)
        draw_overlaps(png)
    show(f"picture: {png}")


def _train(
    folder: Path,
    data: list[str] | None,
    recipe: str | None,
    change: list[str] | None,
    seeds: int | None,
    *,
    cpu: bool,
) -> None:
    """Train with some seeds and draw the losses."""
    from colabel.errors import ConfigError
    from colabel.workflows.ablation import plan_ablation

    if data and len(data) > 1:
        raise ConfigError("kmcl-losses trains on one source; give --data once.")
    work = plan_ablation(
        "kmcl-losses",
        recipe=recipe,
        data=data[0] if data else None,
        changes=change or (),
        out=folder,
        seeds=seeds,
    )
    # only now what imports torch: a mistake in the above is told at once
    from colabel.training import make_display
    from colabel.workflows.paper_figures.losses import PICTURE, draw_losses

    trained = draw_losses(work, cpu=cpu, display=make_display())
    tell_problems(trained.problems, interrupted=trained.interrupted, name=trained.signal)
    if trained.problems:
        sys.exit(1)
    show(f"picture: {folder / PICTURE}")

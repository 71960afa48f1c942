"""``colabel recipes``."""

from __future__ import annotations

from typing import Annotated

import typer

from colabel.cli.output import show, show_text
from colabel.cli.tables import (
    recipes_table,
)


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe as YAML.")] = None,
) -> None:
    """List the recipes that come with colabel, or print one to start your own from."""
    from colabel.config import load_config, recipe_names

    if name is not None:
        show_text(load_config(name).to_yaml())
        return
    show(recipes_table({known: load_config(known) for known in recipe_names()}))

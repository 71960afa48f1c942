"""``colabel recipes``."""

from __future__ import annotations

from typing import Annotated

import typer

from colabel.cli.json_output import speak_utf8
from colabel.cli.tables import (
    recipes_table,
)
from colabel.printing import PlainConsole


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe as YAML.")] = None,
) -> None:
    """List the recipes that come with colabel, or print one to start your own from."""
    from colabel.config import load_config, recipe_names

    if name is not None:
        speak_utf8()
        print(load_config(name).to_yaml(), end="")
        return
    PlainConsole().print(recipes_table({known: load_config(known) for known in recipe_names()}))

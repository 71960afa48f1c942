"""A complete recipe: its schema, and how it is read."""

from colabel.config.checking import check_config
from colabel.config.paths import absolute_source, with_absolute_paths
from colabel.config.reading import (
    change_config,
    changed_keys,
    load_config,
    names_in,
    read_named,
    read_recipe,
    recipe_names,
)
from colabel.config.schema import Config, Published

__all__ = [
    "Config",
    "Published",
    "absolute_source",
    "change_config",
    "changed_keys",
    "check_config",
    "load_config",
    "names_in",
    "read_named",
    "read_recipe",
    "recipe_names",
    "with_absolute_paths",
]

"""Recipes read from the package or from YAML files, changed by ``key.path=value``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from colabel.config.checking import check_config
from colabel.config.plain_yaml import parse_yaml
from colabel.config.schema import Config
from colabel.errors import ConfigError, nearest
from colabel.foreign import read_plain
from colabel.limits import MAX_RECIPE_BYTES
from colabel.settings.flat import flatten

_READER_OPTIONS = ("data.options.", "data.train_options.")
_OVERRULED = {"training.warm_start.epochs": "training.warm_start.images"}
"""Settings that a change of another one takes away, since what was asked for would not happen."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return names_in("recipes")


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """Read a recipe by name, or a YAML file.

    Args:
        recipe: a name that :func:`recipe_names` lists, or the path of a YAML file.

    Returns:
        The mapping as it stands in the file.

    Raises:
        ConfigError: if there is no such recipe, or it is no YAML mapping.
    """
    return read_named(
        recipe, "recipes", kind="recipe", example="method: {name: kmcl}", hint="`colabel recipes`"
    )


def names_in(folder: str) -> list[str]:
    """Return the names of the YAML files in a folder of the package, without their ending."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("colabel").joinpath(folder).iterdir()
        if entry.name.endswith(".yaml")
    )


def read_named(
    name: str | Path, folder: str, *, kind: str, example: str, hint: str
) -> dict[str, Any]:
    """Read a YAML mapping that comes with the package, or one of the user's.

    Args:
        name: one that :func:`names_in` lists of the folder, or the path of a YAML file.
        folder: in the package.
        kind: what such a file is called.
        example: of an entry of the mapping.
        hint: the command that describes those that there are.

    Returns:
        The mapping as it stands in the file.

    Raises:
        ConfigError: if there is no such file, or it is no YAML mapping.
    """
    known = names_in(folder)
    if str(name) in known:
        source = f"{kind} {name}"
        text = resources.files("colabel").joinpath(folder, f"{name}.yaml").read_text("utf-8")
    else:
        path = Path(name)
        if not os.path.lexists(path):
            offered = nearest(str(name), known)
            stop = "" if offered.endswith("?") else "."
            raise ConfigError(
                f"there is no {kind} and no file called {str(name)!r}; {offered}{stop} "
                f"{hint} describes them."
            )
        source = str(path)
        try:
            text = read_plain(path, limit=MAX_RECIPE_BYTES).decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(
                f"{source} cannot be read: {error.strerror or error}; expected a YAML file of at "
                f"most {MAX_RECIPE_BYTES >> 20} MiB."
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{source} is not a UTF-8 text file: {error}.") from error
    answer = parse_yaml(text, source)
    if not isinstance(answer, dict):
        raise ConfigError(f"{source} must be a YAML mapping such as {example!r}.")
    return answer


def load_config(recipe: str | Path, changes: Iterable[str] = (), **replaced: Any) -> Config:
    """Read a recipe, apply changes, and check every key and value.

    Args:
        recipe: a recipe's name or a YAML file.
        changes: ``key.path=value``, each value read as YAML; except the options of a reader
            (``data.options.NAME``), which stay text, since only the reader knows their types. Who
            sets ``training.warm_start.epochs`` has so many, whatever the recipe says of images.
        **replaced: values for dotted keys, with ``__`` for the dot (``data__source=...``).

    Returns:
        The checked configuration.

    Raises:
        ConfigError: naming the key, the value and the nearest known key.

    Example:
        >>> load_config("shapes-kmcl", ["training.epochs=2"]).training.epochs
        2
        >>> load_config("shapes-kmcl", ["data.options.delimiter=#"]).data.options["delimiter"]
        '#'
    """
    values = read_recipe(recipe)
    given = [(key.replace("__", "."), value) for key, value in replaced.items()]
    _set(values, [*_parsed(changes), *given])
    return check_config(values)


def change_config(config: Config, changes: Iterable[str]) -> Config:
    """Apply changes to a configuration, and check every key and value again.

    Args:
        config: what is changed; it stays as it is.
        changes: as for :func:`load_config`.

    Raises:
        ConfigError: as :func:`load_config` raises it.

    Example:
        >>> change_config(Config(), ["training.epochs=2"]).training.epochs
        2
    """
    values = config.to_values()
    _set(values, _parsed(changes))
    return check_config(values)


def changed_keys(changes: Iterable[str]) -> tuple[str, ...]:
    """Return the dotted keys that changes set, also those within a mapping.

    Raises:
        ConfigError: if one is not ``key.path=value``.

    Example:
        >>> changed_keys(["encoder={name: resnet18}", "training.epochs=2"])
        ('encoder.name', 'training.epochs')
    """
    values: dict[str, Any] = {}
    for key, value in _parsed(changes):
        _put(values, key, value)
    return tuple(flatten(values))


def _parsed(changes: Iterable[str]) -> list[tuple[str, Any]]:
    """Return dotted keys and what the changes set them to."""
    parsed: list[tuple[str, Any]] = []
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected key.path=value, got {change!r}.")
        is_option = key.startswith(_READER_OPTIONS)
        value = text if is_option else parse_yaml(text, f"the value of {change[:80]!r}")
        parsed.append((key, value))
    return parsed


def _set(values: dict[str, Any], settings: Sequence[tuple[str, Any]]) -> None:
    """Set dotted keys, and take away what would overrule them."""
    keys = {key for key, _ in settings}
    overruled = [
        (other, None) for key, other in _OVERRULED.items() if key in keys and other not in keys
    ]
    for key, value in (*settings, *overruled):
        _put(values, key, value)


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the groups on its way."""
    *groups, last = key.split(".")
    for depth, group in enumerate(groups):
        if not depth and group == "method" and isinstance(values.get(group), str):
            values[group] = {"name": values[group]}  # a method may be written as a word
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key}: {'.'.join(groups[: depth + 1])} is a value, not a group.")
    values[last] = value

"""Plain values checked against the schema; errors name the key and the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from colabel.config.schema import METHODS, Config, Published
from colabel.errors import ConfigError, nearest
from colabel.settings import Settings


def check_config(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a :class:`Config`.

    Raises:
        ConfigError: with a line for each key that is unknown or has a wrong value.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError("the recipe cannot be used:\n  " + "\n  ".join(lines)) from error


def _explain(problem: Mapping[str, Any]) -> str:
    """Say of one problem of pydantic's which key it is about and what to write instead."""
    parts = [str(part) for part in problem["loc"]]
    if parts[:1] == ["method"] and len(parts) > 1:
        del parts[1]  # the name of the method, which is no key
    key = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        known = _fields(problem["loc"][:-1])
        return f"unknown key {key!r}; {nearest(parts[-1], known)}"
    if problem["type"].startswith("union_tag"):
        value = problem["input"]
        got = value.get("name", "none") if isinstance(value, Mapping) else value
        return f"method.name must be one of {', '.join(METHODS)}, got {got!r}"
    message = problem["msg"].removeprefix("Value error, ").lower().rstrip(".")
    if isinstance(problem["input"], Mapping):
        return f"{key}: {message}"
    return f"{key}: {message}, got {problem['input']!r}"


def _fields(location: Iterable[int | str]) -> list[str]:
    """Return the keys that the group at this place knows."""
    model: type[Settings] = Config
    for part in location:
        if part == "method":
            continue
        if model is Config and part in METHODS:
            model = METHODS[str(part)]
            continue
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            model = annotation
        elif part == "published":
            model = Published
    return list(model.model_fields)

"""Plain values checked against the schema; errors name the key and the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from colabel.config.schema import Config
from colabel.errors import ConfigError
from colabel.settings import explain_problems


def check_config(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a :class:`Config`.

    Raises:
        ConfigError: with a line for each key that is unknown or has a wrong value.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = explain_problems(error, Config)
        raise ConfigError("the recipe cannot be used:\n  " + "\n  ".join(lines)) from error

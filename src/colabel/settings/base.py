"""The base of every group of settings: unknown keys are errors, values never change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A group of settings that refuses unknown keys and is fixed once made.

    Example:
        >>> class Size(Settings):
        ...     width: int = 3
        >>> Size.model_validate({"width": "4"}).width
        4
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

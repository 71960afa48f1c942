"""Names of a package that are imported when they are first asked for: it imports quickly so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def imported_at_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Args:
        package: its name.
        homes: the module below it that each name is in.

    Example:
        >>> find = imported_at_first_use("colabel", {"VERSION": "version"})
        >>> find("VERSION").count(".")
        2
        >>> find("train")
        Traceback (most recent call last):
        AttributeError: module 'colabel' has no attribute 'train'
    """

    def find(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find

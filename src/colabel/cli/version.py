"""``colabel version``."""

from __future__ import annotations


def version() -> None:
    """Print the version."""
    from colabel.version import VERSION

    print(VERSION)

"""``colabel version``."""

from __future__ import annotations

from colabel.cli.output import show_text


def version() -> None:
    """Print the version."""
    from colabel.version import VERSION

    show_text(VERSION)

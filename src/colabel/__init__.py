"""Train, measure and use image classifiers for images that carry several labels at once.

``import colabel`` is quick; the first use of one of these imports torch and what else is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colabel.version import VERSION

if TYPE_CHECKING:
    from colabel.api import evaluate, load, train

__version__ = VERSION
__all__ = ["__version__", "evaluate", "load", "train"]


def __getattr__(name: str) -> Any:
    """Import the functions of :mod:`colabel.api` when they are first asked for."""
    if name in ("train", "evaluate", "load"):
        from colabel import api

        return getattr(api, name)
    raise AttributeError(f"module 'colabel' has no attribute {name!r}")

"""Train, measure and use image classifiers for images that carry several labels at once.

``import colabel`` is quick; the first use of one of these imports torch and what else is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colabel.version import VERSION

if TYPE_CHECKING:
    from colabel.workflows.evaluate import evaluate
    from colabel.workflows.predict import load
    from colabel.workflows.train import train

__version__ = VERSION
__all__ = ["__version__", "evaluate", "load", "train"]

_HOMES = {"train": "train", "evaluate": "evaluate", "load": "predict"}


def __getattr__(name: str) -> Any:
    """Import the functions of :mod:`colabel.workflows` when they are first asked for."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"colabel.workflows.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'colabel' has no attribute {name!r}")

"""Train, measure and use image classifiers for images that carry several labels at once.

``import colabel`` is quick; the first use of one of these imports torch and what else is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabel.lazy import imported_at_first_use
from colabel.version import VERSION

if TYPE_CHECKING:
    from colabel.workflows.evaluate import evaluate
    from colabel.workflows.predict import load
    from colabel.workflows.train import train

__version__ = VERSION
__all__ = ["__version__", "evaluate", "load", "train"]

__getattr__ = imported_at_first_use(
    __name__,
    {
        "train": "workflows.train",
        "evaluate": "workflows.evaluate",
        "load": "workflows.predict",
    },
)

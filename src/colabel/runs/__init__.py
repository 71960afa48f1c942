"""A run's folder, and what its files hold."""

from colabel.runs.description import (
    Description,
    Selection,
    load_description,
    load_weights,
    save_model,
)
from colabel.runs.folder import (
    CONFIG,
    CURVES,
    DATA,
    DESCRIPTION,
    LAST,
    LOCK,
    LOG,
    SPLIT,
    WEIGHTS,
    claimed_run,
)

__all__ = [
    "CONFIG",
    "CURVES",
    "DATA",
    "DESCRIPTION",
    "LAST",
    "LOCK",
    "LOG",
    "SPLIT",
    "WEIGHTS",
    "Description",
    "Selection",
    "claimed_run",
    "load_description",
    "load_weights",
    "save_model",
]

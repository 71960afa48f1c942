"""Probabilities that mean what they say, and thresholds that keep what they promise.

Usable alone: numpy in, numpy out, no model. ``import colabel.calibration`` is quick; the first use
of one of these imports scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colabel.calibration.curves import Calibration
    from colabel.calibration.f1 import f1_thresholds
    from colabel.calibration.fitting import fit_calibration
    from colabel.calibration.guarantees import (
        missed_label_threshold,
        precision_thresholds,
        recall_thresholds,
    )
    from colabel.calibration.thresholds import Thresholds

__all__ = [
    "Calibration",
    "Thresholds",
    "f1_thresholds",
    "fit_calibration",
    "missed_label_threshold",
    "precision_thresholds",
    "recall_thresholds",
]

_HOMES = {
    "Calibration": "curves",
    "Thresholds": "thresholds",
    "f1_thresholds": "f1",
    "fit_calibration": "fitting",
    "missed_label_threshold": "guarantees",
    "precision_thresholds": "guarantees",
    "recall_thresholds": "guarantees",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for the first time."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"colabel.calibration.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'colabel.calibration' has no attribute {name!r}")

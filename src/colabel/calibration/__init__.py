"""Probabilities that mean what they say, and thresholds that keep what they promise.

Usable alone: numpy in, numpy out, no model. ``import colabel.calibration`` is quick; the first use
of one of these imports scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabel.lazy import imported_at_first_use

if TYPE_CHECKING:
    from colabel.calibration.curves import Calibration
    from colabel.calibration.f1 import f1_thresholds
    from colabel.calibration.fitting import fit_calibration
    from colabel.calibration.groups import one_of_each_group
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
    "one_of_each_group",
    "precision_thresholds",
    "recall_thresholds",
]

__getattr__ = imported_at_first_use(
    __name__,
    {
        "Calibration": "curves",
        "Thresholds": "thresholds",
        "f1_thresholds": "f1",
        "fit_calibration": "fitting",
        "missed_label_threshold": "guarantees",
        "one_of_each_group": "groups",
        "precision_thresholds": "guarantees",
        "recall_thresholds": "guarantees",
    },
)

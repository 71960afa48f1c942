"""Probabilities that mean what they say, and thresholds that keep what they promise.

Usable alone: numpy in, numpy out, no model.
"""

from colabel.calibration.f1 import f1_thresholds
from colabel.calibration.guarantees import (
    missed_label_threshold,
    precision_thresholds,
    recall_thresholds,
)
from colabel.calibration.maps import Calibration, fit_calibration
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

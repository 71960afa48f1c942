"""Scores of uncertainty, and whether they and the probabilities are worth trusting; no torch."""

from colabel.uncertainty.calibration_error import (
    Reliability,
    brier,
    expected_calibration_error,
    reliability,
)
from colabel.uncertainty.outside import OutOfDistribution, out_of_distribution
from colabel.uncertainty.risk import (
    RiskCoverage,
    augrc,
    aurc,
    image_errors,
    pair_errors,
    risk_coverage,
)

__all__ = [
    "OutOfDistribution",
    "Reliability",
    "RiskCoverage",
    "augrc",
    "aurc",
    "brier",
    "expected_calibration_error",
    "image_errors",
    "out_of_distribution",
    "pair_errors",
    "reliability",
    "risk_coverage",
]

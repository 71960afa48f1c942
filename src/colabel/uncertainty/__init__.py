"""Scores of uncertainty, and whether they and the probabilities are worth trusting; no torch."""

from colabel.uncertainty.calibration_error import (
    Reliability,
    brier,
    expected_calibration_error,
    reliability,
)
from colabel.uncertainty.centres import FeatureCentres, distance_to_centres, feature_centres
from colabel.uncertainty.outputs import Outputs
from colabel.uncertainty.outside import OutOfDistribution, out_of_distribution
from colabel.uncertainty.prototypes import (
    Prototypes,
    distance_to_prototypes,
    kernel_prototypes,
)
from colabel.uncertainty.risk import (
    RiskCoverage,
    augrc,
    aurc,
    image_errors,
    pair_errors,
    risk_coverage,
)
from colabel.uncertainty.scores import SCORES, Score, compute_score, why_unavailable

__all__ = [
    "SCORES",
    "FeatureCentres",
    "OutOfDistribution",
    "Outputs",
    "Prototypes",
    "Reliability",
    "RiskCoverage",
    "Score",
    "augrc",
    "aurc",
    "brier",
    "compute_score",
    "distance_to_centres",
    "distance_to_prototypes",
    "expected_calibration_error",
    "feature_centres",
    "image_errors",
    "kernel_prototypes",
    "out_of_distribution",
    "pair_errors",
    "reliability",
    "risk_coverage",
    "why_unavailable",
]

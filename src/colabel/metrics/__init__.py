"""Metrics of saved scores and targets: no model, no device, no files."""

from colabel.choices import APProtocol
from colabel.metrics.decisions import Decisions
from colabel.metrics.ranking import PROTOCOLS, average_precision, rank, roc_auc
from colabel.metrics.report import ClassReport, Report, evaluate_scores

__all__ = [
    "PROTOCOLS",
    "APProtocol",
    "ClassReport",
    "Decisions",
    "Report",
    "average_precision",
    "evaluate_scores",
    "rank",
    "roc_auc",
]

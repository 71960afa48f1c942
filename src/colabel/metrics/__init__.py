"""Metrics of saved scores and targets: no model, no device, no files.

The first use of what resamples images imports scipy.
"""

from typing import TYPE_CHECKING

from colabel.choices import APProtocol
from colabel.lazy import imported_at_first_use
from colabel.metrics.decisions import Decisions
from colabel.metrics.ranking import PROTOCOLS, average_precision, rank, roc_auc
from colabel.metrics.report import ClassReport, Report, evaluate_scores
from colabel.metrics.significance import (
    Interval,
    bootstrap_p_value,
    centred_interval,
    holm,
    score_interval,
)

if TYPE_CHECKING:
    from colabel.metrics.bootstrap import (
        Answers,
        Resampled,
        Resamples,
        paired_bootstrap,
        weighted_average_precision,
    )

__all__ = [
    "PROTOCOLS",
    "APProtocol",
    "Answers",
    "ClassReport",
    "Decisions",
    "Interval",
    "Report",
    "Resampled",
    "Resamples",
    "average_precision",
    "bootstrap_p_value",
    "centred_interval",
    "evaluate_scores",
    "holm",
    "paired_bootstrap",
    "rank",
    "roc_auc",
    "score_interval",
    "weighted_average_precision",
]

_IN_BOOTSTRAP = (
    "Answers",
    "Resampled",
    "Resamples",
    "paired_bootstrap",
    "weighted_average_precision",
)

__getattr__ = imported_at_first_use(__name__, dict.fromkeys(_IN_BOOTSTRAP, "bootstrap"))

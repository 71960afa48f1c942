"""Stages, and the one loop that trains them."""

from colabel.training.collect import (
    Collected,
    collect_features,
    collect_logits,
    prepare_evaluation,
)
from colabel.training.display import Display, make_display
from colabel.training.distributed import gather_output, gather_with_gradient, make_accelerator
from colabel.training.length import verdict
from colabel.training.log import read_log
from colabel.training.loop import History, check_stages, fit
from colabel.training.objective import Objective, Term
from colabel.training.range_test import RangeTest, range_test
from colabel.training.stage import Stage

__all__ = [
    "Collected",
    "Display",
    "History",
    "Objective",
    "RangeTest",
    "Stage",
    "Term",
    "check_stages",
    "collect_features",
    "collect_logits",
    "fit",
    "gather_output",
    "gather_with_gradient",
    "make_accelerator",
    "make_display",
    "prepare_evaluation",
    "range_test",
    "read_log",
    "verdict",
]

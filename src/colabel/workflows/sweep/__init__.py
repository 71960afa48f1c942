"""Trials of a recipe's settings, of which validation chooses the best.

``space`` and ``planning`` import no torch, so that a mistake is told at once; ``run`` trains.
"""

from colabel.workflows.sweep.planning import SweepPlan, plan_sweep
from colabel.workflows.sweep.space import Choice, Range, Space, parse_dimension, read_space

__all__ = [
    "Choice",
    "Range",
    "Space",
    "SweepPlan",
    "parse_dimension",
    "plan_sweep",
    "read_space",
]

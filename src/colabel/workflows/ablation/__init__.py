"""A recipe trained over the values of one setting and several seeds.

``file`` and ``planning`` import no torch, so that a mistake is told at once; ``run`` trains.
"""

from colabel.workflows.ablation.file import Ablation, ablation_names, label_of, load_ablation
from colabel.workflows.ablation.planning import Work, plan_ablation

__all__ = [
    "Ablation",
    "Work",
    "ablation_names",
    "label_of",
    "load_ablation",
    "plan_ablation",
]

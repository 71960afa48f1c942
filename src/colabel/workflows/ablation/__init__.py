"""A recipe trained over the values of one setting and several seeds."""

from colabel.workflows.ablation.file import Ablation, ablation_names, label_of, load_ablation
from colabel.workflows.ablation.results import Outcome, Tried
from colabel.workflows.ablation.run import Ablated, ablate

__all__ = [
    "Ablated",
    "Ablation",
    "Outcome",
    "Tried",
    "ablate",
    "ablation_names",
    "label_of",
    "load_ablation",
]

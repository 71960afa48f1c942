"""A recipe trained over the values of one setting and several seeds."""

from colabel.ablation.file import Ablation, ablation_names, label_of, load_ablation
from colabel.ablation.results import Outcome, Tried
from colabel.ablation.run import Ablated, ablate

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

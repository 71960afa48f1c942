"""Pictures, drawn with matplotlib's objects, without its global state and without a display."""

from colabel.figures.ablation import AblationPoint, ablation_figure
from colabel.figures.curves import training_curves
from colabel.figures.results import per_class_chart

__all__ = [
    "AblationPoint",
    "ablation_figure",
    "per_class_chart",
    "training_curves",
]

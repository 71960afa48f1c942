"""Pictures, drawn with matplotlib's objects, without its global state and without a display."""

from colabel.figures.ablation import AblationPoint, ablation_figure
from colabel.figures.curves import training_curves
from colabel.figures.results import co_occurrence_figure, examples_grid, per_class_chart

__all__ = [
    "AblationPoint",
    "ablation_figure",
    "co_occurrence_figure",
    "examples_grid",
    "per_class_chart",
    "training_curves",
]

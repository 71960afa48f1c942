"""Methods side by side: on the same images, with the same resamples, seeds beside them.

``methods`` plans runs and imports no torch; ``aligned`` and ``statistics`` are numbers alone;
``run`` trains and compares.
"""

from colabel.workflows.comparison.methods import configure_methods, plan_methods, recipe_of

__all__ = ["configure_methods", "plan_methods", "recipe_of"]

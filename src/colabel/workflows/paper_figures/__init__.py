"""Pictures of the papers that any reader can draw again; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

FIGURES: Mapping[str, str] = {
    "kmcl-similarities": "Three similarities of two kernels, as surfaces and in three scenes "
    "(KMCL, Fig. 1); nothing is trained.",
    "kmcl-losses": "The terms of KMCL's loss and validation mAP over the epochs (KMCL, Fig. 5); "
    "trains with three seeds.",
    "labels-per-image": "How many labels the images of data sets have (KMCL, Fig. 4); nothing is "
    "trained.",
    "probmcl-overlaps": "Which images are positives of each other by either overlap of ProbMCL "
    "(D and alpha of Eq. 3); nothing is trained.",
}
"""A description by the name of a figure."""

"""Which labels of a data set are probably wrong.

:func:`suspicion` is usable alone: numpy in, numpy out, no model. ``import colabel.label_errors``
is quick; the first use of one of these imports scipy, or torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabel.lazy import imported_at_first_use

if TYPE_CHECKING:
    from colabel.label_errors.folds import assign_folds, has_enough
    from colabel.label_errors.noise import LabelNoise, error_probability, fit_noise
    from colabel.label_errors.out_of_fold import OutOfFold, out_of_fold_logits
    from colabel.label_errors.scoring import suspicion

__all__ = [
    "LabelNoise",
    "OutOfFold",
    "assign_folds",
    "error_probability",
    "fit_noise",
    "has_enough",
    "out_of_fold_logits",
    "suspicion",
]

__getattr__ = imported_at_first_use(
    __name__,
    {
        "LabelNoise": "noise",
        "OutOfFold": "out_of_fold",
        "assign_folds": "folds",
        "error_probability": "noise",
        "fit_noise": "noise",
        "has_enough": "folds",
        "out_of_fold_logits": "out_of_fold",
        "suspicion": "scoring",
    },
)

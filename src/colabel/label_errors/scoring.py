"""A number for every given label: how likely it is wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from colabel.calibration.scaling import fit_scaling
from colabel.label_errors.noise import error_probability, fit_noise
from colabel.metrics.decisions import UNKNOWN
from colabel.metrics.inputs import check_scores, check_targets

SUREST = 1e-7
"""Probabilities closer to 0 or 1 are taken for this close."""

_FITTED = 1_000_000
"""Most labels that the way from true to given ones is estimated from, of images at equal steps."""


def suspicion(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, *, dependence: bool = True
) -> npt.NDArray[np.float64]:
    r"""Probability that each given label is wrong, comparable across labels.

    .. math:: P(z_{ik} \ne y_{ik} \mid p_i, y_i)

    with the truth z, the given y and the model's p. The probabilities are calibrated per label
    (Platt), then the rates of labels that were dropped and added, and what labels that go together
    tell of each other, are estimated from the same numbers: :mod:`colabel.label_errors.noise`.

    Source: class-conditional flips as in Natarajan et al. 2013, "Learning with noisy labels", and
    Northcutt et al. 2021, "Confident learning", with the rates found by maximum likelihood
    (:func:`colabel.label_errors.fit_noise`) in place of counts beyond a threshold.

    Args:
        probabilities: of a model that was not trained on these labels, shape (images, classes), in
            [0, 1]; NaN where there is none, which counts as an unknown label.
        targets: the labels as given: 1 present, 0 absent, -1 unknown.
        dependence: whether the other labels of an image count. Without, the suspicion of a label
            falls with its probability where it is given, and rises where it is not.

    Returns:
        In [0, 1], the higher the more likely wrong; NaN where the label is unknown. Made to
        rank: the sum counts wrong labels roughly at best.

    Raises:
        DataError: on probabilities or targets that do not fit.

    Example:
        >>> random = np.random.default_rng(0)
        >>> true = random.random((500, 2)) < 0.3
        >>> probabilities = np.where(true, 0.95, 0.05)
        >>> given = true.astype(np.int8)
        >>> given[7, 1] = 1 - given[7, 1]
        >>> suspects = suspicion(probabilities, given)
        >>> np.argwhere(suspects == suspects.max()).tolist()
        [[7, 1]]
    """
    values = np.asarray(probabilities)
    without = np.zeros(values.shape, dtype=np.bool_)
    if values.dtype.kind == "f":
        without = np.isnan(values)
        values = np.where(without, 0.5, values)
    values = check_scores(values, "probabilities").astype(np.float64)
    given = check_targets(targets, values.shape, "probabilities")
    given = np.where(without, UNKNOWN, given).astype(np.int8)
    if (given == UNKNOWN).all():
        return np.full(values.shape, np.nan)
    logits = logit(np.clip(values, SUREST, 1 - SUREST))
    some = slice(None, None, max(1, values.size // _FITTED))
    slopes, intercepts = fit_scaling(logits[some], given[some], intercept=True)
    logits = logits * slopes + intercepts
    noise = fit_noise(logits[some], given[some], dependence=dependence)
    wrong = error_probability(
        noise.log_odds(logits, given), given, dropped=noise.dropped, added=noise.added
    )
    return np.where(given == UNKNOWN, np.nan, wrong)

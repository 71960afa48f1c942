"""Thresholds for the highest F1 of each label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colabel.calibration.thresholds import Descending, Thresholds, descend, is_number
from colabel.errors import ConfigError, DataError

OWN_POSITIVES = 10
"""Positives from which on a label's threshold is found by its targets alone."""
EVEN = 0.5
"""What is as likely as not: for a label that no image speaks against, or none for."""


def f1_thresholds(
    probabilities: npt.ArrayLike, targets: npt.ArrayLike, *, expectation: float = 0
) -> Thresholds:
    r"""Choose the threshold of each label that gives it the highest F1.

    .. math:: \max_t\ \frac{2\, TP_k(t)}{n_k(t) + P_k}

    where ``n`` images reach ``t``, ``TP`` positives among them, and ``P`` is the number of
    positives. Of equal values the highest threshold is taken, which gives out the fewest labels.

    Source: the maximum over all thresholds of F1; for labels with fewer than 10 positives its
    expectation by the probabilities (Lipton, Elkan and Naryanaswamy 2014, "Optimal thresholding
    of classifiers to maximize F1 measure"), which needs no target: a few positives would put the
    threshold wherever they happen to lie. The probabilities must be calibrated for that.

    The expectation steadies the thresholds of the other labels, too, where the probabilities are
    calibrated: ``TP`` and ``P`` are then means of what was counted and of what the probabilities
    let expect, weighted by the label's positives and by ``expectation``.

    Deviation: of a label that is absent in no known image the threshold is 0.5 at most. Every
    threshold that all of them reach has an F1 of 1, and the highest of these would deny the label
    to a new image that is a little less sure. Of a label that is present in no known image it is
    0.5 at least: its expected F1 is highest where nearly every image is given a label that nobody
    has seen.

    Args:
        probabilities: in [0, 1], shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the same shape.
        expectation: how many positives what the probabilities let expect is worth, at least 0.

    Returns:
        A threshold per label; nothing is guaranteed. ``found`` counts positives, ``needed`` is
        10, from which on the targets decide. Every threshold is a probability of a known image,
        or 0.5 as said above; 1 for a label that is known of no image.

    Raises:
        DataError: on what does not fit, or if no label has a positive.
        ConfigError: on an expectation that is no number of positives.

    Example:
        >>> probabilities = np.arange(100)[:, None] / 100
        >>> chosen = f1_thresholds(probabilities, probabilities >= 0.75)
        >>> chosen.thresholds.tolist(), chosen.guaranteed.tolist()
        ([0.75], [False])
    """
    return f1_of(descend(probabilities, targets), expectation)


def f1_of(ranked: Descending, expectation: float) -> Thresholds:
    """Return the thresholds of :func:`f1_thresholds` for images that are ranked already.

    Args:
        ranked: the images of each label.
        expectation: as there.

    Raises:
        ConfigError: on an expectation that is no number of positives.
        DataError: if no label has a positive.
    """
    if not (is_number(expectation) and 0 <= expectation < np.inf):
        raise ConfigError(f"expectation must be 0 or a number of positives, got {expectation!r}.")
    positives = ranked.total_positives
    if not positives.any():
        raise DataError(
            f"no label is present in any of the {len(ranked.probabilities)} images, so there is "
            "no F1; take images with labels."
        )
    certain = ranked.probabilities.clip(0)
    by_probability = np.cumsum(certain, axis=0)
    counted = np.where(positives >= OWN_POSITIVES, positives, 0)
    own = counted / np.where(counted, counted + expectation, 1)
    hits = own * ranked.positives + (1 - own) * by_probability
    total = own * positives + (1 - own) * by_probability[-1]
    f1 = np.where(ranked.ends, 2 * hits / (ranked.predicted + total), -1)
    thresholds = np.take_along_axis(ranked.probabilities, f1.argmax(axis=0)[None], axis=0)[0]
    never_absent = positives == ranked.known
    thresholds = np.where(never_absent, np.minimum(thresholds, EVEN), thresholds)
    thresholds = np.where(positives == 0, np.maximum(thresholds, EVEN), thresholds)
    thresholds = np.where(ranked.known > 0, thresholds, 1)
    return Thresholds(
        thresholds=thresholds,
        guaranteed=np.zeros(len(positives), dtype=np.bool_),
        found=positives,
        needed=np.full(len(positives), OWN_POSITIVES),
        unit="positives",
    )

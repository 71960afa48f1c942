"""Fitting a map from logits to probabilities."""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt

from colabel.calibration.curves import Calibration, Steps
from colabel.calibration.scaling import fit_scaling
from colabel.choices import CalibrationKind
from colabel.errors import ConfigError, DataError, nearest
from colabel.limits import MAX_CORNERS
from colabel.metrics.decisions import UNKNOWN
from colabel.metrics.inputs import check_logits, check_targets

ISOTONIC_EACH = 1000
"""Images with a label, and as many without, from which on its own isotonic curve is fitted."""


def fit_calibration(
    logits: npt.ArrayLike, targets: npt.ArrayLike, kind: CalibrationKind = "platt"
) -> Calibration:
    r"""Fit a map from logits to calibrated probabilities, per label, on images with known labels.

    Source: temperature: Guo et al. 2017, "On calibration of modern neural networks", one per
    label; Platt 1999, "Probabilistic outputs for support vector machines"; isotonic: Zadrozny and
    Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates".

    Deviation: the parameters of a label are drawn towards those that the labels have in common,
    the more the fewer images tell about it (:func:`colabel.calibration.scaling.fit_scaling`), and
    slopes stay positive. An isotonic curve is fitted where at least 1,000 images have the label
    and 1,000 have it not, and Platt's elsewhere; 0.01 of Platt's is mixed in, so that it rises.

    Args:
        logits: log-odds of the model, shape (images, classes).
        targets: 1 present, 0 absent, -1 unknown, the shape of ``logits``.
        kind: ``temperature``: a slope per label; ``platt``: a slope and an intercept per label;
            ``isotonic``: a rising curve per label where there are images enough.

    Returns:
        The map: ``.probabilities(logits)``.

    Raises:
        DataError: on logits or targets that do not fit, or if no image has a label.
        ConfigError: on an unknown kind.

    Example:
        >>> logits = np.repeat([[-3.0], [1.0]], 50, axis=0)  # far too low: half are present
        >>> targets = np.repeat([[0], [1], [1], [1]], 25, axis=0)
        >>> fitted = fit_calibration(logits, targets)
        >>> fitted.probabilities([[-3.0], [1.0]]).round(1).tolist()
        [[0.5], [1.0]]
    """
    if kind not in get_args(CalibrationKind):
        raise ConfigError(
            f"there is no calibration {kind!r}: {nearest(kind, get_args(CalibrationKind))}"
        )
    values = check_logits(logits)
    truth = check_targets(targets, values.shape, "logits")
    if not (truth == 1).any():
        raise DataError(
            f"no label is present in any of the {len(truth)} images, so nothing can be calibrated "
            "on them; take images with labels."
        )
    slopes, intercepts = fit_scaling(values, truth, intercept=kind != "temperature")
    steps = _isotonic_steps(values, truth) if kind == "isotonic" else ()
    return Calibration(
        kind=kind,
        slopes=tuple(slopes.tolist()),
        intercepts=tuple(intercepts.tolist()),
        steps=steps if any(steps) else (),
    )


def _isotonic_steps(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int8]
) -> tuple[Steps | None, ...]:
    """Return the isotonic curve of each label that has images enough."""
    enough = ((targets == 1).sum(axis=0) >= ISOTONIC_EACH) & (
        (targets == 0).sum(axis=0) >= ISOTONIC_EACH
    )
    return tuple(
        _isotonic(logits[:, column], targets[:, column]) if some else None
        for column, some in enumerate(enough)
    )


def _isotonic(logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int8]) -> Steps:
    """Return the corners of the rising curve with the least squared error."""
    from scipy.optimize import isotonic_regression  # slow to import, and seldom needed

    known = targets != UNKNOWN
    places, where, counts = np.unique(logits[known], return_inverse=True, return_counts=True)
    present = np.bincount(where, weights=targets[known] == 1)
    heights = isotonic_regression(present / counts, weights=counts).x
    flat = np.diff(heights) <= 0
    inner = np.concatenate([[False], flat]) & np.concatenate([flat, [False]])
    corners = np.flatnonzero(~inner)
    if len(corners) > MAX_CORNERS:
        corners = corners[np.linspace(0, len(corners) - 1, MAX_CORNERS).round().astype(int)]
    return Steps(
        logits=tuple(places[corners].tolist()), probabilities=tuple(heights[corners].tolist())
    )

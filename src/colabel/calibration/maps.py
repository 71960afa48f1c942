"""Calibration: from the logits of a model to probabilities that mean what they say."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from scipy.optimize import isotonic_regression
from scipy.special import expit

from colabel.calibration.scaling import fit_scaling
from colabel.choices import CalibrationKind
from colabel.errors import DataError
from colabel.limits import MAX_CLASSES
from colabel.metrics.decisions import UNKNOWN
from colabel.metrics.inputs import check_targets
from colabel.settings import Settings

ISOTONIC_EACH = 1000
"""Images with a label, and as many without, from which on its own isotonic curve is fitted."""

STEP_SHARE = 0.99
"""Share of the isotonic curve in a probability; the rest is Platt's, which always rises."""

MAX_STEPS = 4096
"""Corners of an isotonic curve that are kept at most."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class Steps(Settings):
    """The corners of a label's isotonic curve.

    Args:
        logits: increasing.
        probabilities: at these logits, not decreasing.
    """

    logits: tuple[float, ...] = Field(min_length=1, max_length=MAX_STEPS)
    probabilities: tuple[Fraction, ...]

    @model_validator(mode="after")
    def _rises(self) -> Steps:
        if len(self.logits) != len(self.probabilities):
            raise ValueError(f"{len(self.probabilities)} probabilities for {len(self.logits)}")
        if (np.diff(self.logits) <= 0).any() or (np.diff(self.probabilities) < 0).any():
            raise ValueError("the corners must rise")
        return self


class Calibration(Settings):
    r"""A map from logits to probabilities, one rising curve per label.

    .. math:: p_k = \operatorname{sigmoid}(a_k s_k + b_k)

    where ``a`` are the slopes and ``b`` the intercepts; with isotonic curves, 0.99 of the curve
    and 0.01 of the above. Every curve rises everywhere, so the order of images is never changed.

    Args:
        kind: how it was fitted.
        slopes: positive, one per label.
        intercepts: in log-odds, one per label.
        steps: the isotonic curve of each label that has one; empty if none has.

    Example:
        >>> halved = Calibration(kind="temperature", slopes=(0.5,), intercepts=(0.0,))
        >>> halved.probabilities([[0.0], [2.0]]).round(3).tolist()
        [[0.5], [0.731]]
    """

    kind: CalibrationKind
    slopes: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(max_length=MAX_CLASSES)]
    intercepts: tuple[float, ...]
    steps: tuple[Steps | None, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Calibration:
        classes = len(self.slopes)
        if len(self.intercepts) != classes or (self.steps and len(self.steps) != classes):
            raise ValueError(
                f"{classes} slopes, {len(self.intercepts)} intercepts and {len(self.steps)} curves"
            )
        return self

    def probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities.

        Args:
            logits: log-odds of the model, shape (images, classes).

        Returns:
            In [0, 1], the shape of ``logits``.

        Raises:
            DataError: on logits of another number of classes.
        """
        given = check_logits(logits)
        if given.shape[1] != len(self.slopes):
            raise DataError(
                f"the calibration is one of {len(self.slopes)} classes, the logits have "
                f"{given.shape[1]}; use that of the same model."
            )
        values = np.asarray(expit(given * np.array(self.slopes) + np.array(self.intercepts)))
        for column, steps in enumerate(self.steps):
            if steps is not None:
                curve = np.interp(given[:, column], steps.logits, steps.probabilities)
                values[:, column] += STEP_SHARE * (curve - values[:, column])
        return values


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
        DataError: on logits or targets that do not fit, or if no label is known to be present in
            any image, or absent from any.

    Example:
        >>> logits = np.repeat([[-3.0], [1.0]], 50, axis=0)  # far too low: half are present
        >>> targets = np.repeat([[0], [1], [1], [1]], 25, axis=0)
        >>> fitted = fit_calibration(logits, targets)
        >>> fitted.probabilities([[-3.0], [1.0]]).round(1).tolist()
        [[0.5], [1.0]]
    """
    values = check_logits(logits)
    truth = check_targets(targets, values.shape)
    for word, value in (("present", 1), ("absent", 0)):
        if not (truth == value).any():
            raise DataError(
                f"no label is known to be {word} in any of the {len(truth)} images, so nothing "
                "can be calibrated on them; take images with labels."
            )
    slopes, intercepts = fit_scaling(values, truth, intercept=kind != "temperature")
    steps = _isotonic_steps(values, truth) if kind == "isotonic" else ()
    return Calibration(
        kind=kind,
        slopes=tuple(slopes.tolist()),
        intercepts=tuple(intercepts.tolist()),
        steps=steps if any(steps) else (),
    )


def check_logits(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return logits as a table in float64.

    Raises:
        DataError: on anything but finite numbers of shape (images, classes).

    Example:
        >>> check_logits([1, 2])
        Traceback (most recent call last):
        colabel.errors.DataError: logits must have shape (images, classes), got (2,).
    """
    values = np.asarray(logits)
    if values.dtype.kind not in "fiub":
        raise DataError(f"logits must be numbers, got an array of {values.dtype}.")
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"logits must have shape (images, classes), got {values.shape}.")
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"the logit of image {row}, class {column} is {values[row, column]}; look for a loss "
            "that diverged, or probabilities of exactly 0 or 1 that were turned into logits."
        )
    return values


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
    known = targets != UNKNOWN
    places, where, counts = np.unique(logits[known], return_inverse=True, return_counts=True)
    present = np.bincount(where, weights=targets[known] == 1)
    heights = isotonic_regression(present / counts, weights=counts).x
    flat = np.diff(heights) <= 0
    inner = np.concatenate([[False], flat]) & np.concatenate([flat, [False]])
    corners = np.flatnonzero(~inner)
    if len(corners) > MAX_STEPS:
        corners = corners[np.linspace(0, len(corners) - 1, MAX_STEPS).round().astype(int)]
    return Steps(
        logits=tuple(places[corners].tolist()), probabilities=tuple(heights[corners].tolist())
    )

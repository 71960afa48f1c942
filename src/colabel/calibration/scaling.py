"""Slopes and intercepts of logits per label, drawn towards what the labels have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from colabel.metrics.decisions import UNKNOWN

COMMON_SPREAD = np.array([1.0, 3.0])
"""Standard deviations of the common log slope and intercept around 0, before any image is seen."""

LEAST_SPREAD = 0.05
"""Of the labels around what they have in common: smaller ones are taken for it."""

_POOLED = 200_000
_SOME = 4_000
_ROUNDS = 40
_TOLERANCE = 1e-4
_LARGEST_STEP = np.array([0.5, 2.0])
_FAR = 10.0
_OUTLIER = 10.0
_ORDINARY = 50.0


def fit_scaling(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int8], *, intercept: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Fit a slope and an intercept per label by the log loss, rare labels with the others' help.

    .. math::
        \max_{\theta, \mu, T} \sum_k \Bigl[ \sum_{i\ \text{known}} \log p(y_{ik} \mid s_{ik},
        \theta_k) + \log \mathcal{N}(\theta_k; \mu, T) \Bigr],
        \qquad \theta_k = (\log a_k, b_k)

    Source: empirical Bayes with Laplace's approximation: ``mu`` and ``T`` are the mean and the
    spread of the labels' parameters, the uncertainty of each added. What each label says itself
    is found by Fisher scoring, one step for all labels and one of ``mu`` and ``T`` in turn.

    Deviation: a few logits far from all others would decide the slope alone, so those that lie
    further outside the middle 98 % of their label than 10 times its width, and further than 50,
    are taken to lie there. The intercept of a label whose median is beyond 10 is measured at the
    median.

    Args:
        logits: shape (images, classes), finite.
        targets: 1 present, 0 absent, -1 unknown.
        intercept: whether to fit intercepts; else they are 0.

    Returns:
        Positive slopes and intercepts, shape (classes,).

    Example:
        >>> random = np.random.default_rng(0)
        >>> logits = random.normal(size=(20_000, 2)) * 2
        >>> targets = (random.random((20_000, 2)) < expit(0.5 * logits + 1)).astype(np.int8)
        >>> slopes, intercepts = fit_scaling(logits, targets, intercept=True)
        >>> slopes.round(1).tolist(), intercepts.round(1).tolist()
        ([0.5, 0.5], [1.0, 1.0])
    """
    logits, centres = _without_extremes(logits, centred=intercept)
    pooled = max(1, logits.size // _POOLED)
    common = _fit(
        logits.reshape(-1, 1)[::pooled],
        targets.reshape(-1, 1)[::pooled],
        _State.at(np.zeros((1, 2))),
        intercept,
    ).fitted[0]
    state = _State.at(np.tile(common, (logits.shape[1], 1)))
    # most rounds on some of the images: what is left to do on all of them is little
    for stride in dict.fromkeys((max(1, len(logits) // _SOME), 1)):
        state = _fit(logits[::stride], targets[::stride], state, intercept)
    slopes = np.exp(state.fitted[:, 0])
    return slopes, state.fitted[:, 1] - slopes * centres


def _without_extremes(
    logits: npt.NDArray[np.float64], *, centred: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return logits that a few steps can fit, and what was taken from those of each label."""
    some = logits[:: max(1, len(logits) // _SOME)]
    low, centres, high = np.percentile(some, [1, 50, 99], axis=0)
    reach = np.maximum(_OUTLIER * (high - low), _ORDINARY)
    fit = np.clip(logits, low - reach, high + reach)
    centres = np.where(centred & (np.abs(centres) > _FAR), centres, 0)
    return fit - centres, centres


@dataclass
class _State:
    """What is known so far: log slope and intercept of each label, their mean and spread."""

    fitted: npt.NDArray[np.float64]
    common: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]

    @classmethod
    def at(cls, fitted: npt.NDArray[np.float64]) -> _State:
        return cls(fitted, fitted.mean(axis=0), np.diag(np.full(2, 0.25)))


def _fit(
    logits: npt.NDArray[np.float64],
    targets: npt.NDArray[np.int8],
    state: _State,
    intercept: bool,
) -> _State:
    """Return the state after rounds enough."""
    fitted, common, spread = state.fitted.copy(), state.common, state.spread
    if not intercept:
        fitted[:, 1] = 0
    known = (targets != UNKNOWN).astype(np.float64)
    present = (targets == 1).astype(np.float64)
    for _ in range(_ROUNDS):
        gradient, information = _slopes_of_loss(logits, present, known, fitted)
        precision = np.linalg.inv(spread)
        gradient -= (fitted - common) @ precision
        curvature = information + precision
        if not intercept:
            gradient[:, 1] = 0
            curvature[:, 0, 1] = curvature[:, 1, 0] = 0
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        fitted += step
        common, spread = _common(fitted, np.linalg.inv(curvature))
        if np.abs(step).max() < _TOLERANCE:
            break
    return _State(fitted, common, spread)


def _slopes_of_loss(
    logits: npt.NDArray[np.float64],
    present: npt.NDArray[np.float64],
    known: npt.NDArray[np.float64],
    fitted: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the gradient of the log likelihood and the Fisher information of each label."""
    scaled = logits * np.exp(fitted[:, 0])
    probabilities = expit(scaled + fitted[:, 1])
    weights = probabilities * (1 - probabilities)
    weights *= known
    probabilities *= known
    rest = present - probabilities
    gradient = np.stack([np.einsum("ik,ik->k", rest, scaled), rest.sum(axis=0)], axis=1)
    mixed = np.einsum("ik,ik->k", weights, scaled)
    squares = np.einsum("ik,ik,ik->k", weights, scaled, scaled)
    information = np.empty((len(fitted), 2, 2))
    information[:, 0, 0], information[:, 1, 1] = squares, weights.sum(axis=0)
    information[:, 0, 1] = information[:, 1, 0] = mixed
    return gradient, information


def _common(
    fitted: npt.NDArray[np.float64], uncertainty: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean of the labels' parameters, itself held near 0, and their spread."""
    classes = len(fitted)
    share = classes / (classes + 1 / COMMON_SPREAD**2)
    common = fitted.mean(axis=0) * share
    from_common = fitted - common
    spread = (from_common.T @ from_common + uncertainty.sum(axis=0)) / classes
    spread = spread + np.eye(2) * LEAST_SPREAD**2
    return common, spread

r"""How given labels come from true ones, estimated without knowing any true one.

A label k of image i has a truth z, a given value y and calibrated log-odds s of a model:

.. math::
    P(z_{ik} = 1) = \sigma\Bigl(a_k s_{ik} + b_k + \sum_{j \ne k} w_{jk} (y_{ij} - p_{ij})\Bigr),
    \quad P(y = 0 \mid z = 1) = d_k, \quad P(y = 1 \mid z = 0) = u_k

The sum holds what the other labels of the image tell beyond what the model knows of them
(``p = sigmoid(s)``): a dog that the model overlooks makes its lead more likely. The rates of
labels that were dropped (d) and added (u) show in a calibration curve that ends above 0 and below
1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from colabel.metrics.decisions import UNKNOWN

ROUNDS = 40
"""Of expectation and maximisation; twice as many change no ranking that was measured."""

DEPENDENCE_FROM = 10
"""The round from which the other labels count: rates and curves come first."""

EXPECTED_RATE, EXPECTED_IMAGES = 0.02, 10.0
"""The common rates before any image is seen, and how many images that is worth."""

COMMON_IMAGES = 1000.0
"""How many images the common rates are worth to a label."""

HIGHEST_RATE = 0.4
LOWEST_RATE = 1e-5

_SPREAD = np.array([0.25, 1.0])
"""Standard deviations of log slope and intercept around 0."""

_EXPECTED_WEIGHT, _EXPECTED_PAIRS = 0.3, 5.0
"""Size of the weights of the other labels before any is seen, and how many pairs that is worth."""

_LARGEST_STEP = 0.5
_INNER_ROUNDS = 2
_START = 0.02

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelNoise:
    """What is known of the way from true labels to given ones.

    Args:
        slopes: a, positive, shape (classes,).
        intercepts: b, shape (classes,).
        weights: w, shape (classes, classes), from the label in the row to that in the column; 0 on
            the diagonal.
        dropped: share of the images that have the label in truth and are not given it.
        added: share of the images that have it not and are given it.
    """

    slopes: Array
    intercepts: Array
    weights: Array
    dropped: Array
    added: Array

    def log_odds(self, logits: Array, given: npt.NDArray[np.int8]) -> Array:
        """Return the log-odds of the true labels, before their own given value is looked at.

        Args:
            logits: calibrated, shape (images, classes).
            given: 1 present, 0 absent, -1 unknown.
        """
        return logits * self.slopes + self.intercepts + surplus(logits, given) @ self.weights


def surplus(logits: Array, given: npt.NDArray[np.int8]) -> Array:
    """Return what a given label tells beyond the model: given minus probability, 0 if unknown."""
    return np.where(given == UNKNOWN, 0.0, given - expit(logits))


def error_probability(
    log_odds: Array, given: npt.NDArray[np.int8], *, dropped: Array, added: Array
) -> Array:
    r"""Probability that a given label is wrong.

    .. math::
        P(z = 0 \mid y = 1) = \frac{u (1 - q)}{u (1 - q) + (1 - d) q}, \qquad
        P(z = 1 \mid y = 0) = \frac{d q}{d q + (1 - u) (1 - q)}, \qquad q = \sigma(\text{log-odds})

    Args:
        log_odds: of the true label, shape (images, classes).
        given: 1 present, 0 absent, -1 unknown.
        dropped: d, in (0, 1/2), shape (classes,).
        added: u, in (0, 1/2), shape (classes,).

    Returns:
        In [0, 1], falling with the log-odds where the label is given and rising where it is not;
        0 where it is unknown.

    Example:
        >>> rates = np.array([0.1])
        >>> given = np.array([[1], [0]], dtype=np.int8)
        >>> log_odds = np.array([[-2.0], [-2.0]])
        >>> error_probability(log_odds, given, dropped=rates, added=rates).round(3)
        array([[0.451], [0.015]])
    """
    # in log space: log-odds of an error
    wrong = np.where(
        given == 1,
        np.log(added / (1 - dropped)) - log_odds,
        np.log(dropped / (1 - added)) + log_odds,
    )
    return np.where(given == UNKNOWN, 0.0, expit(wrong))


def fit_noise(
    logits: Array, given: npt.NDArray[np.int8], *, dependence: bool = True, rounds: int = ROUNDS
) -> LabelNoise:
    r"""Estimate how given labels come from true ones.

    Source: expectation maximisation for class-conditional flips, as Mnih and Hinton 2012,
    "Learning to label aerial images from noisy data", have it with known rates. The rates of
    a label are drawn towards common ones: ``d`` the same for all, and
    ``u = c + e * present / absent``, the sum of flips that hit every image alike and of flips that
    add as many labels as they take away.

    Args:
        logits: calibrated log-odds of a model that has not seen these labels, shape (images,
            classes), finite.
        given: 1 present, 0 absent, -1 unknown.
        dependence: whether the other labels of an image count.
        rounds: of expectation and maximisation, at least 1.

    Example:
        >>> random = np.random.default_rng(0)
        >>> logits = random.normal(size=(20_000, 2)) * 4
        >>> true = random.random(logits.shape) < expit(logits)
        >>> given = (true ^ (random.random(logits.shape) < 0.1)).astype(np.int8)
        >>> noise = fit_noise(logits, given)
        >>> noise.dropped.round(2).tolist(), noise.added.round(2).tolist()
        ([0.1, 0.1], [0.1, 0.1])
    """
    classes = logits.shape[1]
    known = (given != UNKNOWN).astype(np.float64)
    curve = np.zeros((classes, 2))
    rates = _Rates(classes)
    others = _Others(surplus(logits, given)) if dependence and classes > 1 else None
    offset: Array | float = 0.0
    for done in range(rounds):
        log_odds = logits * np.exp(curve[:, 0]) + curve[:, 1] + offset
        wrong = error_probability(log_odds, given, dropped=rates.dropped, added=rates.added)
        rates.update(wrong, given, known)
        present = np.where(given == 1, 1 - wrong, wrong) * known
        curve = curve + _curve_step(logits, present, known, curve, offset)
        if others is not None and done >= DEPENDENCE_FROM:
            own = logits * np.exp(curve[:, 0]) + curve[:, 1]
            offset = others.update(own, present, known)
    return LabelNoise(
        slopes=np.exp(curve[:, 0]),
        intercepts=curve[:, 1],
        weights=np.zeros((classes, classes)) if others is None else others.weights,
        dropped=rates.dropped,
        added=rates.added,
    )


class _Rates:
    """The rates of labels that were dropped and added, each drawn towards the common ones."""

    def __init__(self, classes: int) -> None:
        self.dropped, self.added = np.full(classes, _START), np.full(classes, _START)
        self._alike = self._balanced = _START  # c and e

    def update(self, wrong: Array, given: npt.NDArray[np.int8], known: Array) -> None:
        """Count the labels that are probably wrong, among those that are probably there."""
        added = np.einsum("ik,ik->k", wrong, given == 1)
        dropped = np.einsum("ik,ik->k", wrong, given == 0)
        present = (given == 1).sum(axis=0) - added + dropped
        present = np.maximum(present, 1e-9)
        absent = np.maximum(known.sum(axis=0) - present, 1e-9)
        share = self._alike * absent / (self._alike * absent + self._balanced * present)
        self._alike = _rate((added * share).sum(), absent.sum())
        self._balanced = _rate((added * (1 - share)).sum(), present.sum())
        common_added = self._alike + self._balanced * present / absent
        common_dropped = _rate(dropped.sum(), present.sum())
        self.added = _drawn(added, absent, common_added)
        self.dropped = _drawn(dropped, present, common_dropped)


def _rate(errors: float, images: float) -> float:
    prior = EXPECTED_IMAGES * EXPECTED_RATE
    return float((errors + prior) / (images + EXPECTED_IMAGES))


def _drawn(errors: Array, images: Array, common: Array | float) -> Array:
    """Return the rate of each label, with the common rate worth a number of images."""
    common = np.minimum(common, HIGHEST_RATE)
    drawn: Array = (errors + COMMON_IMAGES * common) / (images + COMMON_IMAGES)
    return np.clip(drawn, LOWEST_RATE, HIGHEST_RATE)


def _curve_step(
    logits: Array, present: Array, known: Array, curve: Array, offset: Array | float
) -> Array:
    """Return one step of Fisher scoring for log slope and intercept, shape (classes, 2)."""
    scaled = logits * np.exp(curve[:, 0])
    probabilities = expit(scaled + curve[:, 1] + offset)
    curvature = probabilities * (1 - probabilities) * known
    rest = present - probabilities * known
    precision = _SPREAD**-2
    gradient = np.stack([np.einsum("ik,ik->k", rest, scaled), rest.sum(axis=0)], axis=1)
    gradient -= curve * precision
    information = np.empty((len(curve), 2, 2))
    information[:, 0, 0] = np.einsum("ik,ik,ik->k", curvature, scaled, scaled) + precision[0]
    information[:, 1, 1] = curvature.sum(axis=0) + precision[1]
    mixed = np.einsum("ik,ik->k", curvature, scaled)
    information[:, 0, 1] = information[:, 1, 0] = mixed
    step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


class _Others:
    r"""What each label tells of the others, by steps that share one matrix among all labels.

    The curvature of the log loss is at most 1/4 (Boehning 1992), so with ``A = X'X / 4 + 1 / t^2``
    every step ``A^{-1} g`` makes the loss smaller; that the weight of a label for itself stays 0
    is kept by a multiple of the column of the inverse that belongs to it.
    """

    def __init__(self, surplus: Array) -> None:
        classes = surplus.shape[1]
        self._surplus = surplus
        self._squares = surplus.T @ surplus
        self._size = _EXPECTED_WEIGHT
        self.weights = np.zeros((classes, classes))

    def update(self, own: Array, present: Array, known: Array) -> Array:
        """Take steps, estimate the size of the weights anew, return what the others add."""
        classes = len(self.weights)
        inverse = np.linalg.inv(self._squares / 4 + np.eye(classes) / self._size**2)
        probabilities = expit(own + self._surplus @ self.weights)
        for _ in range(_INNER_ROUNDS):
            gradient = self._surplus.T @ (present - probabilities * known)
            gradient -= self.weights / self._size**2
            step = inverse @ gradient
            step -= inverse * (np.diagonal(step) / np.diagonal(inverse))
            np.fill_diagonal(step, 0.0)  # it is, but for rounding
            self.weights = self.weights + step
            added = self._surplus @ self.weights
            probabilities = expit(own + added)
        curvature = probabilities * (1 - probabilities) * known
        information = (self._surplus**2).T @ curvature
        uncertainty = 1 / (information + self._size**-2)
        np.fill_diagonal(uncertainty, 0.0)
        total = (self.weights**2).sum() + uncertainty.sum()
        prior = _EXPECTED_PAIRS * _EXPECTED_WEIGHT**2
        pairs = classes * (classes - 1) + _EXPECTED_PAIRS
        self._size = float(np.sqrt((total + prior) / pairs))
        return added

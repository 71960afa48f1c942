"""How unsure a model is of an image as a whole."""

import numpy as np
from jaxtyping import Bool, Float


def joint_energy(
    logits: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, " images"]:
    r"""Minus the sum of the labels' energies: little evidence for any label.

    .. math:: -\sum_k \log\left(1 + e^{s_k}\right)

    Source: Wang et al., Can Multi-Label Classification Networks Know What They Don't Know?
    (2021), Eq. 6, with the opposite sign, so that higher is more outside.

    Args:
        logits: s, before any calibration.

    Returns:
        At most 0.

    Example:
        >>> joint_energy(np.array([[0.0, 0.0]])).round(4)  # -2 log 2
        array([-1.3863])
    """
    return -np.asarray(np.logaddexp(0.0, logits.astype(np.float64)).sum(axis=1))


def largest_probability(
    probabilities: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, " images"]:
    """Minus the largest probability of the image.

    Source: Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples (2017), with labels that do not exclude one another.

    Args:
        probabilities: in [0, 1].

    Returns:
        In [-1, 0].

    Example:
        >>> largest_probability(np.array([[0.25, 0.75]]))
        array([-0.75])
    """
    return np.asarray(-probabilities.max(axis=1), dtype=np.float64)


def nearest_given(
    distances: Float[np.ndarray, "images classes"],
    given: Bool[np.ndarray, "images classes"],
    probabilities: Float[np.ndarray, "images classes"],
) -> Float[np.ndarray, " images"]:
    """Smallest distance among the labels that an image is given.

    Args:
        distances: one per image and class.
        given: True where the label is given out.
        probabilities: where no label is given, the one with the largest probability takes its
            place.

    Returns:
        One distance per image.

    Example:
        >>> distances = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
        >>> given = np.array([[True, False, True], [False, False, False]])
        >>> nearest_given(distances, given, np.array([[0.8, 0.1, 0.6], [0.3, 0.1, 0.2]]))
        array([2., 3.])
    """
    largest = probabilities == probabilities.max(axis=1, keepdims=True)
    considered = np.where(given.any(axis=1, keepdims=True), given, largest)
    return np.asarray(np.where(considered, distances, np.inf).min(axis=1))

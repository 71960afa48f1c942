"""How unsure a model is of every (image, label) pair, read off its probabilities."""

import numpy as np
from jaxtyping import Bool, Float


def entropy(probabilities: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    r"""Entropy of a label that is present with the given probability, in nats.

    .. math:: H(p) = -p\log p - (1-p)\log(1-p)

    Args:
        probabilities: in [0, 1], any shape.

    Returns:
        From 0, at 0 and 1, to log 2, at 1/2.

    Example:
        >>> entropy(np.array([0.0, 0.5])).round(4)
        array([0.    , 0.6931])
    """
    values = probabilities.astype(np.float64)
    rest = 1 - values
    present = values * np.log(np.where(values > 0, values, 1.0))
    absent = rest * np.log1p(-np.where(rest > 0, values, 0.0))
    return np.maximum(-(present + absent), 0.0)


def margin(
    probabilities: Float[np.ndarray, "images classes"], thresholds: Float[np.ndarray, " classes"]
) -> Float[np.ndarray, "images classes"]:
    r"""Minus the distance from the threshold, in log-odds of the calibrated probability.

    .. math:: -\left|\log\frac{p}{1-p} - \log\frac{t}{1-t}\right|

    Args:
        probabilities: calibrated, in [0, 1].
        thresholds: one per class, >= 0; compared in the precision of the probabilities.

    Returns:
        At most 0, and 0 on the threshold. Minus infinity where probability or threshold decide
        alone: at probabilities of 0 and 1, at thresholds of 0 and of 1 or more.

    Example:
        >>> margin(np.array([[0.5, 0.9]]), np.array([0.5, 0.5])).round(4)
        array([[-0.    , -2.1972]])
    """
    cuts = thresholds.astype(probabilities.dtype)
    with np.errstate(invalid="ignore"):  # infinity less infinity, which is replaced below
        distance = np.abs(_logit(probabilities) - _logit(np.minimum(cuts, 1)))
    distance = np.where(np.isnan(distance), np.inf, distance)
    return -np.where(probabilities == cuts, 0.0, distance)


def error_probability(
    probabilities: Float[np.ndarray, "images classes"], given: Bool[np.ndarray, "images classes"]
) -> Float[np.ndarray, "images classes"]:
    """Chance that the answer is wrong, if the calibrated probability is right.

    Args:
        probabilities: calibrated, in [0, 1].
        given: True where the label is given out.

    Returns:
        1 - p for a label that is given out and p for one that is not, in [0, 1].

    Example:
        >>> error_probability(np.array([[0.75, 0.25]]), np.array([[True, False]]))
        array([[0.25, 0.25]])
    """
    values = probabilities.astype(np.float64)
    return np.where(given, 1 - values, values)


def predictive_entropy(
    samples: Float[np.ndarray, "samples images classes"],
) -> Float[np.ndarray, "images classes"]:
    """Entropy of the mean probability of several passes or runs, in nats.

    Source: Gal and Ghahramani, Dropout as a Bayesian Approximation (2016), for each label.

    Args:
        samples: probabilities in [0, 1].

    Returns:
        From 0 to log 2.

    Example:
        >>> predictive_entropy(np.array([[[0.0]], [[1.0]]])).round(4)
        array([[0.6931]])
    """
    return entropy(samples.mean(axis=0, dtype=np.float64))


def mutual_information(
    samples: Float[np.ndarray, "samples images classes"],
) -> Float[np.ndarray, "images classes"]:
    r"""How far several passes or runs disagree: entropy of the mean less the mean entropy.

    .. math:: H\Big(\frac1S\sum_s p_s\Big) - \frac1S\sum_s H(p_s)

    Source: Houlsby et al., Bayesian Active Learning for Classification and Preference Learning
    (2011), for each label.

    Args:
        samples: probabilities in [0, 1].

    Returns:
        From 0, where all agree, to log 2, in nats.

    Example:
        >>> mutual_information(np.array([[[0.0, 0.5]], [[1.0, 0.5]]])).round(4)
        array([[0.6931, 0.    ]])
    """
    total = np.zeros(samples.shape[1:])
    for one in samples:  # a pass at a time: all at once would need their memory several times
        total += entropy(one)
    return np.maximum(predictive_entropy(samples) - total / len(samples), 0.0)


def _logit(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    values = values.astype(np.float64)
    with np.errstate(divide="ignore"):  # the logs of 0
        return np.asarray(np.log(values) - np.log1p(-values))

"""What resamples say: intervals, p values, and p values of several comparisons together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from colabel.errors import ConfigError

ALPHA = 0.05
"""Chance of finding a difference where there is none; intervals hold the rest, 95 %."""
_NORMAL = 1.959963984540054  # standard deviations beyond which ALPHA of a normal variable lies
_ROUNDING = 1e-12  # a difference below it is one of rounding


@dataclass(frozen=True)
class Interval:
    """Where a value lies.

    Args:
        low: lower end; NaN where resampling says nothing.
        high: upper end.
        method: ``centred``; ``wilson`` where all draws gave 0 or all gave 1; ``none`` where
            there is no interval, as with a single image.
    """

    low: float
    high: float
    method: str


NO_INTERVAL = Interval(math.nan, math.nan, "none")


def centred_interval(
    values: Float[np.ndarray, " draws"], observed: float, *, units: int
) -> Interval:
    r"""Return the middle 95 % of the draws, moved so that their mean is the observed value.

    .. math:: \hat\theta - \bar\theta^* + [\, q_{0.025}, q_{0.975} \,]

    Where a class has few positives, the average precision of resampled images is higher than that
    of the images themselves, since a positive that is drawn twice stands beside itself. That is no
    property of other images and is taken away.

    Source: the percentile interval (Efron 1979).

    Deviation: it is moved. In simulations with 2 to 40 positives a class it holds the mean of
    other samples as often as it says (94 to 96 %), the percentiles themselves less often where
    positives are few (91 %).

    Args:
        values: one per draw; draws with NaN are left out.
        observed: the value of the images as they are.
        units: how many images or groups were drawn from. Of one, every draw is the same, so there
            is no interval.

    Example:
        >>> centred_interval(np.arange(201.0), 90.0, units=50)
        Interval(low=-5.0, high=185.0, method='centred')
    """
    moved = _moved(values, observed)
    if units < 2 or not len(moved):
        return NO_INTERVAL
    low, high = np.quantile(moved, [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(float(low), float(high), "centred")


def _moved(
    values: Float[np.ndarray, " draws"], observed: float
) -> Float[np.ndarray, " defined_draws"]:
    """Return the draws that are defined, moved so that their mean is the observed value."""
    defined: Float[np.ndarray, " defined_draws"] = values[~np.isnan(values)]
    if len(defined):
        defined += observed - defined.mean()
    return defined


def score_interval(
    values: Float[np.ndarray, " draws"],
    observed: float,
    *,
    units: int,
    positives: Int[np.ndarray, " classes"],
) -> Interval:
    r"""Return the interval of a score, within [0, 1], or one with a width at 0 and 1.

    A model that makes no error on these images makes none in any draw, which does not mean that
    it never will. The interval is then the mean over the classes of Wilson's for a share of 1 (or
    0) in as many trials as the class has positives:

    .. math:: \frac{1}{K} \sum_k \frac{n_k}{n_k + z^2} \le \text{score} \le 1

    Source: Wilson 1927.

    Args:
        values: one per draw; draws with NaN are left out.
        observed: the value of the images as they are.
        units: as for :func:`centred_interval`.
        positives: of each class, images or groups as they are drawn; classes without any are left
            out.

    Example:
        >>> interval = score_interval(np.ones(100), 1.0, units=50, positives=np.array([10, 0]))
        >>> round(interval.low, 3), interval.method
        (0.722, 'wilson')
    """
    interval = centred_interval(values, observed, units=units)
    if interval.method == "none":
        return interval
    if not math.isclose(interval.low, interval.high) or interval.low not in (0.0, 1.0):
        low, high = (min(1.0, max(0.0, end)) for end in (interval.low, interval.high))
        return Interval(low, high, interval.method)
    counts = positives[positives > 0]
    kept = float((counts / (counts + _NORMAL**2)).mean())
    return Interval(kept, 1.0, "wilson") if interval.low else Interval(0.0, 1 - kept, "wilson")


def bootstrap_p_value(
    differences: Float[np.ndarray, " draws"], observed: float, *, units: int
) -> float:
    r"""Return how surprising the draws would be if there were no difference, on both sides.

    .. math:: p = \min(1, 2 \min(1 + \#\{d \le 0\}, 1 + \#\{d \ge 0\}) / (1 + B))

    with draws d that are moved to the observed difference as :func:`centred_interval` moves them.
    It falls below 0.05 where that interval leaves out 0, but for the one that is added
    so that no p value is 0.

    Source: Davison and Hinkley 1997, Sec. 4.2 (the added one); both sides as twice the smaller.

    Args:
        differences: one per draw; draws with NaN are left out.
        observed: the difference on the images as they are.
        units: how many images or groups were drawn from; one tells nothing, so p is 1.

    Returns:
        A value in (0, 1].

    Example:
        >>> bootstrap_p_value(np.array([0.1, 0.2, 0.3, -0.1]), 0.125, units=9)
        0.8
        >>> bootstrap_p_value(np.zeros(4), 0.0, units=9)
        1.0
    """
    moved = _moved(differences, observed)
    if units < 2:
        return 1.0
    below = 1 + int(np.count_nonzero(moved <= _ROUNDING))
    above = 1 + int(np.count_nonzero(moved >= -_ROUNDING))
    return min(1.0, 2 * min(below, above) / (1 + len(moved)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    r"""Adjust p values of several comparisons, so that one false find among all stays rare.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    Source: Holm 1979.

    Args:
        p_values: in any order, each in [0, 1].

    Returns:
        One for each, in the order given, none smaller than before.

    Raises:
        ConfigError: if one lies outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ConfigError(f"p values lie in [0, 1], got {list(p_values)}.")
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return tuple(adjusted)


def usual_draws(pairs: int) -> int:
    """Return how many draws are enough: 1,000, or twice as many as many pairs need.

    Example:
        >>> usual_draws(1), usual_draws(120)
        (1000, 9598)
    """
    return max(1000, 2 * draws_needed(pairs))


def draws_needed(pairs: int) -> int:
    """Return how many draws the smallest p value of some pairs needs to be 0.05 after Holm.

    Example:
        >>> draws_needed(1), draws_needed(66)
        (39, 2639)
    """
    return math.ceil(2 * pairs / ALPHA - 1e-9) - 1

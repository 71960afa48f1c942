"""Intervals and p values against loops and by hand, and how often the interval holds the truth."""

import math

import numpy as np
import pytest
from reference import bootstrap as reference

from colabel.errors import ConfigError
from colabel.metrics import (
    Answers,
    Resamples,
    bootstrap_p_value,
    holm,
    paired_bootstrap,
    percentile_interval,
    score_interval,
)
from colabel.metrics.significance import draws_needed


@pytest.mark.parametrize("draws", [2, 39, 1000])
def test_intervals_and_p_values_equal_the_loops(draws):
    values = np.random.default_rng(draws).normal(0.5, 1, draws)
    interval = percentile_interval(values, units=10)
    assert interval.low == pytest.approx(reference.percentile(values.tolist(), 0.025), abs=1e-12)
    assert interval.high == pytest.approx(reference.percentile(values.tolist(), 0.975), abs=1e-12)
    assert bootstrap_p_value(values, units=10) == reference.p_value(values.tolist())
    with_gaps = np.concatenate([[math.nan], values])
    assert percentile_interval(with_gaps, units=10) == interval
    assert bootstrap_p_value(with_gaps, units=10) == reference.p_value(values.tolist())


def test_identical_models_differ_with_p_1():
    assert bootstrap_p_value(np.zeros(1000), units=50) == 1
    assert bootstrap_p_value(np.full(1000, 1e-15), units=50) == 1  # nor by rounding


def test_both_sides_count():
    values = np.full(999, 0.1)
    assert bootstrap_p_value(values, units=50) == bootstrap_p_value(-values, units=50) == 2 / 1000


def test_one_image_tells_nothing():
    interval = percentile_interval(np.full(9, 0.2), units=1)
    assert (interval.method, math.isnan(interval.low)) == ("none", True)
    assert bootstrap_p_value(np.full(9, 0.2), units=1) == 1
    assert percentile_interval(np.full(9, math.nan), units=5).method == "none"


def test_holm_by_hand():
    # sorted .005 .01 .03 .04; times 4 3 2 1: .02 .03 .06 .04, of which the last rises to .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.7, 0.6]) == (1.0, 1.0)
    assert holm([]) == ()
    with pytest.raises(ConfigError, match=r"p values lie in \[0, 1\], got \[2\]"):
        holm([2])


def test_holm_equals_the_loops():
    values = np.random.default_rng(0).random(20) ** 3
    assert holm(values.tolist()) == pytest.approx(reference.holm(values.tolist()))


def test_a_score_of_1_or_0_in_every_draw_has_a_width():
    positives = np.array([4, 0, 16])
    low = (4 / (4 + 1.959963984540054**2) + 16 / (16 + 1.959963984540054**2)) / 2
    interval = score_interval(np.ones(20), units=30, positives=positives)
    assert (interval.low, interval.high) == pytest.approx((low, 1))
    assert interval.method == "wilson"
    interval = score_interval(np.zeros(20), units=30, positives=positives)
    assert (interval.low, interval.high) == pytest.approx((0, 1 - low))
    values = np.linspace(0.2, 0.4, 20)
    assert score_interval(values, units=30, positives=positives) == percentile_interval(
        values, units=30
    )
    assert score_interval(np.ones(20), units=1, positives=positives).method == "none"


def test_so_many_draws_can_find_a_difference():
    for pairs in (1, 3, 66):
        draws = draws_needed(pairs)
        assert holm([bootstrap_p_value(np.ones(draws), units=9)] * pairs)[0] <= 0.05
        assert holm([bootstrap_p_value(np.ones(draws - 1), units=9)] * pairs)[0] > 0.05


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    """Two models of one quality and one of a better one, on fresh images 150 times.

    The truth of the better one comes from many images. 95 % of 150 are 142.5, with a standard
    deviation of 2.7; percentiles of few images are a little narrow.
    """
    generator = np.random.default_rng(0)

    def images(number):
        targets = (generator.random((number, 4)) < 0.15).astype(np.int8)
        signal = 1.5 * targets
        noises = [generator.normal(0, 1, targets.shape) for _ in range(3)]
        shared = noises[0]
        return targets, [
            signal + (shared + noises[1]) / 2,
            signal + (shared + noises[2]) / 2,
            signal + (shared + noises[2]) / 4,
        ]

    def differences(targets, scores, resamples):
        values = paired_bootstrap([Answers(one) for one in scores], targets, resamples).values
        return values["mAP"][0] - values["mAP"][1], values["mAP"][2] - values["mAP"][0]

    targets, scores = images(100_000)
    truth = [0.0, float(differences(targets, scores, Resamples(100_000, 3, 0))[1].mean())]
    held, found = [0, 0], [0, 0]
    for trial in range(150):
        targets, scores = images(300)
        for index, drawn in enumerate(differences(targets, scores, Resamples(300, 200, trial))):
            interval = percentile_interval(drawn, units=300)
            held[index] += interval.low <= truth[index] <= interval.high
            found[index] += bootstrap_p_value(drawn, units=300) <= 0.05
    assert 133 <= held[0] <= 149
    assert 133 <= held[1] <= 149
    assert found[0] <= 17  # 7.5 expected
    assert found[1] == 150

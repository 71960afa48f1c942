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
    centred_interval,
    evaluate_scores,
    holm,
    paired_bootstrap,
    score_interval,
)
from colabel.metrics.significance import draws_needed


@pytest.mark.parametrize("draws", [2, 39, 1000])
def test_intervals_and_p_values_equal_the_loops(draws):
    values = np.random.default_rng(draws).normal(0.5, 1, draws)
    moved = reference.centred(values.tolist(), 0.3)
    interval = centred_interval(values, 0.3, units=10)
    assert interval.low == pytest.approx(reference.percentile(moved, 0.025), abs=1e-12)
    assert interval.high == pytest.approx(reference.percentile(moved, 0.975), abs=1e-12)
    assert bootstrap_p_value(values, 0.3, units=10) == reference.p_value(moved)
    with_gaps = np.concatenate([[math.nan], values])
    assert centred_interval(with_gaps, 0.3, units=10) == interval
    assert bootstrap_p_value(with_gaps, 0.3, units=10) == reference.p_value(moved)


def test_identical_models_differ_with_p_1():
    assert bootstrap_p_value(np.zeros(1000), 0.0, units=50) == 1
    assert bootstrap_p_value(np.full(1000, 1e-15), 1e-15, units=50) == 1  # nor by rounding


def test_both_sides_count():
    values = np.full(999, 0.1)
    for sign in (1, -1):
        assert bootstrap_p_value(sign * values, sign * 0.1, units=50) == 2 / 1000


def test_one_image_tells_nothing():
    interval = centred_interval(np.full(9, 0.2), 0.2, units=1)
    assert (interval.method, math.isnan(interval.low)) == ("none", True)
    assert bootstrap_p_value(np.full(9, 0.2), 0.2, units=1) == 1
    assert centred_interval(np.full(9, math.nan), math.nan, units=5).method == "none"


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
    interval = score_interval(np.ones(20), 1.0, units=30, positives=positives)
    assert (interval.low, interval.high) == pytest.approx((low, 1))
    assert interval.method == "wilson"
    interval = score_interval(np.zeros(20), 0.0, units=30, positives=positives)
    assert (interval.low, interval.high) == pytest.approx((0, 1 - low))
    values = np.linspace(0.2, 0.4, 20)
    assert score_interval(values, 0.3, units=30, positives=positives) == centred_interval(
        values, 0.3, units=30
    )
    interval = score_interval(values, 0.95, units=30, positives=positives)
    assert interval.high == 1
    assert interval.low > 0.8
    assert score_interval(np.ones(20), 1.0, units=1, positives=positives).method == "none"


def test_so_many_draws_can_find_a_difference():
    for pairs in (1, 3, 66):
        draws = draws_needed(pairs)
        assert holm([bootstrap_p_value(np.ones(draws), 1.0, units=9)] * pairs)[0] <= 0.05
        assert holm([bootstrap_p_value(np.ones(draws - 1), 1.0, units=9)] * pairs)[0] > 0.05


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
        logits = [
            signal + (shared + noises[1]) / 2,
            signal + (shared + noises[2]) / 2,
            signal + (shared + noises[2]) / 4,
        ]
        return targets, [1 / (1 + np.exp(-one)) for one in logits]

    def differences(targets, scores, resamples):
        answers = [Answers(one) for one in scores]
        drawn = paired_bootstrap(answers, targets, resamples).values["mAP"]
        seen = [evaluate_scores(one, targets).mean_average_precision for one in scores]
        return [(drawn[i] - drawn[j], seen[i] - seen[j]) for i, j in ((0, 1), (2, 0))]

    targets, scores = images(100_000)
    better, other = (evaluate_scores(scores[i], targets) for i in (2, 0))
    truth = [0.0, better.mean_average_precision - other.mean_average_precision]
    held, found = [0, 0], [0, 0]
    for trial in range(150):
        targets, scores = images(300)
        pairs = differences(targets, scores, Resamples(300, 200, trial))
        for index, (drawn, seen) in enumerate(pairs):
            interval = centred_interval(drawn, seen, units=300)
            held[index] += interval.low <= truth[index] <= interval.high
            found[index] += bootstrap_p_value(drawn, seen, units=300) <= 0.05
    assert 133 <= held[0] <= 149
    assert 133 <= held[1] <= 149
    assert found[0] <= 17  # 7.5 expected
    assert found[1] == 150

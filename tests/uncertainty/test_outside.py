"""Inside against outside: scikit-learn, loops and the ends of the scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uncertainty as reference
from sklearn.metrics import roc_auc_score, roc_curve

from colabel.errors import DataError
from colabel.uncertainty import out_of_distribution

levels = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=45)


def scikit_learn(inside, outside):
    labels = np.repeat([1, 0], [len(inside), len(outside)])
    confidence = -np.concatenate([inside, outside])
    false, true, thresholds = roc_curve(labels, confidence, drop_intermediate=False)
    first = np.argmax(true >= 0.95)
    return roc_auc_score(labels, confidence), false[first], -thresholds[first]


@given(inside=levels, outside=levels)
def test_equals_scikit_learn_and_the_loops(inside, outside):
    result = out_of_distribution(inside, outside)
    auroc, fpr95, threshold = scikit_learn(inside, outside)
    assert result.auroc == pytest.approx(auroc)
    assert result.fpr95 == pytest.approx(fpr95)
    assert result.threshold == threshold
    assert result.auroc == pytest.approx(reference.chance_of_order(inside, outside))
    assert result.fpr95 == pytest.approx(reference.accepted_at_95(inside, outside))


@pytest.mark.parametrize("images", [1, 19, 20, 21, 40, 99, 100, 1000])
def test_the_threshold_accepts_95_of_100_and_not_one_more(images):
    result = out_of_distribution(np.arange(images), [0.5])
    accepted = np.count_nonzero(np.arange(images) <= result.threshold)
    assert 100 * accepted >= 95 * images > 100 * (accepted - 1)


def test_perfect_opposite_and_useless_scores():
    low, high = np.arange(10), np.arange(10, 20)
    assert out_of_distribution(low, high).auroc == 1
    assert out_of_distribution(low, high).fpr95 == 0
    assert out_of_distribution(high, low).auroc == 0
    assert out_of_distribution(high, low).fpr95 == 1
    same = out_of_distribution(np.zeros(5), np.zeros(7))
    assert (same.auroc, same.fpr95) == (0.5, 1)


@given(inside=levels, outside=levels, seed=st.integers(0, 1000))
def test_order_and_units_change_nothing(inside, outside, seed):
    result = out_of_distribution(inside, outside)
    generator = np.random.default_rng(seed)
    moved = out_of_distribution(
        np.exp(generator.permutation(inside)), np.exp(generator.permutation(outside))
    )
    assert (moved.auroc, moved.fpr95) == (result.auroc, result.fpr95)


def test_infinite_scores():
    result = out_of_distribution([-np.inf, 0.0], [np.inf])
    assert (result.auroc, result.fpr95) == (1, 0)


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        ([], [1.0], "inside must be a vector with at least one value"),
        ([1.0], [], "outside must be a vector with at least one value"),
        ([1.0], [[1.0]], r"outside must be a vector .* got shape \(1, 1\)"),
        ([1.0], [np.nan], "outside must not be NaN"),
    ],
)
def test_refuses_what_cannot_be_compared(inside, outside, message, unchecked_shapes):
    with pytest.raises(DataError, match=message):
        out_of_distribution(inside, outside)

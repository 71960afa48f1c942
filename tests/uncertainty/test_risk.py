"""Risk and coverage against every order of ties, and rankings whose area is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uncertainty as reference
from sklearn.metrics import roc_auc_score

from colabel.errors import DataError
from colabel.uncertainty import augrc, aurc, image_errors, pair_errors, risk_coverage

answers = st.tuples(st.integers(0, 3).map(float), st.sampled_from([0.0, 1.0, 0.25, 2 / 3]))


def draw(seed, *, images=300, levels=None, wrong=0.2):
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=images)
    if levels is not None:
        scores = np.round(scores * levels) / levels
    return scores, (generator.random(images) < wrong).astype(float)


@given(rows=st.lists(answers, min_size=1, max_size=6))
def test_equals_the_mean_over_every_order_of_ties(rows):
    scores, errors = map(list, zip(*rows, strict=True))
    coverage, risk = reference.expected_curve(scores, errors)
    curve = risk_coverage(scores, errors)
    np.testing.assert_allclose(curve.coverage, coverage, atol=1e-12)
    np.testing.assert_allclose(curve.risk, risk, atol=1e-12)
    assert aurc(scores, errors) == pytest.approx(reference.area(coverage, risk))
    assert augrc(scores, errors) == pytest.approx(reference.generalised_area(coverage, risk))


def test_without_ties_it_is_the_one_order():
    scores, errors = draw(0)
    coverage, risk = reference.curve_of_order(list(errors[np.argsort(scores)]))
    curve = risk_coverage(scores, errors)
    np.testing.assert_allclose(curve.coverage, coverage, atol=1e-12)
    np.testing.assert_allclose(curve.risk, risk, atol=1e-12)
    np.testing.assert_allclose(curve.generalised_risk, np.multiply(coverage, risk), atol=1e-12)


def test_known_rankings_of_five_with_two_errors():
    perfect, worst = [0, 0, 0, 1, 1], [1, 1, 0, 0, 0]
    order = [1, 2, 3, 4, 5]
    assert aurc(order, perfect) == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert aurc(order, worst) == pytest.approx((1 + 1 + 2 / 3 + 2 / 4 + 2 / 5) / 5)
    assert augrc(order, perfect) == pytest.approx((1 + 2) / 25)
    assert augrc(order, worst) == pytest.approx((1 + 2 + 2 + 2 + 2) / 25)


def test_a_score_that_tells_nothing_has_the_base_risk():
    _, errors = draw(1)
    base = errors.mean()
    assert aurc(np.zeros(300), errors) == pytest.approx(base)
    assert augrc(np.zeros(300), errors) == pytest.approx(base * 301 / 600)
    np.testing.assert_allclose(risk_coverage(np.zeros(300), errors).risk, base)


@pytest.mark.parametrize("levels", [None, 5, 1])
def test_augrc_follows_from_the_area_under_the_roc_curve(levels):
    scores, errors = draw(2, levels=levels)
    wrong = errors.mean()
    area = roc_auc_score(errors, scores)
    paper = (1 - area) * wrong * (1 - wrong) + wrong**2 / 2
    assert augrc(scores, errors) == pytest.approx(paper + wrong / 600)


@pytest.mark.parametrize("measure", [aurc, augrc])
@given(rows=st.lists(answers, min_size=1, max_size=30), seed=st.integers(0, 1000))
def test_order_of_the_input_and_units_of_the_scores_change_nothing(measure, rows, seed):
    scores, errors = np.array(rows).T
    value = measure(scores, errors)
    order = np.random.default_rng(seed).permutation(len(scores))
    assert measure(scores[order], errors[order]) == pytest.approx(value, abs=1e-12)
    for transform in (np.exp, np.arctan, lambda s: 3 * s - 7):
        assert measure(transform(scores), errors) == pytest.approx(value, abs=1e-12)


@given(rows=st.lists(answers, min_size=1, max_size=30))
def test_no_ranking_is_better_than_the_errors_themselves_or_worse_than_their_opposite(rows):
    scores, errors = np.array(rows).T
    for measure in (aurc, augrc):
        best, worst = measure(errors, errors), measure(-errors, errors)
        assert best - 1e-12 <= measure(scores, errors) <= worst + 1e-12


def test_one_answer():
    curve = risk_coverage([0.3], [True])
    assert (curve.coverage.tolist(), curve.risk.tolist()) == ([1], [1])


def test_infinite_scores_are_first_and_last():
    assert aurc([np.inf, -np.inf, 0], [1, 0, 0]) == aurc([3, 1, 2], [1, 0, 0])
    assert aurc([np.inf, np.inf], [1, 0]) == 0.5


def test_errors_of_pairs_and_images_by_counting():
    given_out = np.array([[True, False, True], [False, False, True]])
    targets = np.array([[1, 1, -1], [0, -1, 0]], dtype=np.int8)
    np.testing.assert_array_equal(
        pair_errors(given_out, targets), [[0, 1, np.nan], [0, np.nan, 1]]
    )
    np.testing.assert_array_equal(image_errors(given_out, targets), [0.5, 0.5])
    np.testing.assert_array_equal(
        image_errors(given_out, targets),
        np.nanmean(pair_errors(given_out, targets), axis=1),
    )


@pytest.mark.parametrize(
    ("scores", "errors", "message"),
    [
        ([], [], "at least one value"),
        ([[0.1]], [[1]], r"shape \(1, 1\); of values per image and class take the known ones"),
        (["a"], [1], "scores must be numbers, got an array of <U1"),
        ([0.1, 0.2], [1], "one length, got 2 scores and 1 errors"),
        ([0.1, np.nan], [1, 0], "scores must not be NaN, got one at position 1"),
        ([0.1, 0.2], [np.nan, 0], "errors must not be NaN, got one at position 0.*leave these"),
        ([0.1, 0.2], [1, -1], r"finite and not negative, got values from -1\.0 to 1\.0"),
        ([0.1, 0.2], [1, np.inf], "to inf"),
    ],
)
def test_refuses_what_cannot_be_ranked(scores, errors, message, unchecked_shapes):
    for measure in (aurc, augrc, risk_coverage):
        with pytest.raises(DataError, match=message):
            measure(scores, errors)

"""Calibration error, Brier score and reliability against loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uncertainty as reference
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss

from colabel.errors import ConfigError, DataError
from colabel.uncertainty import brier, expected_calibration_error, reliability


def draw(seed, *, images=120, classes=5, levels=None, unknown=0.2):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((images, classes))
    if levels is not None:
        probabilities = np.round(probabilities * levels) / levels
    targets = (generator.random((images, classes)) < probabilities**2).astype(np.int8)
    targets[generator.random((images, classes)) < unknown] = -1
    return probabilities, targets


cells = st.tuples(st.integers(0, 6).map(lambda level: level / 6), st.sampled_from([1, 0, -1]))


@given(rows=st.lists(cells, min_size=1, max_size=25), bins=st.integers(1, 20))
def test_one_class_equals_the_loops(rows, bins):
    probabilities, labels = zip(*rows, strict=True)
    column, truth = np.array(probabilities)[:, None], np.array(labels)[:, None]
    np.testing.assert_allclose(
        expected_calibration_error(column, truth, bins)[0],
        reference.calibration_error(probabilities, labels, bins),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        brier(column, truth)[0], reference.brier(probabilities, labels), atol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [None, 30, 2])
def test_several_classes_equal_the_loops(levels, dtype):
    probabilities, targets = draw(0, levels=levels)
    probabilities = probabilities.astype(dtype)
    targets[:, 1] = -1
    targets[:, 3] = np.minimum(targets[:, 3], 0)
    classes = list(zip(probabilities.T.tolist(), targets.T.tolist(), strict=True))
    values = expected_calibration_error(probabilities, targets)
    expected = [reference.calibration_error(p, y, 15) for p, y in classes]
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert np.isnan(values).tolist() == [False, True, False, False, False]
    expected = [reference.brier(p, y) for p, y in classes]
    np.testing.assert_allclose(brier(probabilities, targets), expected, atol=1e-12)


def test_brier_equals_scikit_learn():
    probabilities, targets = draw(1)
    for index, value in enumerate(brier(probabilities, targets)):
        known = targets[:, index] != -1
        expected = brier_score_loss(
            targets[known, index], probabilities[known, index], pos_label=1
        )
        assert value == pytest.approx(expected, abs=1e-12)


def test_bins_of_untied_probabilities_are_of_equal_size():
    probabilities = np.linspace(0, 1, 30)[:, None]
    rows = reliability(probabilities, np.zeros((30, 1)), bins=6)
    assert rows.count.tolist() == [5] * 6
    np.testing.assert_allclose(rows.probability, probabilities.reshape(6, 5).mean(axis=1))


def test_fewer_images_than_bins_give_the_mean_distance():
    probabilities, targets = draw(2, images=7, unknown=0)
    values = expected_calibration_error(probabilities, targets, bins=15)
    np.testing.assert_allclose(values, np.abs(probabilities - targets).mean(axis=0))


def test_probabilities_that_are_the_frequencies_have_no_error():
    probabilities = np.repeat([0.25, 0.75], 4)[:, None]
    targets = np.array([0, 0, 0, 1, 1, 1, 1, 0])[:, None]
    assert expected_calibration_error(probabilities, targets, bins=2)[0] == 0
    assert brier(probabilities, targets)[0] == pytest.approx(0.1875)


def test_always_wrong_and_sure_is_the_worst():
    targets = np.array([[1, 0], [0, 1]])
    assert expected_calibration_error(1 - targets, targets).tolist() == [1, 1]
    assert brier(1 - targets, targets).tolist() == [1, 1]


@given(rows=st.lists(cells, min_size=1, max_size=40), seed=st.integers(0, 1000))
def test_order_of_images_and_swapping_present_for_absent_change_nothing(rows, seed):
    probabilities, targets = (np.array(values)[:, None] for values in zip(*rows, strict=True))
    order = np.random.default_rng(seed).permutation(len(rows))
    for bins in (1, 4, 15):
        value = expected_calibration_error(probabilities, targets, bins)
        moved = expected_calibration_error(probabilities[order], targets[order], bins)
        np.testing.assert_allclose(moved, value, atol=1e-12)
    swapped = np.where(targets == -1, -1, 1 - targets)
    np.testing.assert_allclose(brier(1 - probabilities, swapped), brier(probabilities, targets))


def test_what_unknown_labels_have_for_a_probability_changes_nothing():
    probabilities, targets = draw(3)
    other = np.where(targets == -1, 1 - probabilities, probabilities)
    for measure in (expected_calibration_error, brier):
        np.testing.assert_array_equal(measure(other, targets), measure(probabilities, targets))
    np.testing.assert_array_equal(
        reliability(other, targets).present, reliability(probabilities, targets).present
    )


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_reliability_equals_the_loops_and_scipy(levels, confidence):
    probabilities, targets = draw(4, levels=levels)
    rows = reliability(probabilities, targets, bins=10, confidence=confidence)
    flat = [values.ravel().tolist() for values in (probabilities, targets)]
    expected = [one for one in reference.bins_of(*flat, 10) if one]
    assert rows.count.tolist() == [len(one) for one in expected]
    for index, one in enumerate(expected):
        present = sum(y for _, y in one)
        assert rows.probability[index] == pytest.approx(sum(p for p, _ in one) / len(one))
        assert rows.present[index] == pytest.approx(present / len(one))
        interval = binomtest(present, len(one)).proportion_ci(confidence, method="wilson")
        assert rows.low[index] == pytest.approx(interval.low, abs=1e-12)
        assert rows.high[index] == pytest.approx(interval.high, abs=1e-12)


def test_nothing_known_has_no_rows():
    nothing = np.full((3, 2), -1)
    assert len(reliability(np.zeros((3, 2)), nothing).count) == 0
    assert np.isnan(expected_calibration_error(np.zeros((3, 2)), nothing)).all()
    assert np.isnan(brier(np.zeros((3, 2)), nothing)).all()


def test_inputs_are_left_as_they_are():
    probabilities, targets = draw(5)
    before = probabilities.copy(), targets.copy()
    expected_calibration_error(probabilities, targets)
    reliability(probabilities, targets)
    np.testing.assert_array_equal(probabilities, before[0])
    np.testing.assert_array_equal(targets, before[1])


@pytest.mark.parametrize("measure", [expected_calibration_error, brier, reliability])
@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        ([[1.5]], [[1]], r"probabilities must be probabilities in \[0, 1\], got values from 1.5"),
        ([[np.nan]], [[1]], "probabilities: the value of image 0, class 0 is not a number"),
        ([0.5], [1], "probabilities must have shape"),
        ([[0.5]], [[1, 0]], r"the probabilities' shape .* = \(1, 1\), got \(1, 2\)"),
        ([[0.5]], [[2]], "targets must be 1 .* got 2 for image 0, class 0"),
    ],
)
def test_refuses_values(measure, probabilities, targets, message, unchecked_shapes):
    with pytest.raises(DataError, match=message):
        measure(probabilities, targets)


def test_refuses_options():
    with pytest.raises(ConfigError, match="bins must be at least 1, got 0"):
        expected_calibration_error([[0.5]], [[1]], bins=0)
    with pytest.raises(ConfigError, match="bins must be at least 1, got -1"):
        reliability([[0.5]], [[1]], bins=-1)
    for confidence in (0, 1, 95, float("nan")):
        with pytest.raises(ConfigError, match=f"between 0 and 1, got {confidence}"):
            reliability([[0.5]], [[1]], confidence=confidence)

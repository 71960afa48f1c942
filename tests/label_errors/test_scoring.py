"""Which labels are wrong: the equations against loops, planted errors, odd input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import label_errors as reference
from scipy.special import expit
from sklearn.metrics import average_precision_score

from colabel.errors import DataError
from colabel.label_errors import error_probability, fit_noise, suspicion

UNKNOWN = -1


def scenes(seed, *, images=3000, classes=6, spread=2.5, centre=-2.0, tied=0.0):
    """Return what a calibrated model says, and the truth; ``tied`` makes labels go together."""
    random = np.random.default_rng(seed)
    seen = random.normal(size=(images, classes)) * spread + centre
    hidden = tied * random.normal(size=(images, 1))
    true = (random.random(seen.shape) < expit(seen + hidden)).astype(np.int8)
    return expit(seen), true


def flipped(true, seed, *, dropped, added):
    """Return labels of which shares were dropped and added."""
    rates = np.where(true == 1, dropped, added)
    return np.where(np.random.default_rng(seed).random(true.shape) < rates, 1 - true, true)


def found(scores, errors):
    return average_precision_score(errors.ravel(), scores.ravel())


def self_confidence(probabilities, labels):
    return np.where(labels == 1, 1 - probabilities, probabilities)


class TestLoops:
    @given(
        log_odds=st.floats(-30, 30),
        label=st.sampled_from([1, 0, -1]),
        dropped=st.floats(1e-5, 0.4),
        added=st.floats(1e-5, 0.4),
    )
    def test_bayes_rule(self, log_odds, label, dropped, added):
        (chance,) = error_probability(
            np.array([log_odds]),
            np.array([label], dtype=np.int8),
            dropped=np.array([dropped]),
            added=np.array([added]),
        )
        expected = reference.wrong(log_odds, label, dropped, added)
        assert chance == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert 0 <= chance <= 1

    @pytest.mark.parametrize("dependence", [False, True])
    def test_expectation_and_maximisation(self, dependence):
        probabilities, true = scenes(0, images=60, classes=3, tied=1.0)
        labels = flipped(true, 1, dropped=0.1, added=0.05)
        labels[np.random.default_rng(2).random(labels.shape) < 0.1] = UNKNOWN
        logits = np.log(probabilities / (1 - probabilities))
        noise = fit_noise(logits, labels, dependence=dependence, rounds=14)
        ours = error_probability(
            noise.log_odds(logits, labels), labels, dropped=noise.dropped, added=noise.added
        )
        loops = reference.suspicions(
            logits.tolist(), labels.tolist(), dependence=dependence, rounds=14
        )
        assert np.abs(ours - np.array(loops)).max() < 1e-9
        assert dependence == bool(noise.weights.any())
        assert not np.diagonal(noise.weights).any()


class TestPlanted:
    @pytest.mark.parametrize(("dropped", "added"), [(0.05, 0.05), (0.2, 0.01), (0.02, 0.1)])
    def test_rates_are_found(self, dropped, added):
        probabilities, true = scenes(0, images=20_000)
        labels = flipped(true, 1, dropped=dropped, added=added)
        noise = fit_noise(np.log(probabilities / (1 - probabilities)), labels)
        assert np.abs(noise.dropped - dropped).max() < 0.03
        assert np.abs(noise.added - added).max() < 0.02

    @pytest.mark.parametrize(("dropped", "added"), [(0.05, 0.05), (0.2, 0.005), (0.05, 0.002)])
    def test_errors_are_ranked_better_than_by_confidence(self, dropped, added):
        probabilities, true = scenes(0)
        labels = flipped(true, 1, dropped=dropped, added=added)
        errors = labels != true
        scores = suspicion(probabilities, labels)
        plain = found(self_confidence(probabilities, labels), errors)
        assert found(scores, errors) > plain - 0.015  # which is the best there is for even flips
        if dropped > 4 * added:
            assert found(scores, errors) > plain + 0.01
        assert 0.5 * errors.sum() < scores.sum() < 1.5 * errors.sum()

    def test_labels_that_go_together_tell_of_each_other(self):
        probabilities, true = scenes(0, tied=2.0)
        labels = flipped(true, 1, dropped=0.05, added=0.05)
        together = found(suspicion(probabilities, labels), labels != true)
        alone = found(suspicion(probabilities, labels, dependence=False), labels != true)
        assert together > alone + 0.02

    def test_a_model_that_is_too_sure_of_some_labels_is_corrected(self):
        probabilities, true = scenes(0)
        labels = flipped(true, 1, dropped=0.05, added=0.05)
        logits = np.log(probabilities / (1 - probabilities))
        logits[:, ::2] = 4 * logits[:, ::2] + 3
        errors = labels != true
        skewed = expit(logits)
        assert found(suspicion(skewed, labels), errors) > (
            found(self_confidence(skewed, labels), errors) + 0.1
        )


class TestProperties:
    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000))
    def test_suspicion_follows_the_probability_where_each_label_is_alone(self, seed):
        probabilities, true = scenes(seed, images=80, classes=2)
        labels = flipped(true, seed, dropped=0.1, added=0.1)
        scores = suspicion(probabilities, labels, dependence=False)
        assert ((scores >= 0) & (scores <= 1)).all()
        for column in range(2):
            for value, sign in ((1, -1), (0, 1)):
                rows = labels[:, column] == value
                order = probabilities[rows, column].argsort()
                assert (sign * np.diff(scores[rows, column][order]) >= 0).all()

    def test_the_order_of_images_and_labels_changes_nothing(self):
        probabilities, true = scenes(3, images=200)
        labels = flipped(true, 1, dropped=0.1, added=0.1)
        scores = suspicion(probabilities, labels)
        rows, columns = np.random.default_rng(0).permutation(200), np.array([3, 1, 0, 5, 4, 2])
        moved = suspicion(probabilities[rows][:, columns], labels[rows][:, columns])
        assert np.abs(moved - scores[rows][:, columns]).max() < 1e-6

    def test_unknown_labels_have_no_suspicion_and_tell_nothing(self):
        probabilities, true = scenes(4, images=300)
        labels = flipped(true, 1, dropped=0.1, added=0.1).astype(np.int8)
        hidden = np.random.default_rng(5).random(labels.shape) < 0.3
        labels[hidden] = UNKNOWN
        scores = suspicion(probabilities, labels)
        assert (np.isnan(scores) == hidden).all()
        other = np.where(hidden, 0.123, probabilities)
        assert np.nanmax(np.abs(suspicion(other, labels) - scores)) < 1e-12
        without = np.where(hidden, np.nan, probabilities)
        given_all = np.where(hidden, 1, labels)  # a probability that is NaN counts as unknown
        assert np.array_equal(suspicion(without, given_all), scores, equal_nan=True)

    def test_one_label_no_positives_one_image_and_no_label_at_all(self):
        probabilities, true = scenes(6, images=100, classes=1)
        assert suspicion(probabilities, true).shape == (100, 1)
        labels = np.zeros((50, 3), dtype=np.int8)
        unsure = np.full((50, 3), 0.01)
        unsure[7, 2] = 0.99
        scores = suspicion(unsure, labels)
        assert np.isfinite(scores).all()
        assert scores.argmax() == 7 * 3 + 2
        every = suspicion(1 - unsure, 1 - labels)
        assert every.argmax() == 7 * 3 + 2
        assert np.isfinite(suspicion([[0.0, 1.0]], [[1, 0]])).all()
        assert np.isnan(suspicion([[0.5, 0.5]], [[-1, -1]])).all()

    def test_float32_and_certainty_are_taken(self):
        probabilities, true = scenes(8, images=200)
        certain = np.where(probabilities > 0.5, 1, 0).astype(np.float32)
        assert np.isfinite(suspicion(certain, true)).all()
        close = suspicion(probabilities.astype(np.float32), true) - suspicion(probabilities, true)
        assert np.abs(close).max() < 1e-4

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(DataError, match="probabilities must be probabilities"):
            suspicion([[2.0]], [[1]])
        with pytest.raises(DataError, match="shape"):
            suspicion([[0.5, 0.5]], [[1]])
        with pytest.raises(DataError, match="got 3"):
            suspicion([[0.5]], [[3]])
        with pytest.raises(DataError, match="must be numbers"):
            suspicion([["a"]], [[1]])

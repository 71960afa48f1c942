"""The rules for thresholds against plain loops over every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.calibration import (
    best_f1,
    missed_threshold,
    precision_threshold,
    recall_threshold,
)
from scipy.special import expit

from colabel.calibration import (
    f1_thresholds,
    missed_label_threshold,
    precision_thresholds,
    recall_thresholds,
)
from colabel.calibration.f1 import OWN_POSITIVES
from colabel.errors import ColabelError, ConfigError, DataError

RULES = {
    "f1": f1_thresholds,
    "recall": lambda p, y: recall_thresholds(p, y, recall=0.9),
    "sure recall": lambda p, y: recall_thresholds(p, y, recall=0.8, confidence=0.9),
    "precision": lambda p, y: precision_thresholds(p, y, precision=0.5, confidence=0.8),
    "missed": lambda p, y: missed_label_threshold(p, y, risk=0.2),
}


def draw(seed, images=120, classes=4, *, ties=False, unknown=0.1, prevalence=0.3):
    """Return probabilities that tell something, and targets, some of them unknown."""
    random = np.random.default_rng(seed)
    targets = (random.random((images, classes)) < prevalence).astype(np.int8)
    probabilities = expit(random.normal(size=targets.shape) + 2 * targets - 1)
    if ties:
        probabilities = probabilities.round(1)
    targets[random.random(targets.shape) < unknown] = -1
    return probabilities, targets


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
class TestAgainstLoops:
    def test_f1(self, seed, ties):
        probabilities, targets = draw(seed, ties=ties)
        chosen = f1_thresholds(probabilities, targets)
        for k, threshold in enumerate(chosen.thresholds):
            assert chosen.found[k] >= OWN_POSITIVES
            assert threshold == best_f1(probabilities[:, k], targets[:, k])[1]
        assert not chosen.guaranteed.any()

    @pytest.mark.parametrize("confidence", [None, 0.9])
    def test_recall(self, seed, ties, confidence):
        probabilities, targets = draw(seed, ties=ties, prevalence=[0.05, 0.2, 0.4, 0.6])
        chosen = recall_thresholds(probabilities, targets, recall=0.9, confidence=confidence)
        for k, threshold in enumerate(chosen.thresholds):
            expected = recall_threshold(probabilities[:, k], targets[:, k], 0.9, confidence)
            assert chosen.guaranteed[k] == (expected is not None)
            assert expected is None or threshold == expected
            assert chosen.guaranteed[k] == (chosen.found[k] >= chosen.needed[k])
            assert chosen.found[k] == (targets[:, k] == 1).sum()

    @pytest.mark.parametrize("images", [60, 300, 900])
    def test_precision(self, seed, ties, images):
        probabilities, targets = draw(seed, images, ties=ties)
        chosen = precision_thresholds(probabilities, targets, precision=0.6, confidence=0.8)
        for k, threshold in enumerate(chosen.thresholds):
            expected = precision_threshold(probabilities[:, k], targets[:, k], 0.6, 0.8)
            assert chosen.guaranteed[k] == (expected is not None)
            assert expected is None or threshold == expected

    def test_missed(self, seed, ties):
        probabilities, targets = draw(seed, ties=ties)
        chosen = missed_label_threshold(probabilities, targets, risk=0.15)
        assert set(chosen.thresholds) == {missed_threshold(probabilities, targets, 0.15)}
        assert chosen.guaranteed.all()


@pytest.mark.parametrize("rule", RULES)
class TestEveryRule:
    def test_a_rising_map_of_the_scores_changes_no_decision(self, rule):
        probabilities, targets = draw(7, 400)
        mapped = probabilities**3
        before = probabilities >= RULES[rule](probabilities, targets).thresholds
        assert before.any()
        assert (before == (mapped >= RULES[rule](mapped, targets).thresholds)).all()

    def test_the_order_of_images_and_labels_changes_nothing(self, rule):
        probabilities, targets = draw(3, ties=True)
        random = np.random.default_rng(0)
        rows, columns = random.permutation(120), random.permutation(4)
        before = RULES[rule](probabilities, targets).thresholds
        after = RULES[rule](probabilities[rows][:, columns], targets[rows][:, columns]).thresholds
        np.testing.assert_array_equal(before[columns], after)

    def test_an_unknown_label_counts_nowhere(self, rule):
        probabilities, targets = draw(5, unknown=0.3)
        others = np.where(targets == -1, 1 - probabilities, probabilities)
        np.testing.assert_array_equal(
            RULES[rule](probabilities, targets).thresholds, RULES[rule](others, targets).thresholds
        )

    def test_bad_input_is_refused(self, rule):
        probabilities, targets = draw(0)
        with pytest.raises(DataError, match=r"probabilities in .0, 1."):
            RULES[rule](probabilities + 1, targets)
        with pytest.raises(DataError, match="targets must have the probabilities' shape"):
            RULES[rule](probabilities, targets[:, :2])
        with pytest.raises(DataError, match=r"1 .present., 0 .absent. or -1 .unknown."):
            RULES[rule](probabilities, targets + 2)

    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_a_guaranteed_threshold_is_a_probability_of_an_image(self, rule, data):
        images, classes = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
        cells = st.tuples(st.sampled_from([0, 0.1, 0.5, 0.9, 1]), st.sampled_from([-1, 0, 1]))
        drawn = data.draw(st.lists(cells, min_size=images * classes, max_size=images * classes))
        table = np.array(drawn).reshape(images, classes, 2)
        probabilities, targets = table[:, :, 0], table[:, :, 1].astype(np.int8)
        try:
            chosen = RULES[rule](probabilities, targets)
        except ColabelError:
            assert rule == "f1"
            assert not (targets == 1).any()
            return
        for threshold, guaranteed in zip(chosen.thresholds, chosen.guaranteed, strict=True):
            assert guaranteed <= (threshold in probabilities)
            if rule != "f1":
                assert guaranteed == (not np.isnan(threshold))


class TestFewPositives:
    def test_without_targets_the_expected_f1_decides(self):
        probabilities, targets = draw(1, 500, unknown=0)
        targets[:, 1:3] = 0
        targets[1, 1] = targets[0, 2] = 1  # one positive, wherever it lies, moves nothing
        probabilities[:, 2] = probabilities[:, 1]
        chosen = f1_thresholds(probabilities, targets)
        p = probabilities[:, 1]
        expected = max(
            (2 * p[p >= t].sum() / ((p >= t).sum() + p.sum()), t) for t in sorted(set(p))
        )[1]
        assert chosen.thresholds[1] == chosen.thresholds[2] == expected
        # half of the best F1: the rule of Lipton, Elkan and Naryanaswamy
        best = max(2 * p[p >= t].sum() / ((p >= t).sum() + p.sum()) for t in p)
        assert expected == p[p >= best / 2].min()

    def test_expectation_and_count_are_weighted_by_positives(self):
        probabilities, targets = draw(1, 500, unknown=0)
        chosen = f1_thresholds(probabilities, targets, expectation=60)
        for k in range(4):
            p, y = probabilities[:, k], targets[:, k]
            own = y.sum() / (y.sum() + 60)
            best = (-1.0, 0.0)
            for t in sorted(p):
                hits = own * y[p >= t].sum() + (1 - own) * p[p >= t].sum()
                total = own * y.sum() + (1 - own) * p.sum()
                best = max(best, (2 * hits / ((p >= t).sum() + total), t))
            assert chosen.thresholds[k] == best[1]
        assert (chosen.thresholds != f1_thresholds(probabilities, targets).thresholds).any()

    def test_a_label_that_is_known_of_no_image_is_never_given_out(self):
        probabilities, targets = draw(1)
        targets[:, 3] = -1
        chosen = f1_thresholds(probabilities, targets)
        assert chosen.thresholds[3] == 1
        assert chosen.found[3] == 0

    @pytest.mark.parametrize("expectation", [0, 100])
    def test_a_label_that_was_never_seen_is_not_given_to_every_image(self, expectation):
        probabilities = np.linspace(0.02, 0.03, 60)[:, None].repeat(3, axis=1)
        probabilities[:5, 1] = 0.9
        targets = np.zeros((60, 3), dtype=np.int8)
        targets[30:, 1] = -1
        targets[0, 2] = 1
        chosen = f1_thresholds(probabilities, targets, expectation=expectation).thresholds
        assert chosen[0] == 0.5
        assert chosen[1] == 0.9
        assert chosen[2] < 0.5

    @pytest.mark.parametrize("expectation", [0, 100])
    @pytest.mark.parametrize(("images", "low"), [(50, 0.95), (50, 0.3), (5, 0.95)])
    def test_a_label_that_no_image_speaks_against_is_denied_to_no_image_that_is_sure(
        self, images, low, expectation
    ):
        probabilities = np.linspace(low, 0.999, images)[:, None].repeat(3, axis=1)
        targets = np.ones((images, 3), dtype=np.int8)
        targets[1:, 1] = -1  # unknown is no evidence against it
        targets[0, 2] = 0
        chosen = f1_thresholds(probabilities, targets, expectation=expectation).thresholds
        assert chosen[0] == min(low, 0.5)
        assert chosen[1] == min(low, 0.5)
        assert chosen[2] >= low

    def test_no_positive_at_all_is_refused(self):
        with pytest.raises(DataError, match="no label is present in any of the 3 images"):
            f1_thresholds(np.ones((3, 2)), np.zeros((3, 2)))

    @pytest.mark.parametrize(("recall", "needed"), [(0.9, 9), (0.95, 19), (0.99, 99)])
    def test_what_a_recall_needs(self, recall, needed):
        for images, guaranteed in ((needed - 1, False), (needed, True)):
            probabilities = np.linspace(0.1, 1, images)[:, None]
            chosen = recall_thresholds(probabilities, np.ones_like(probabilities), recall=recall)
            assert chosen.guaranteed.tolist() == [guaranteed]
            assert (chosen.needed.tolist(), chosen.found.tolist()) == ([needed], [images])
            assert np.isnan(chosen.thresholds[0]) != guaranteed

    @pytest.mark.parametrize(("precision", "needed"), [(0.9, 22), (0.95, 45), (0.99, 230)])
    def test_what_a_precision_needs(self, precision, needed):
        for positives, guaranteed in ((needed - 1, False), (needed, True)):
            targets = (np.arange(needed + 20) < positives).astype(np.int8)[:, None]
            probabilities = np.linspace(1, 0, len(targets))[:, None]
            chosen = precision_thresholds(
                probabilities, targets, precision=precision, confidence=0.9
            )
            assert chosen.guaranteed.tolist() == [guaranteed]
            assert chosen.needed.tolist() == [needed]

    @pytest.mark.parametrize("images", [3, 4])
    def test_what_a_risk_of_misses_needs(self, images):
        probabilities = np.linspace(0.1, 1, images)[:, None]
        chosen = missed_label_threshold(probabilities, np.ones_like(probabilities), risk=0.2)
        assert chosen.guaranteed.tolist() == [images == 4]
        assert chosen.needed.tolist() == [4]

    def test_images_without_labels_have_nothing_to_miss(self):
        probabilities, targets = draw(2)
        more = np.concatenate([targets, np.zeros((500, 4), dtype=np.int8)])
        padded = np.concatenate([probabilities, np.full((500, 4), 0.4)])
        with_them = missed_label_threshold(padded, more, risk=0.1)
        without = missed_label_threshold(probabilities, targets, risk=0.1)
        assert with_them.thresholds.tolist() == without.thresholds.tolist()
        assert with_them.found.tolist() == without.found.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: recall_thresholds(p, y, recall=95), "recall must lie between 0 and 1"),
        (lambda p, y: recall_thresholds(p, y, recall=0.9, confidence=1), "confidence must lie"),
        (
            lambda p, y: precision_thresholds(p, y, precision=0, confidence=0.9),
            "precision must lie between 0 and 1, as in 0.95; got 0.",
        ),
        (lambda p, y: missed_label_threshold(p, y, risk=float("nan")), "risk must lie"),
        (lambda p, y: recall_thresholds(p, y, recall="0.9"), "as in 0.95; got '0.9'"),
        (
            lambda p, y: precision_thresholds(p, y, precision=0.9, confidence=None),
            "confidence must lie between 0 and 1, as in 0.95; got None",
        ),
        (lambda p, y: f1_thresholds(p, y, expectation=-1), "expectation must be 0 or a number"),
        (lambda p, y: f1_thresholds(p, y, expectation=float("nan")), "positives, got nan"),
        (lambda p, y: f1_thresholds(p, y, expectation="10"), "positives, got '10'"),
    ],
)
def test_numbers_are_checked(call, message):
    with pytest.raises(ConfigError, match=message):
        call(*draw(0))


def test_what_nobody_can_give_is_not_guaranteed():
    probabilities, targets = draw(0)
    assert not missed_label_threshold(probabilities, targets, risk=1e-320).guaranteed.any()
    assert not recall_thresholds(probabilities, targets, recall=1 - 1e-16).guaranteed.any()
    nearly_1 = {"precision": 1 - 1e-16, "confidence": 1 - 1e-16}
    assert not precision_thresholds(probabilities, targets, **nearly_1).guaranteed.any()

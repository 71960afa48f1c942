"""One image of each patient, and what that is worth."""

import numpy as np
import pytest
from reference import calibration as reference
from scipy.stats import binom

from colabel.calibration import precision_thresholds, recall_thresholds
from colabel.calibration.groups import one_of_each_group


@pytest.mark.parametrize("positives", [True, False])
@pytest.mark.parametrize(("images", "classes", "patients"), [(1, 1, 1), (60, 4, 9), (200, 3, 1)])
def test_against_loops(images, classes, patients, positives):
    random = np.random.default_rng(images)
    targets = random.integers(-1, 2, (images, classes)).astype(np.int8)
    groups = [f"p{number}" for number in random.integers(0, patients, images)]
    order = random.permutation(images)
    chosen = one_of_each_group(targets, groups, order, positives=positives)
    assert chosen.dtype == np.int8
    expected = reference.one_of_each_group(targets.tolist(), groups, order.tolist(), positives)
    assert chosen.tolist() == expected


def draw(seed, patients=60, each=5, calibrations=2000):
    """Return scores of images that are nearly those of their patients, and whose they are."""
    random = np.random.default_rng(seed)
    of_patient = random.random((patients, calibrations))
    scores = np.repeat(of_patient, each, axis=0)
    scores += 1e-6 * random.random(scores.shape)
    return scores / 1.001, np.repeat(np.arange(patients).astype(str), each)


def kept_recall(scores, targets):
    chosen = recall_thresholds(scores, targets, recall=0.9, confidence=0.9)
    return int((chosen.thresholds * 1.001 <= 0.1 + 1e-5).sum())


def test_a_recall_holds_for_patients_only_if_each_counts_once():
    scores, groups = draw(0)
    targets = np.ones(scores.shape, dtype=np.int8)
    order = np.random.default_rng(1).permutation(len(scores))
    one = one_of_each_group(targets, groups, order, positives=True)
    unlikely = binom.ppf(1e-4, 2000, 0.9)
    assert kept_recall(scores, one) >= unlikely
    assert kept_recall(scores, targets) < unlikely  # five times too sure of itself


def test_a_precision_holds_for_patients_only_if_each_counts_once():
    random = np.random.default_rng(2)
    patients, each, calibrations = 80, 10, 2000
    wrong = random.random((patients, calibrations)) < 0.15  # of patients: precision 0.85
    targets = np.repeat(~wrong, each, axis=0).astype(np.int8)
    scores, groups = draw(3, patients, each, calibrations)
    order = random.permutation(len(targets))
    one = one_of_each_group(targets, groups, order, positives=False)

    def broken(given):
        chosen = precision_thresholds(scores, given, precision=0.9, confidence=0.9)
        return int(chosen.guaranteed.sum())  # 0.9 is promised where the truth is 0.85

    likely = binom.ppf(1 - 1e-4, calibrations, 0.1)
    assert broken(one) <= likely
    assert broken(targets) > likely

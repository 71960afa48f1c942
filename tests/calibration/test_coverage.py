"""Whether guarantees hold, over thousands of calibrations whose truth is known.

Each column of a table is a calibration of its own, so one call is thousands of them.
"""

import numpy as np
import pytest
from scipy.stats import binom

from colabel.calibration import (
    missed_label_threshold,
    precision_thresholds,
    recall_thresholds,
)

CALIBRATIONS = 4000
UNLIKELY = 1e-4


def at_least(successes, trials, chance):
    """Whether so few successes are not unlikely at this chance, by the exact binomial band."""
    return successes >= binom.ppf(UNLIKELY, trials, chance)


class TestRecall:
    """Positives have uniform scores, so a threshold t misses the share t of those to come."""

    @pytest.mark.parametrize("positives", [9, 19, 20, 50, 333])
    @pytest.mark.parametrize("recall", [0.9, 0.95])
    def test_on_average(self, positives, recall):
        random = np.random.default_rng(positives)
        scores = random.random((positives, CALIBRATIONS))
        chosen = recall_thresholds(scores, np.ones_like(scores), recall=recall)
        if positives < (9 if recall == 0.9 else 19):
            assert not chosen.guaranteed.any()
            return
        kept = (random.random(CALIBRATIONS) >= chosen.thresholds).sum()
        assert at_least(kept, CALIBRATIONS, recall)
        # and no better than it must be: a place more would break it
        assert chosen.thresholds.mean() > 1 - recall - 1.1 / (positives + 1)

    @pytest.mark.parametrize("positives", [22, 45, 100, 333])
    def test_with_confidence(self, positives):
        scores = np.random.default_rng(positives).random((positives, CALIBRATIONS))
        chosen = recall_thresholds(scores, np.ones_like(scores), recall=0.9, confidence=0.9)
        assert chosen.guaranteed.all()
        assert at_least((chosen.thresholds <= 0.1).sum(), CALIBRATIONS, 0.9)

    def test_with_ties_and_negatives(self):
        random = np.random.default_rng(0)
        targets = (random.random((200, CALIBRATIONS)) < 0.3).astype(np.int8)
        scores = np.ceil(random.random(targets.shape) * 20) / 20
        chosen = recall_thresholds(scores, targets, recall=0.9, confidence=0.9)
        missed = chosen.thresholds - 0.05  # what lies below: whole twentieths
        sure = chosen.guaranteed
        assert at_least((missed[sure] <= 0.1 + 1e-9).sum(), sure.sum(), 0.9)


def precision_of(present, grid=100_001):
    """Return the precision above each threshold where scores are uniform."""
    places = (np.arange(grid) + 0.5) / grid
    above = np.cumsum(present(places)[::-1])[::-1] / np.arange(grid, 0, -1)
    return lambda thresholds: np.interp(thresholds, np.arange(grid) / grid, above)


CHANCES = {
    "linear": lambda s: s,
    "steep": lambda s: 1 / (1 + np.exp(-20 * (s - 0.6))),
    "rare": lambda s: np.where(s > 0.97, 0.95, 0.002),
    "just at the level": lambda s: np.full_like(s, 0.9),
    "just below the level": lambda s: np.full_like(s, 0.899),
    "not falling": lambda s: 0.9 + 0.09 * np.sin(60 * s),
    "worst at the top": lambda s: np.where(s > 0.9, 0.8, 0.95),
}


class TestPrecision:
    @pytest.mark.parametrize("images", [60, 300, 1500])
    @pytest.mark.parametrize("chance", CHANCES)
    def test_with_confidence(self, images, chance):
        random = np.random.default_rng(images)
        scores = random.random((images, CALIBRATIONS))
        targets = (random.random(scores.shape) < CHANCES[chance](scores)).astype(np.int8)
        chosen = precision_thresholds(scores, targets, precision=0.9, confidence=0.9)
        real = precision_of(CHANCES[chance])(np.nan_to_num(chosen.thresholds, nan=0.0))
        wrong = chosen.guaranteed & (real < 0.9 - 1e-6)
        assert at_least(CALIBRATIONS - wrong.sum(), CALIBRATIONS, 0.9)

    def test_it_is_often_found_where_there_is_one(self):
        random = np.random.default_rng(1)
        scores = random.random((1500, CALIBRATIONS))
        targets = (random.random(scores.shape) < CHANCES["steep"](scores)).astype(np.int8)
        chosen = precision_thresholds(scores, targets, precision=0.9, confidence=0.9)
        assert chosen.guaranteed.mean() > 0.99
        assert np.nanmedian(chosen.thresholds) < 0.68  # 0.63 is where precision is 0.9


CHANCES_OF_LABELS = [0.02, 0.1, 0.3, 0.3, 0.5]


@pytest.mark.parametrize("images", [12, 40, 150])
@pytest.mark.parametrize("step", [None, 0.1])
def test_missed_labels(images, step):
    """Labels of different chances and scores; many images have none."""
    random = np.random.default_rng(images)
    shares = []
    for _ in range(2500):
        targets = random.random((images + 1, 5)) < CHANCES_OF_LABELS
        scores = random.beta(2, 1, targets.shape) * [0.5, 1, 1, 0.8, 1]
        if step:
            scores = np.floor(scores / step) * step
        while not targets[-1].any():  # the guarantee is for images that have a label
            targets[-1] = random.random(5) < CHANCES_OF_LABELS
        chosen = missed_label_threshold(scores[:-1], targets[:-1].astype(np.int8), risk=0.2)
        if not chosen.guaranteed.all():
            continue
        new = targets[-1]
        shares.append((new & (scores[-1] < chosen.thresholds)).sum() / new.sum())
    mean, error = np.mean(shares), np.std(shares) / np.sqrt(len(shares))
    assert mean <= 0.2 + 4 * error
    assert mean >= 0.2 - 2 / images - 4 * error or step

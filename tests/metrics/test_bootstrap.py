"""Resampled metrics against scikit-learn, a case by hand, and draws walked image by image."""

import math

import numpy as np
import pytest
from reference import bootstrap as reference
from sklearn.metrics import average_precision_score

from colabel.metrics import (
    Answers,
    Resamples,
    evaluate_scores,
    paired_bootstrap,
    weighted_average_precision,
)
from colabel.metrics import bootstrap as bootstrap_module


def draw(seed, *, images=60, classes=3, levels=None, unknown=0.1):
    """Scores, tied where `levels` is small, and sparse targets with unknown ones."""
    generator = np.random.default_rng(seed)
    frequency = np.linspace(0.03, 0.3, classes)
    targets = (generator.random((images, classes)) < frequency).astype(np.int8)
    scores = generator.random((images, classes)) * 0.6 + 0.4 * targets
    if levels is not None:
        scores = np.round(scores * levels) / levels
    targets[generator.random((images, classes)) < unknown] = -1
    return scores, targets


def all_weights(resamples):
    return np.concatenate(list(resamples.blocks()), axis=1).T.astype(int)


def test_a_case_by_hand():
    """Ranked 1, 0, 1; the middle one taken twice, the last not at all, then all three once."""
    scores = np.array([[0.9], [0.5], [0.1]])
    targets = np.array([[1], [0], [1]], dtype=np.int8)
    weights = np.array([[1, 1, 0], [2, 1, 2], [0, 1, 1]], dtype=np.float32)
    precisions = weighted_average_precision(scores, targets, weights)
    # 1/1; (1/1 + 2/3) / 2; after the two negatives 1/3
    assert precisions[0].tolist() == pytest.approx([1, 5 / 6, 1 / 3], abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("classes", "levels"), [(1, None), (2, 4), (80, 10), (600, 3)])
def test_equals_scikit_learn_with_sample_weights(classes, levels, dtype):
    scores, targets = draw(classes, images=300, classes=classes, levels=levels)
    weights = np.random.default_rng(0).poisson(1, (300, 2)).astype(dtype)
    precisions = weighted_average_precision(scores, targets, weights)
    for k in range(classes):
        known = targets[:, k] != -1
        for b in range(2):
            of_draw = weights[known, b]
            if not of_draw[targets[known, k] == 1].sum():
                assert math.isnan(precisions[k, b])
                continue
            expected = average_precision_score(
                targets[known, k], scores[known, k], sample_weight=of_draw
            )
            assert abs(precisions[k, b] - expected) < 1e-12


@pytest.mark.parametrize(("classes", "levels"), [(1, None), (2, 5), (80, None)])
def test_every_draw_is_that_of_its_images(classes, levels):
    scores, targets = draw(classes, images=40, classes=classes, levels=levels)
    other, _ = draw(classes + 1, images=40, classes=classes, levels=levels)
    resamples = Resamples(images=40, draws=4, seed=3)
    models = [Answers(s, {"": s >= 0.5, "at.": s >= 0.7}) for s in (scores, other)]
    drawn = paired_bootstrap(models, targets, resamples)
    assert set(drawn.values) == {"mAP", "CF1", "OF1", "at.CF1", "at.OF1"}
    labels = targets.tolist()
    for b, weights in enumerate(all_weights(resamples).tolist()):
        images = reference.drawn_images(weights)
        assert len(images) == 40
        for m, model in enumerate(models):
            mean, lacking = reference.mean_average_precision(model.scores.tolist(), labels, images)
            assert drawn.values["mAP"][m, b] == pytest.approx(mean, abs=1e-12, nan_ok=True)
            assert drawn.skipped[b] == lacking
            for prefix, given in model.given.items():
                f1 = reference.f1_scores(given.tolist(), labels, images)
                found = [drawn.values[f"{prefix}{name}"][m, b] for name in ("CF1", "OF1")]
                assert found == pytest.approx(list(f1), abs=1e-12, nan_ok=True)


def test_without_resampling_it_is_the_report():
    scores, targets = draw(1, images=200, classes=12, levels=20)
    whole = weighted_average_precision(scores, targets, np.ones((200, 1)))[:, 0]
    report = evaluate_scores(scores, targets)
    assert whole == pytest.approx(
        [row.average_precision for row in report.per_class], abs=1e-12, nan_ok=True
    )


def test_all_models_see_the_same_images():
    """Fails where each model draws its own: a model would then differ from itself."""
    scores, targets = draw(2, images=50)
    drawn = paired_bootstrap(
        [Answers(scores, {"": scores >= 0.5})] * 2, targets, Resamples(50, draws=30, seed=1)
    )
    for rows in drawn.values.values():
        assert np.array_equal(rows[0], rows[1])
    assert len(set(drawn.values["mAP"][0])) > 20


def test_the_difference_of_similar_models_varies_less_than_their_values():
    scores, targets = draw(5, images=400, unknown=0)
    nearly = scores + np.random.default_rng(0).normal(0, 0.01, scores.shape)
    drawn = paired_bootstrap([Answers(scores), Answers(nearly)], targets, Resamples(400, 100, 0))
    first, second = drawn.values["mAP"]
    assert np.std(first - second) < np.std(first) / 3


def test_images_of_a_group_are_taken_together():
    groups = np.array([0, 1, 0, 2, 1, 0])
    resamples = Resamples(images=6, draws=200, seed=0, groups=groups)
    weights = all_weights(resamples)
    assert resamples.units == 3
    for group in range(3):
        of_group = weights[:, groups == group]
        assert (of_group == of_group[:, :1]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many groups as there are
    assert set(weights.sum(axis=1)) > {6}  # and so not always as many images


def test_draws_are_multinomial_and_those_of_the_seed():
    resamples = Resamples(images=20, draws=2000, seed=7)
    weights = all_weights(resamples)
    assert (weights.sum(axis=1) == 20).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(20), abs=0.1)
    assert weights.var() == pytest.approx(1 - 1 / 20, abs=0.05)
    assert np.array_equal(weights, all_weights(resamples))
    assert not np.array_equal(weights, all_weights(Resamples(20, 2000, 8)))


def test_blocks_change_nothing(monkeypatch):
    scores, targets = draw(4, images=30)
    models = [Answers(scores, {"": scores >= 0.5})]
    whole = paired_bootstrap(models, targets, Resamples(30, 10, 0))
    monkeypatch.setattr(bootstrap_module, "_BLOCK_ELEMENTS", 90)
    parts = paired_bootstrap(models, targets, Resamples(30, 10, 0))
    for name, rows in whole.values.items():
        assert parts.values[name] == pytest.approx(rows, abs=1e-15, nan_ok=True)
    assert np.array_equal(whole.skipped, parts.skipped)


def test_a_class_without_positives_is_left_out_and_counted():
    scores = np.array([[0.9, 0.5], [0.1, 0.6], [0.4, 0.7]])
    targets = np.array([[1, 0], [0, 0], [1, -1]], dtype=np.int8)
    drawn = paired_bootstrap([Answers(scores)], targets, Resamples(3, 50, 0))
    lacking = all_weights(Resamples(3, 50, 0))[:, [0, 2]].sum(axis=1) == 0
    assert lacking.any()
    assert np.array_equal(drawn.skipped, np.where(lacking, 2, 1))
    assert np.array_equal(np.isnan(drawn.values["mAP"][0]), lacking)


def test_one_image_is_drawn_as_it_is():
    drawn = paired_bootstrap(
        [Answers(np.array([[0.3]]), {"": np.array([[True]])})],
        np.array([[1]], dtype=np.int8),
        Resamples(1, 5, 0),
    )
    assert all((rows == 1).all() for rows in drawn.values.values())


def test_counts_beyond_single_precision_are_exact(monkeypatch):
    """A group so large that float32 would round the sums of its weights."""
    groups = np.zeros(6, dtype=np.int64)
    groups[5] = 1
    monkeypatch.setattr(bootstrap_module, "_EXACT", 10)
    assert next(Resamples(6, 2, 0, groups).blocks()).dtype == np.float64
    assert next(Resamples(6, 2, 0).blocks()).dtype == np.float32

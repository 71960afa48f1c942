"""Folds and the classifiers that are trained outside them."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from colabel.errors import DataError
from colabel.label_errors import assign_folds, has_enough, out_of_fold_logits
from colabel.label_errors import out_of_fold as module


def images(seed=0, *, count=200, width=12, classes=3):
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, width)) * random.uniform(0.1, 20, width) + 3
    weights = random.normal(size=(width, classes)) / features.std(axis=0)[:, None]
    logits = (features - features.mean(axis=0)) @ weights
    targets = (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return torch.from_numpy(features).float(), targets


def test_logits_are_those_of_a_classifier_of_scikit_learn(monkeypatch):
    features, targets = images(count=120, classes=2)
    targets[:7, 0] = -1
    folds = assign_folds(targets, 3)
    penalty = 0.01
    monkeypatch.setattr(module, "PENALTIES", (penalty,))
    monkeypatch.setattr(module, "_ITERATIONS", 500)
    ours = out_of_fold_logits(features, targets, folds)
    assert ours.penalty == penalty
    for fold in range(3):
        inside = folds == fold
        trained = features[~torch.from_numpy(inside)].double().numpy()
        mean, scale = trained.mean(axis=0), trained.std(axis=0) * np.sqrt(trained.shape[1])
        for column in range(2):
            known = ~inside & (targets[:, column] != -1)
            # their C weighs the sum of the losses, ours divides it by all images of the fold
            theirs = LogisticRegression(C=1 / (penalty * (~inside).sum()), tol=1e-8, max_iter=5000)
            theirs.fit((features[known].numpy() - mean) / scale, targets[known, column])
            logits = theirs.decision_function((features[inside].numpy() - mean) / scale)
            assert np.abs(ours.logits[inside, column] - logits).max() < 0.02


def test_no_label_is_judged_by_a_classifier_that_saw_it(monkeypatch):
    features, targets = images()
    folds = assign_folds(targets, 5)
    inside = folds == 2
    changed = targets.copy()
    changed[inside] = 1 - changed[inside]
    # the strength of the penalty alone is chosen by all images together
    monkeypatch.setattr(module, "PENALTIES", (1e-3,))
    before, after = (
        out_of_fold_logits(features, labels, folds).logits for labels in (targets, changed)
    )
    assert np.array_equal(before[inside], after[inside])
    assert not np.array_equal(before[~inside], after[~inside])


def test_the_same_again_and_unknown_labels_are_masked():
    features, targets = images()
    targets[::3, 1] = -1
    folds = assign_folds(targets, 3, seed=1)
    first, second = (out_of_fold_logits(features, targets, folds) for _ in range(2))
    assert np.array_equal(first.logits, second.logits)
    assert np.isfinite(first.logits).all()
    assert np.isfinite(first.loss)


def test_the_penalty_is_chosen_by_what_was_left_out():
    random = np.random.default_rng(0)
    features = torch.from_numpy(random.normal(size=(100, 80))).float()
    targets = (random.random((100, 2)) < 0.5).astype(np.int8)
    noise = out_of_fold_logits(features, targets, assign_folds(targets, 5))
    assert noise.penalty == module.PENALTIES[0]
    clear, targets = images(count=2000)
    assert out_of_fold_logits(clear, targets, assign_folds(targets, 5)).penalty < 1e-3


def test_labels_with_too_few_images_are_left_out():
    features, targets = images(classes=4)
    targets[:, 1] = 0
    targets[:3, 1] = 1
    targets[:, 2] = 1
    folds = assign_folds(targets, 5)
    assert has_enough(targets, folds).tolist() == [True, False, False, True]
    logits = out_of_fold_logits(features, targets, folds).logits
    assert np.isnan(logits).all(axis=0).tolist() == [False, True, True, False]
    with pytest.raises(DataError, match="--folds"):
        out_of_fold_logits(features, targets[:, 1:3], folds)


def test_groups_stay_together_and_a_label_of_one_group_is_left_out():
    _, targets = images(count=60)
    targets[:, 0] = 0
    targets[:12, 0] = 1
    groups = [f"patient {index // 12}" for index in range(60)]
    folds = assign_folds(targets, 3, groups=groups)
    for patient in range(5):
        assert len(set(folds[12 * patient : 12 * patient + 12])) == 1
    assert not has_enough(targets, folds)[0]
    with pytest.raises(DataError, match="add images or ask for fewer"):
        assign_folds(targets, 6, groups=groups)


def test_features_that_never_change_or_are_no_numbers():
    features, targets = images()
    folds = assign_folds(targets, 4)
    constant = torch.cat([features, torch.full((200, 2), 7.0)], dim=1)
    assert np.isfinite(out_of_fold_logits(constant, targets, folds).logits).all()
    assert np.isfinite(out_of_fold_logits(torch.zeros(200, 3), targets, folds).logits).all()
    features[3, 2] = torch.nan
    with pytest.raises(DataError, match="no finite numbers"):
        out_of_fold_logits(features, targets, folds)

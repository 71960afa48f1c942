"""Precision, recall and F1 against scikit-learn and against plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from colabel.metrics.decisions import above_threshold, highest, measure


def loop_measure(given_out, targets):
    """Per class and overall precision, recall and F1, by counting one label at a time."""

    def harmonic(first, second):
        return 0.0 if first + second == 0 else 2 * first * second / (first + second)

    classes = len(targets[0])
    precisions, recalls = [], []
    correct_of_all = chosen_of_all = positives_of_all = 0
    for k in range(classes):
        correct = chosen = positives = 0
        for row, truth in zip(given_out, targets, strict=True):
            if truth[k] == -1:
                continue
            correct += bool(row[k]) and truth[k] == 1
            chosen += bool(row[k])
            positives += truth[k] == 1
        if positives:
            precisions.append(correct / chosen if chosen else 0.0)
            recalls.append(correct / positives)
        correct_of_all, chosen_of_all = correct_of_all + correct, chosen_of_all + chosen
        positives_of_all += positives
    if not positives_of_all:
        return (float("nan"),) * 6
    cp, cr = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    op = correct_of_all / chosen_of_all if chosen_of_all else 0.0
    overall_recall = correct_of_all / positives_of_all
    return cp, cr, harmonic(cp, cr), op, overall_recall, harmonic(op, overall_recall)


def loop_highest(scores, targets, count):
    marked = np.zeros(scores.shape, dtype=bool)
    for n, (row, truth) in enumerate(zip(scores, targets, strict=True)):
        known = [k for k in range(len(row)) if truth[k] != -1]
        for k in sorted(known, key=lambda k: (-row[k], k))[:count]:
            marked[n, k] = True
    return marked


cells = st.tuples(st.booleans(), st.sampled_from([1, 0, 0, -1]))


@given(
    rows=st.integers(1, 5).flatmap(
        lambda k: st.lists(st.lists(cells, min_size=k, max_size=k), min_size=1, max_size=8)
    )
)
def test_averages_equal_plain_counting(rows):
    given_out = np.array([[cell[0] for cell in row] for row in rows])
    targets = np.array([[cell[1] for cell in row] for row in rows], dtype=np.int8)
    averages = measure(given_out, targets).to_dict()
    np.testing.assert_allclose(
        list(averages.values()), loop_measure(given_out, targets), atol=1e-12
    )


def test_per_class_and_overall_equal_scikit_learn():
    generator = np.random.default_rng(0)
    targets = (generator.random((100, 6)) < 0.3).astype(np.int8)
    given_out = generator.random((100, 6)) < 0.4
    given_out[:, 3] = False
    decisions = measure(given_out, targets)
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, given_out, average=None, zero_division=0
    )
    np.testing.assert_allclose(decisions.precision, precision)
    np.testing.assert_allclose(decisions.recall, recall)
    np.testing.assert_allclose(decisions.f1, f1)
    overall = precision_recall_fscore_support(targets, given_out, average="micro")[:3]
    np.testing.assert_allclose(
        (decisions.overall_precision, decisions.overall_recall, decisions.overall_f1), overall
    )


def test_class_f1_is_the_harmonic_mean_of_the_averages():
    # class 0: precision 1, recall 1; class 1: never given out
    decisions = measure(np.array([[True, False]]), np.array([[1, 1]], dtype=np.int8))
    assert (decisions.class_precision, decisions.class_recall) == (0.5, 0.5)
    assert decisions.class_f1 == 0.5
    assert decisions.f1.mean() == 0.5
    # class 0: precision 1/2, recall 1; class 1: precision 1, recall 1/2
    given_out = np.array([[True, True], [True, False]])
    decisions = measure(given_out, np.array([[1, 1], [0, 1]], dtype=np.int8))
    assert decisions.class_f1 == pytest.approx(0.75)
    assert decisions.f1.mean() == pytest.approx(2 / 3)


def test_class_without_positives_counts_only_overall():
    given_out = np.array([[True, True], [False, True]])
    decisions = measure(given_out, np.array([[1, 0], [0, 0]], dtype=np.int8))
    assert np.isnan([decisions.precision[1], decisions.recall[1], decisions.f1[1]]).all()
    assert (decisions.class_precision, decisions.class_recall) == (1, 1)
    assert decisions.overall_precision == pytest.approx(1 / 3)


def test_nothing_given_out_is_zero_and_nothing_to_find_is_undefined():
    nothing = np.zeros((3, 2), dtype=bool)
    some = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.int8)
    assert set(measure(nothing, some).to_dict().values()) == {0.0}
    averages = measure(~nothing, np.zeros((3, 2), dtype=np.int8)).to_dict("top3_")
    assert np.isnan(list(averages.values())).all()
    assert list(averages) == [f"top3_{name}" for name in ("CP", "CR", "CF1", "OP", "OR", "OF1")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_equal_to_its_threshold_is_given_out(dtype):
    values = np.array([[0.1, 0.3, 0.5, 0.7, 0.9]])
    assert above_threshold(values.astype(dtype), values[0]).all()
    just_below = np.nextafter(values.astype(dtype), dtype(0))
    assert not above_threshold(just_below, values[0]).any()


@pytest.mark.parametrize(("classes", "count"), [(6, 3), (6, 1), (2, 3), (1, 3)])
def test_highest_equals_sorting_each_image(classes, count):
    generator = np.random.default_rng(classes)
    scores = np.round(generator.random((200, classes)), 1).astype(np.float32)
    targets = generator.choice([1, 0, -1], (200, classes), p=[0.3, 0.4, 0.3]).astype(np.int8)
    np.testing.assert_array_equal(
        highest(scores, targets, count=count), loop_highest(scores, targets, count)
    )


def test_highest_leaves_its_input_alone():
    scores = np.array([[0.1, 0.9]])
    highest(scores, np.array([[0, 1]], dtype=np.int8))
    assert scores.tolist() == [[0.1, 0.9]]

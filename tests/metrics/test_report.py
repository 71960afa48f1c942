"""The whole report: its keys, its invariances, its edge cases and its refusals."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from colabel.errors import ColabelError, ConfigError, DataError
from colabel.metrics import PROTOCOLS, evaluate_scores

AVERAGES = ("CP", "CR", "CF1", "OP", "OR", "OF1")


def draw(seed=0, *, images=80, classes=6, unknown=0.1):
    generator = np.random.default_rng(seed)
    scores = np.round(generator.random((images, classes)), 2)
    targets = (generator.random((images, classes)) < 0.3).astype(np.int8)
    targets[generator.random((images, classes)) < unknown] = -1
    return scores, targets


def numbers(report):
    """All metrics of a report that do not depend on the order of its classes."""
    values = report.to_dict()
    return {key: value for key, value in values.items() if isinstance(value, (int, float))}


def test_means_equal_scikit_learn():
    scores, targets = draw(unknown=0)
    report = evaluate_scores(scores, targets)
    values = report.to_dict()
    assert values["mAP"] == pytest.approx(average_precision_score(targets, scores))
    assert values["mAUC"] == pytest.approx(roc_auc_score(targets, scores))
    assert [row["support"] for row in values["per_class"]] == targets.sum(axis=0).tolist()


def test_keys_and_plain_types():
    scores, targets = draw()
    values = evaluate_scores(scores, targets, thresholds=0.4, protocol="voc11").to_dict()
    expected = {"mAP", "mAUC", *AVERAGES, *(f"top3_{name}" for name in AVERAGES)}
    assert expected < set(values)
    assert all(type(values[key]) is float and 0 <= values[key] <= 1 for key in expected)
    assert values["protocol"] == "voc11"
    assert values["thresholds"] == [0.4] * 6
    assert (values["images"], values["classes"]) == (80, 6)
    assert values["unknown_targets"] == (targets == -1).sum()
    for row in values["per_class"]:
        measures = ["AP", "AUC", "precision", "recall", "f1"]
        assert list(row) == ["name", *measures, "support", "negatives"]
        assert {type(row[key]) for key in ("AP", "AUC", "precision", "recall", "f1")} == {float}
        assert type(row["support"]) is int


def test_top3_needs_rank_and_threshold():
    scores = [[0.9, 0.8, 0.7, 0.6], [0.9, 0.4, 0.3, 0.2]]
    targets = [[1, 1, 1, 1], [1, 1, 1, 1]]
    report = evaluate_scores(scores, targets)
    assert report.decisions.overall_recall == pytest.approx(5 / 8)
    assert report.top3.overall_recall == pytest.approx(4 / 8)
    assert report.top3.overall_precision == 1
    assert report.top3.class_recall == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)


def test_one_threshold_per_class():
    scores, targets = [[0.3, 0.3], [0.3, 0.3]], [[1, 1], [1, 1]]
    report = evaluate_scores(scores, targets, thresholds=[0.2, 0.5])
    assert [row.recall for row in report.per_class] == [1, 0]
    assert report.thresholds == (0.2, 0.5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_score_equal_to_its_threshold_is_positive(dtype):
    cuts = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    scores = cuts.astype(dtype)[None]
    report = evaluate_scores(scores, np.ones((1, 5)), thresholds=scores[0])
    assert report.decisions.overall_recall == 1
    if dtype != np.float16:
        report = evaluate_scores(scores, np.ones((1, 5)), thresholds=cuts)
        assert report.decisions.overall_recall == 1


def test_undefined_classes_are_left_out_and_counted():
    scores = [[0.9, 0.9, 0.9, 0.9], [0.1, 0.8, 0.1, 0.8]]
    targets = [[1, 0, 1, -1], [0, 0, 1, -1]]  # ordinary, no positives, no negatives, unknown
    report = evaluate_scores(scores, targets)
    ordinary, none, full, unknown = report.per_class
    assert (report.mean_average_precision, report.mean_auc) == (1, 1)
    assert (ordinary.average_precision, ordinary.auc) == (1, 1)
    assert np.isnan([none.average_precision, none.auc, none.precision, none.recall, none.f1]).all()
    assert full.average_precision == 1
    assert np.isnan(full.auc)
    assert np.isnan([unknown.average_precision, unknown.auc, unknown.precision]).all()
    assert [row.negatives for row in report.per_class] == [1, 2, 0, 0]
    averaged = report.to_dict()["averaged"]
    assert averaged["mAP"] == {
        "classes": 2,
        "left_out": {"not judged": ["class 3"], "no positives": ["class 1"]},
    }
    assert averaged["mAUC"] == {
        "classes": 1,
        "left_out": {
            "not judged": ["class 3"],
            "no positives": ["class 1"],
            "no negatives": ["class 2"],
        },
    }
    assert report.classes_without_positives == 2
    assert report.classes_without_negatives == 2
    assert report.decisions.class_recall == pytest.approx((1 + 0.5) / 2)
    without_unknown = evaluate_scores(np.array(scores)[:, :3], np.array(targets)[:, :3])
    assert without_unknown.classes_without_positives == 1
    assert without_unknown.classes_without_negatives == 1


def test_no_positives_at_all_is_undefined_and_does_not_warn():
    report = evaluate_scores([[0.9, 0.1]], [[0, 0]])
    assert np.isnan([report.mean_average_precision, report.mean_auc]).all()
    assert np.isnan(list(report.decisions.to_dict().values())).all()


def test_one_image_and_one_class():
    report = evaluate_scores([[0.7]], [[1]])
    assert report.mean_average_precision == 1
    assert report.decisions.overall_f1 == 1
    assert np.isnan(report.mean_auc)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_invariances(protocol):
    scores, targets = draw(unknown=0.2)
    expected = numbers(evaluate_scores(scores, targets, protocol=protocol))
    generator = np.random.default_rng(1)

    order = generator.permutation(len(scores))
    assert numbers(evaluate_scores(scores[order], targets[order], protocol=protocol)) == (
        pytest.approx(expected)
    )
    scores_apart = scores + np.arange(6) * 1e-9  # no ties between classes: top 3 is unique
    scores_apart = scores_apart / scores_apart.max()
    first = numbers(evaluate_scores(scores_apart, targets, protocol=protocol))
    columns = generator.permutation(6)
    second = evaluate_scores(scores_apart[:, columns], targets[:, columns], protocol=protocol)
    assert numbers(second) == pytest.approx(first)

    moved = np.where(targets == -1, generator.random(scores.shape), scores)
    assert numbers(evaluate_scores(moved, targets, protocol=protocol)) == pytest.approx(expected)

    squared = numbers(evaluate_scores(scores**2, targets, thresholds=0.25, protocol=protocol))
    assert squared == pytest.approx(expected)

    twice = np.concatenate([scores, scores]), np.concatenate([targets, targets])
    doubled = numbers(evaluate_scores(*twice, protocol=protocol))
    for key in ("mAP", "mAUC", *AVERAGES):
        assert doubled[key] == pytest.approx(expected[key])


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.float32])
def test_targets_of_any_number_type(dtype):
    scores, targets = draw(unknown=0)
    expected = numbers(evaluate_scores(scores, targets))
    assert numbers(evaluate_scores(scores, targets.astype(dtype))) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", np.longdouble])
def test_scores_of_any_float_type(dtype):
    scores, targets = draw()
    levels = np.round(scores * 64) / 64  # exact in every type
    expected = numbers(evaluate_scores(levels, targets))
    assert numbers(evaluate_scores(levels.astype(dtype), targets)) == expected


def test_memory_layout_changes_nothing():
    scores, targets = draw()
    expected = numbers(evaluate_scores(scores, targets))
    fortran = numbers(evaluate_scores(np.asfortranarray(scores), np.asfortranarray(targets)))
    assert fortran == expected
    kept = np.asfortranarray(scores)
    evaluate_scores(kept, targets)
    np.testing.assert_array_equal(kept, scores)
    padded = np.repeat(np.repeat(scores, 2, axis=0), 2, axis=1)
    assert numbers(evaluate_scores(padded[::2, ::2], targets)) == expected


GOOD = [[0.2, 0.8]], [[0, 1]]


@pytest.mark.parametrize(
    ("scores", "targets", "options", "message"),
    [
        ([[np.nan, 0.1]], [[0, 1]], {}, "image 0, class 0 is not a number"),
        ([[1.2, 0.1]], [[0, 1]], {}, r"in \[0, 1\], got values from 0.1 to 1.2"),
        ([[-0.1, 0.1]], [[0, 1]], {}, "apply the sigmoid"),
        ([[np.inf, 0.1]], [[0, 1]], {}, "apply the sigmoid"),
        ([0.2, 0.8], [0, 1], {}, r"shape \(images, classes\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}, "at least one of each"),
        (np.zeros((3, 0)), np.zeros((3, 0)), {}, "at least one of each"),
        ([["a", "b"]], [[0, 1]], {}, "must be numbers"),
        (GOOD[0], [[0], [1]], {}, r"shape \(images, classes\) = \(1, 2\), got \(2, 1\)"),
        (GOOD[0], [[0, 2]], {}, "got 2 for image 0, class 1"),
        (GOOD[0], [[0, 0.5]], {}, "got 0.5"),
        (GOOD[0], [[np.nan, 1]], {}, "got nan"),
        (GOOD[0], [["yes", "no"]], {}, "got yes"),
        (*GOOD, {"class_names": ["a"]}, "1 class names for 2"),
    ],
)
def test_refuses_scores_and_targets(scores, targets, options, message):
    with pytest.raises(DataError, match=message):
        evaluate_scores(scores, targets, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "voc12"}, "did you mean 'voc11'"),
        ({"thresholds": [0.5]}, "one number or one per class"),
        ({"thresholds": 50}, r"lie in \[0, 1\]"),
        ({"thresholds": [0.5, float("nan")]}, r"lie in \[0, 1\]"),
    ],
)
def test_refuses_options(options, message, unchecked_shapes):
    with pytest.raises(ConfigError, match=message) as caught:
        evaluate_scores(*GOOD, **options)
    assert isinstance(caught.value, ColabelError)
    assert isinstance(caught.value, ValueError)


def test_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys, colabel.metrics, colabel.runs.predictions\n"
        "print([name for name in ('torch', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Predictions survive the disk unchanged; metrics are written whole or not at all."""

import errno
import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from colabel.errors import DataError, RunError
from colabel.metrics import evaluate_scores
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions, score_predictions, write_metrics


def make(*, images=5, classes=3, targets=True, extra=None):
    generator = np.random.default_rng(0)
    shape = (images, classes)
    return Predictions(
        ids=tuple(f"bilder/größe {i} $.JPG" for i in range(images)),
        classes=tuple(f"class, {k}" for k in range(classes)),
        logits=generator.normal(0, 3, shape).astype(np.float32),
        targets=generator.choice([1, 0, -1], shape).astype(np.int8) if targets else None,
        split="test",
        extra={} if extra is None else extra,
    )


def assert_equal(first, second):
    assert (first.ids, first.classes, first.split) == (second.ids, second.classes, second.split)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.logits.dtype == second.logits.dtype
    if first.targets is None:
        assert second.targets is None
    else:
        np.testing.assert_array_equal(first.targets, second.targets)
        assert first.targets.dtype == second.targets.dtype
    assert set(first.extra) == set(second.extra)
    for name, values in first.extra.items():
        np.testing.assert_array_equal(values, second.extra[name])


@pytest.mark.parametrize("targets", [True, False])
def test_round_trip(tmp_path, targets):
    extra = {
        "variance": np.ones((5, 3), np.float32),
        "file": np.arange(5),  # also the name of an argument of numpy's writer
        "note": np.array(["ä", "", "b", "c", "d"]),
    }
    predictions = make(targets=targets, extra=extra)
    path = tmp_path / "predictions-test.npz"
    predictions.save(path)
    assert_equal(predictions, Predictions.load(path))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("groups", [(), ("p1", "p2", "p1", "", "größe"), None])
def test_groups_are_kept_and_what_nobody_noted_is_told_apart(tmp_path, groups):
    predictions = replace(make(), groups=groups)
    predictions.save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").groups == groups


def test_no_images_round_trip(tmp_path):
    predictions = make(images=0)
    predictions.save(tmp_path / "p.npz")
    assert_equal(predictions, Predictions.load(tmp_path / "p.npz"))


def test_numpy_alone_can_read_the_file(tmp_path):
    make().save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as file:
        assert file["ids"][1] == "bilder/größe 1 $.JPG"
        assert file["logits"].dtype == np.float32


def test_probabilities_are_the_sigmoid_without_overflow():
    logits = np.array([[0, 1, -1, 30, -30, 800, -800, np.inf, -np.inf]], np.float32)
    predictions = Predictions(("a",), tuple("abcdefghi"), logits, None, "test")
    expected = [0.5, 0.7310585786300049, 0.2689414213699951, 1 - 9.357622968839e-14]
    expected += [9.357622968839299e-14, 1, 0, 1, 0]
    np.testing.assert_allclose(predictions.probabilities[0], expected, rtol=1e-13)


def test_confident_predictions_do_not_become_ties():
    logits = np.array([[20], [19]], np.float32)
    targets = np.array([[1], [0]], np.int8)
    predictions = Predictions(("a", "b"), ("cat",), logits, targets, "test")
    assert score_predictions(predictions).mean_auc == 1


def test_score_predictions_is_evaluate_scores_of_the_probabilities():
    predictions = make(images=40)
    thresholds = [0.2, 0.5, 0.7]
    expected = evaluate_scores(
        1 / (1 + np.exp(-predictions.logits.astype(float))),
        predictions.targets,
        class_names=predictions.classes,
        thresholds=thresholds,
        protocol="voc11",
    )
    point = OperatingPoint(thresholds=thresholds)
    found = score_predictions(predictions, point, protocol="voc11").to_dict()
    for key, value in expected.to_dict().items():
        assert found[key] == (value if key in ("per_class", "averaged") else pytest.approx(value))


@pytest.mark.parametrize(("scale", "shift"), [(300, 0), (1, 50), (1, -800), (30, 35)])
def test_ranking_is_that_of_the_logits_however_far_they_are(scale, shift):
    random = np.random.default_rng(0)
    targets = (random.random((300, 3)) < 0.3).astype(np.int8)
    logits = (random.normal(size=(300, 3)) + targets).astype(np.float32)
    ids = tuple(map(str, range(300)))
    near, far = (
        score_predictions(Predictions(ids, ("a", "b", "c"), values, targets, "test"))
        for values in (logits, (scale * logits.astype(np.float64) + shift).astype(np.float32))
    )
    order = [np.argsort(np.argsort(values[:, 0])) for values in (logits, scale * logits + shift)]
    if (order[0] == order[1]).all():
        assert far.mean_average_precision == pytest.approx(near.mean_average_precision, abs=2e-3)
        assert far.mean_auc == pytest.approx(near.mean_auc, abs=2e-3)
    expected = np.mean(
        [
            average_precision_score(targets[:, k], scale * logits[:, k].astype(np.float64) + shift)
            for k in range(3)
        ]
    )
    assert far.mean_average_precision == pytest.approx(expected, abs=2e-3)


def test_scoring_needs_targets():
    with pytest.raises(DataError, match="carry no targets"):
        score_predictions(make(targets=False))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros((5, 2), np.float32)}, r"logits must be float32 .* = \(5, 3\)"),
        ({"logits": np.zeros((5, 3))}, "got float64"),
        ({"targets": np.zeros((4, 3), np.int8)}, "targets must be int8"),
        ({"targets": np.zeros((5, 3), np.int64)}, "got int64"),
        ({"extra": {"variance": np.zeros((4, 3))}}, "one row for each of the 5 images"),
        ({"groups": ("p", "q")}, "2 groups for 5 images"),
        ({"ids": ("a", "b", "c", "b", "d")}, "two images have the name 'b'"),
        ({"extra": {"split": np.zeros(5)}}, "'split' has the name of a field"),
        ({"extra": {"things": np.array([{}] * 5)}}, "numbers or text"),
    ],
)
def test_parts_that_do_not_belong_together(changes, message):
    fields = dict(vars(make())) | changes
    with pytest.raises(DataError, match=message):
        Predictions(**fields)


def test_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(RunError, match=r"colabel evaluate \S+ --split test"):
        Predictions.load(tmp_path / "predictions-test.npz")


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "p.npz"
    make().save(path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[100] ^= 0xFF  # inside the compressed ids
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    other = io.BytesIO()
    np.savez(other, a=np.zeros(3))
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("notes.txt", "hello")
    for data in (
        b"",
        b"hello",
        whole[: len(whole) // 2],
        bytes(flipped),
        array.getvalue(),
        other.getvalue(),
        foreign.getvalue(),
    ):
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"p\.npz is not a"):
            Predictions.load(path)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickled_objects_are_not_loaded(tmp_path):
    trace = tmp_path / "executed"
    path = tmp_path / "p.npz"
    for data in (pickle.dumps(Trap(trace)), None):
        if data is None:
            np.savez(path, ids=np.array([Trap(trace)], dtype=object))
        else:
            path.write_bytes(data)
        with pytest.raises(RunError, match="not a readable file"):
            Predictions.load(path)
        assert not trace.exists()


def test_shapes_in_a_file_are_checked(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, ids=["a"], classes=["x", "y"], logits=np.zeros((1, 3), np.float32), split="s")
    with pytest.raises(RunError, match=r"p\.npz is not a file of predictions: logits must"):
        Predictions.load(path)


def test_metrics_are_json_with_null_for_undefined(tmp_path):
    report = evaluate_scores([[0.9, 0.2], [0.1, 0.3]], [[1, 0], [0, 0]], class_names=["ä", "b"])
    path = tmp_path / "metrics-test.json"
    write_metrics(report.to_dict(), path)

    def refuse(constant):
        raise AssertionError(constant)

    values = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert values["mAP"] == 1
    assert values["per_class"][0]["name"] == "ä"
    assert values["per_class"][1]["AP"] is None
    assert values.keys() == report.to_dict().keys()
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("what", ["metrics", "predictions"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_older_file(tmp_path, monkeypatch, what, call):
    path = tmp_path / "file"
    path.write_text("older")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    write = {
        "metrics": lambda: write_metrics(evaluate_scores([[0.9]], [[1]]).to_dict(), path),
        "predictions": lambda: make().save(path),
    }[what]
    with pytest.raises(RunError, match=r"file cannot be written: No space left"):
        write()
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        make().save(tmp_path / "missing" / "p.npz")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_files_have_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").touch()
    make().save(tmp_path / "p.npz")
    assert (tmp_path / "p.npz").stat().st_mode == (tmp_path / "ordinary").stat().st_mode

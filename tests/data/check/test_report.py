"""What a check counts, and what it says of splits and labels."""

import json

import numpy as np
import pytest
from checked_records import labels_only, only, problems, save, table

from colabel.data.check import check_records
from colabel.data.readers.shapes import read_shapes
from colabel.errors import DataError

# ---------------------------------------------------------------- counts


def test_counts_are_those_of_plain_loops():
    generator = np.random.default_rng(0)
    classes = ("a", "b", "c", "d")
    splits = {
        name: labels_only(generator.integers(-1, 2, (n, 4)), classes, name, notes=(f"{name}!",))
        for name, n in (("train", 37), ("val", 11))
    }
    report = check_records(splits, decode=False)
    together = np.zeros((4, 4), dtype=int)
    for part, (name, records) in zip(report.splits, splits.items(), strict=True):
        histogram = [0] * len(part.labels_per_image)
        positives, judged = [0] * 4, [0] * 4
        for row in records.targets:
            histogram[sum(value == 1 for value in row)] += 1
            for first in range(4):
                positives[first] += int(row[first] == 1)
                judged[first] += int(row[first] != -1)
                for second in range(4):
                    together[first, second] += int(row[first] == 1 and row[second] == 1)
        assert part.name == name
        assert part.images == len(records)
        assert part.groups is None
        assert list(part.labels_per_image) == histogram
        assert list(part.positives) == positives
        assert list(part.judged) == judged
        assert part.mean_labels == pytest.approx(sum(positives) / len(records))
        assert part.notes == (f"{name}!",)
    assert (report.co_occurrence == together).all()
    assert report.pictures is None


def test_clean_data_has_neither_errors_nor_warnings():
    splits = {name: read_shapes(name, images={name: 400}) for name in ("train", "val", "test")}
    report = check_records(splits, workers=2)
    assert report.of("error") == ()
    assert report.of("warning") == ()
    assert report.pictures is not None
    assert report.pictures.images == 1200
    assert report.pictures.widths == (64, 64, 64)
    assert report.pictures.modes == {"RGB": 1200}
    assert report.pictures.formats == {}


def test_the_report_is_plain_json(tmp_path):
    save(tmp_path, ["a.png", "b.png"])
    report = check_records({"train": table(tmp_path, ["a.png", "b.png", "c.png"])})
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["classes"] == ["cat", "dog"]
    assert read["splits"]["train"]["positives"] == {"cat": 1, "dog": 1}
    assert read["co_occurrence"] == [[1, 0], [0, 1]]
    assert read["pictures"]["formats"] == {"PNG": 2}
    assert read["problems"][0]["severity"] == "error"
    assert read["problems"][0]["count"] == 1


def test_nothing_to_check_is_refused():
    with pytest.raises(DataError, match="at least one split"):
        check_records({})


def test_an_empty_split_is_an_error():
    report = check_records(
        {"train": labels_only([[1, 0]]), "val": labels_only(np.empty((0, 2)))}, decode=False
    )
    assert "val" in only(report, "No images in").what


# ---------------------------------------------------------------- splits


def test_a_patient_in_two_splits_is_an_error():
    splits = {
        "train": labels_only([[1, 0]] * 3, prefix="t", groups=("p1", "p1", "p2")),
        "val": labels_only([[1, 0]] * 2, prefix="v", groups=("p3", "p2")),
        "test": labels_only([[1, 0]], prefix="x", groups=("p2",)),
    }
    report = check_records(splits, decode=False)
    problem = only(report, "patients, slides")
    assert problem.severity == "error"
    assert problem.examples == ("p2: train, val and test",)
    assert [part.groups for part in report.splits] == [2, 2, 1]


def test_differing_classes_are_an_error_and_counted_by_name():
    splits = {
        "train": labels_only([[1, 0], [1, 1]], ("cat", "dog"), "t"),
        "val": labels_only([[1, 0]], ("dog", "cat"), "v"),
        "test": labels_only([[1, 1]], ("cat", "cow"), "x"),
    }
    report = check_records(splits, decode=False)
    problem = only(report, "classes of train and of val and test differ")
    assert problem.severity == "error"
    assert problem.examples == ("val: another order", "test: cow, dog")
    assert report.classes == ("cat", "dog", "cow")
    assert [part.positives for part in report.splits] == [(2, 1, 0), (0, 1, 0), (1, 0, 1)]
    assert [part.judged for part in report.splits] == [(2, 2, 0), (1, 1, 0), (1, 0, 1)]


# ---------------------------------------------------------------- labels


def test_classes_without_positives_or_negatives_or_with_few_are_named():
    train = np.zeros((40, 5), dtype=int)
    train[:, 0] = 1
    train[:20, 2] = 1
    train[:9, 3] = 1
    train[:, 4] = -1
    val = np.zeros((30, 5), dtype=int)
    val[:15, [0, 1, 4]] = 1
    val[:10, 2] = 1
    classes = ("all", "none", "some", "few", "unjudged")
    splits = {"train": labels_only(train, classes, "t"), "val": labels_only(val, classes, "v")}
    report = check_records(splits, decode=False)
    assert only(report, "without a positive image in train").examples == ("none", "unjudged")
    assert "cannot be learned" in only(report, "without a positive image in train").cost
    assert only(report, "without a positive image in val").examples == ("few",)
    assert "average precision" in only(report, "without a positive image in val").cost
    assert only(report, "without a negative image in train").examples == ("all",)
    few = only(report, "fewer than 10 positive images in train")
    assert few.severity == "warning"
    assert few.examples == ("few: 9 images",)
    assert problems(report, "fewer than 10 positive images in val") == []


def test_classes_labelled_alike_everywhere_are_named():
    targets = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]] * 6)
    splits = {"train": labels_only(targets, ("a", "b", "c"))}
    report = check_records(splits, decode=False)
    assert only(report, "labelled alike").examples == ("a = b",)
    targets[5, 1] = -1
    splits = {"train": labels_only(targets, ("a", "b", "c"))}
    assert problems(check_records(splits, decode=False), "labelled alike") == []


def test_a_shift_between_splits_is_told_from_chance():
    generator = np.random.default_rng(0)
    train = generator.random((1000, 3)) < [0.2, 0.2, 0.02]
    test = generator.random((500, 3)) < [0.4, 0.2, 0.03]
    # 2 % and 3.2 %, one and a half standard deviations apart
    train[:, 2] = np.arange(1000) < 20
    test[:, 2] = np.arange(500) < 16
    splits = {
        "train": labels_only(train, ("more", "same", "rare"), "t"),
        "test": labels_only(test, ("more", "same", "rare"), "x"),
    }
    problem = only(check_records(splits, decode=False), "more or less frequent in test")
    assert problem.severity == "note"
    (line,) = problem.examples
    shares = f"{train[:, 0].mean():.1%} in train, {test[:, 0].mean():.1%} in test"
    assert line == f"more: {shares}"


def test_images_without_labels_and_unknown_labels_are_counted():
    splits = {"train": labels_only([[0, 0], [0, -1], [1, -1], [-1, 1], [0, 1]])}
    report = check_records(splits, decode=False)
    assert only(report, "without any label").examples == ("train: 2 images",)
    unknown = only(report, "unknown")
    assert unknown.count == 3
    assert "30.0%" in unknown.what
    assert unknown.examples == ("cat: 1 image", "dog: 2 images")

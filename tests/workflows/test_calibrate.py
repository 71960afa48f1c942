"""colabel calibrate: another operating point for a trained run, and what keeps the former one."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_runs import CLASSES, command

import colabel
from colabel.errors import ConfigError, DataError, RunError
from colabel.files import write_json
from colabel.runs import description as descriptions
from colabel.runs.claim import claimed_run
from colabel.runs.description import load_description
from colabel.runs.folder import RunFolder
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions
from colabel.settings.target import parse_target
from colabel.workflows import predicted_split
from colabel.workflows.calibrate import calibrate

IMAGES = 300


@pytest.fixture
def copied(tiny_run, tmp_path):
    """A finished run of its own, with predictions of many images that the model separates."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    random = np.random.default_rng(0)
    targets = (random.random((IMAGES, 3)) < [0.5, 0.3, 0]).astype(np.int8)
    targets[:5] = 1
    logits = 2 * random.normal(size=targets.shape) + 5 * targets
    kept = Predictions.load(folder / "predictions-val.npz")
    Predictions(
        tuple(map(str, range(IMAGES))), CLASSES, logits.astype(np.float32), targets, "val",
        model=kept.model,
    ).save(folder / "predictions-val.npz")  # fmt: skip
    return folder


@pytest.fixture
def without_images(monkeypatch):
    """Fail where images are read although predictions are there."""

    def refuse(*_, **__):
        raise AssertionError("predictions are there")

    monkeypatch.setattr(predicted_split, "predict_split", refuse)


def test_training_fits_an_operating_point_and_says_on_what(tiny_run):
    point = load_description(tiny_run).operating_point
    assert point.target == "f1"
    assert point.calibration.kind == "platt"
    predictions = Predictions.load(tiny_run / "predictions-val.npz")
    assert point.fitted_on.images == len(predictions.ids)
    assert (point.fitted_on.split, point.fitted_on.epochs) == ("val", 2)
    written = json.loads((tiny_run / "metrics-val.json").read_text())
    assert written["decisions"] == "uncalibrated"
    assert written["thresholds"] == [0.5] * 3
    there = written["operating_point"]
    assert there["decisions"] == "operating point"
    assert there["thresholds"] == list(point.thresholds)
    assert there["same_images"] is True
    assert there["calibration"] == "platt"
    assert there["CF1"] >= written["CF1"]
    result = json.loads((tiny_run / "result.json").read_text())
    assert result["operating_point"]["OF1"] == there["OF1"]


def test_evaluation_on_other_images_is_not_marked(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    measured = colabel.evaluate(folder, cpu=True).measured
    assert not measured.same_images
    assert measured.report.thresholds == (0.5,) * 3
    assert measured.at_point.thresholds == measured.point.thresholds
    assert colabel.evaluate(folder, split="val", cpu=True).measured.same_images


@pytest.mark.usefixtures("without_images")
class TestCommand:
    def test_a_guarantee_and_what_it_needs(self, copied, capsys):
        before = load_description(copied)
        assert command("calibrate", copied, "--target", "recall=0.9") == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "guaranteed for 2 of 3 labels: a recall of at least 90.0% on average" in shown
        assert "not guaranteed, needs 9 positives, has 5: owl" in shown
        assert "also chose the best of 2 epochs" in shown
        after = load_description(copied)
        assert after.model_copy(update={"operating_point": before.operating_point}) == before
        assert [rule.guaranteed for rule in after.operating_point.rules] == [True, True, False]

    def test_what_chose_the_epoch_costs_confidence(self, copied, capsys):
        arguments = ("--target", "precision=0.7", "--confidence", "0.95")
        assert command("calibrate", copied, *arguments) == 0
        assert "at worst its confidence is 90%" in " ".join(capsys.readouterr().out.split())

    def test_other_programs_get_json(self, copied, capsys):
        assert command("calibrate", copied, "--target", "recall=0.9", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["target"] == "recall=0.9"
        owl = told["labels"][2]
        assert (owl["label"], owl["guaranteed"], owl["needed"]) == ("owl", False, 9)
        assert owl["reason"].startswith("needs 9 positives, has ")
        point = load_description(copied).operating_point
        assert [label["threshold"] for label in told["labels"]] == list(point.thresholds)
        assert told["after"]["CF1"] > 0

    def test_some_labels_alone(self, copied):
        calibrate(copied, parse_target("f1"))
        before = load_description(copied).operating_point
        assert command("calibrate", copied, "--target", "cost=9:1", "--labels", "dog") == 0
        after = load_description(copied).operating_point
        assert after.thresholds == (before.thresholds[0], 0.1, before.thresholds[2])

    def test_none_is_what_there_was_before_operating_points(self, copied):
        assert command("calibrate", copied, "--target", "none") == 0
        assert load_description(copied).operating_point == OperatingPoint.plain(3)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--target", "recall=95"], "--target: target recall=95: a share between 0 and 1"),
            (["--target", "best"], "expected one of none, f1"),
            (["--labels", "bat"], "the model has no label 'bat'; did you mean 'cat'"),
            (["--labels", "cat", "--target", "missed=0.1"], "leave out --labels"),
            (["--confidence", "90"], "--confidence: expected a share such as 0.9"),
            (["--confidence", "0.9"], "--confidence is for --target recall"),
            (["--labels", "cat", "--calibration", "isotonic"], "leave out --labels"),
            (["--target", "recall=0.9", "--split", "train"], "the model has learned these"),
            (["--labels", ""], "--labels names no label"),
            (["--labels", "cat", "--target", "none"], "leave out --labels"),
            (["--target", "recall=0.999"], "can be guaranteed for no label (cat: needs 999"),
            (["--target", "precision=0.99"], "can be guaranteed for no label"),
        ],
    )
    def test_what_cannot_be_leaves_the_former_point(self, copied, capsys, arguments, message):
        before = (copied / "model.json").read_bytes()
        assert command("calibrate", copied, *arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())
        assert (copied / "model.json").read_bytes() == before

    def test_images_without_labels_leave_the_former_point(self, copied):
        before = (copied / "model.json").read_bytes()
        kept = Predictions.load(copied / "predictions-val.npz")
        Predictions(
            kept.ids, CLASSES, kept.logits, kept.targets * 0, "val", model=kept.model
        ).save(copied / "predictions-val.npz")
        with pytest.raises(DataError, match="no label is present in any of the 300 images"):
            calibrate(copied, parse_target("f1"))
        assert (copied / "model.json").read_bytes() == before

    def test_predictions_with_other_labels_are_refused(self, copied):
        kept = Predictions.load(copied / "predictions-val.npz")
        Predictions(
            kept.ids, ("a", "b", "c"), kept.logits, kept.targets, "val", model=kept.model
        ).save(copied / "predictions-val.npz")
        with pytest.raises(RunError, match="has other labels than the model"):
            calibrate(copied, parse_target("f1"))

    def test_a_run_that_is_trained_in_is_left_alone(self, copied):
        with (
            claimed_run(copied, name="", resume=True),
            pytest.raises(RunError, match="another process is training in"),
        ):
            calibrate(copied, parse_target("f1"))

    def test_a_full_disk_leaves_the_former_point(self, copied, monkeypatch):
        before = (copied / "model.json").read_bytes()

        def full(path, content):
            monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
            write_json(path, content)

        monkeypatch.setattr(descriptions, "write_json", full)
        with pytest.raises(RunError, match=r"model\.json"):
            calibrate(copied, parse_target("f1"))
        assert (copied / "model.json").read_bytes() == before


def test_predictions_of_other_weights_are_made_again(copied):
    stale = Predictions.load(copied / "predictions-val.npz")
    Predictions(stale.ids, CLASSES, stale.logits, stale.targets, "val", model="another").save(
        copied / "predictions-val.npz"
    )
    done = calibrate(copied, parse_target("f1"), cpu=True)
    assert done.point.fitted_on.images < IMAGES
    fresh = Predictions.load(copied / "predictions-val.npz")
    assert len(fresh.ids) == done.point.fitted_on.images
    assert fresh.model not in ("", "another")


def test_what_is_said_of_reading_is_not_ignored(copied):
    done = calibrate(copied, parse_target("f1"), max_pixels=10**6, cpu=True)
    assert done.point.fitted_on.images < IMAGES  # read anew: there is no such number of images
    with pytest.raises(ConfigError, match="nonsense"):
        calibrate(copied, parse_target("f1"), options={"nonsense": "5"}, cpu=True)


def test_labels_that_were_corrected_are_read(tiny_run, copied):
    table = tiny_run.parent / "labels.csv"
    done = calibrate(copied, parse_target("f1"))
    assert "labels and logits are those of predictions-val.npz" in done.notes[0]
    saved = (copied / "predictions-val.npz").stat().st_mtime
    times = table.stat().st_mtime
    os.utime(table, (saved + 60, saved + 60))
    try:
        done = calibrate(copied, parse_target("f1"), cpu=True)
    finally:
        os.utime(table, (times, times))
    assert "labels.csv has changed since predictions-val.npz" in done.notes[0]
    assert done.point.fitted_on.images < IMAGES


def test_predictions_of_another_split_are_not_taken(copied):
    kept = Predictions.load(copied / "predictions-val.npz")
    Predictions(kept.ids, CLASSES, kept.logits, kept.targets, "test", model=kept.model).save(
        copied / "predictions-val.npz"
    )
    assert calibrate(copied, parse_target("f1"), cpu=True).images < IMAGES


def test_a_label_that_no_image_tells_of_is_named(copied, capsys):
    kept = Predictions.load(copied / "predictions-val.npz")
    targets = kept.targets.copy()
    targets[:, 2] = -1
    Predictions(kept.ids, CLASSES, kept.logits, targets, "val", model=kept.model).save(
        copied / "predictions-val.npz"
    )
    assert command("calibrate", copied) == 0
    assert "known of no image, so never given out: owl" in capsys.readouterr().out


def test_evaluation_says_what_is_not_guaranteed(copied, capsys):
    assert command("calibrate", copied, "--target", "recall=0.9") == 0
    capsys.readouterr()
    assert command("evaluate", copied, "--cpu", "--classes") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "guaranteed for 2 of 3 labels: a recall of at least 90.0% on average" in shown
    assert "not guaranteed, needs 9 positives, has 5: owl" in shown
    assert (shown.count(" yes "), shown.count(" no ")) == (2, 1)


def test_the_own_images_by_another_name_have_chosen_the_epoch_too(copied):
    source = RunFolder(copied).config().data.source
    point = calibrate(copied, parse_target("f1"), data=source, cpu=True).point
    assert (point.fitted_on.split, point.fitted_on.epochs) == ("val", 2)


@pytest.mark.parametrize("split", ["train", "all"])
def test_learned_images_guarantee_nothing_by_whatever_name(tiny_run, copied, tmp_path, split):
    shutil.copytree(tiny_run.parent / "images", tmp_path / "moved" / "images")
    table = shutil.copy(tiny_run.parent / "labels.csv", tmp_path / "moved" / "labels.csv")
    data = None if split == "all" else str(table)
    before = (copied / "model.json").read_bytes()
    with pytest.raises(ConfigError, match="images that the model has learned"):
        calibrate(copied, parse_target("recall=0.5"), data=data, split=split, cpu=True)
    assert (copied / "model.json").read_bytes() == before


def test_moved_images_have_chosen_the_epoch_too(tiny_run, copied, tmp_path):
    shutil.copytree(tiny_run.parent / "images", tmp_path / "moved" / "images")
    table = shutil.copy(tiny_run.parent / "labels.csv", tmp_path / "moved" / "labels.csv")
    point = calibrate(copied, parse_target("f1"), data=str(table), cpu=True).point
    assert point.fitted_on.epochs == 2


def test_predictions_of_some_of_the_images_are_not_taken(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    whole = len(Predictions.load(folder / "predictions-val.npz").ids)
    colabel.evaluate(folder, split="val", cpu=True, max_pixels=10**6, on_corrupt="skip")
    assert Predictions.load(folder / "predictions-val.npz").reading == (
        "corrupt: skip, pixels: 1000000"
    )
    done = calibrate(folder, parse_target("f1"), cpu=True)
    assert done.images == whole
    assert Predictions.load(folder / "predictions-val.npz").reading == ""


def test_a_run_that_is_not_complete_says_what_will_be_of_it(copied):
    (copied / "result.json").unlink()
    assert "is not complete" in calibrate(copied, parse_target("f1")).notes[-1]


def test_another_split_has_chosen_nothing(copied):
    point = calibrate(copied, parse_target("f1"), split="test", cpu=True).point
    assert (point.fitted_on.split, point.fitted_on.epochs) == ("test", 0)


def test_a_run_from_before_operating_points_is_sigmoid_and_a_half(copied):
    content = json.loads((copied / "model.json").read_text())
    del content["operating_point"]
    old = {**content, "format": 2, "thresholds": [0.5, 0.25, 0.5], "calibration": None}
    (copied / "model.json").write_text(json.dumps(old))
    point = load_description(copied).operating_point
    assert point == OperatingPoint(thresholds=(0.5, 0.25, 0.5))
    (answer,) = colabel.load(copied).predict(np.zeros((8, 8, 3), np.uint8))
    for name, logit in answer.logits.items():
        assert answer.probabilities[name] == pytest.approx(1 / (1 + np.exp(-logit)))
    calibrate(copied, parse_target("f1"))
    assert load_description(copied).operating_point.target == "f1"


class TestPredict:
    def test_decisions_are_those_of_the_operating_point(self, copied):
        calibrate(copied, parse_target("f1"))
        predictor = colabel.load(copied)
        point = predictor.description.operating_point
        pictures = [np.full((9, 9, 3), grey, np.uint8) for grey in (0, 90, 255)]
        for answer in predictor.predict(pictures):
            logits = np.array([list(answer.logits.values())])
            probabilities = point.probabilities(logits)
            np.testing.assert_allclose(list(answer.probabilities.values()), probabilities[0])
            given = point.decide(probabilities)[0]
            assert set(answer.labels) == {
                name for name, g in zip(CLASSES, given, strict=True) if g
            }
            wrong = np.where(given, 1 - probabilities[0], probabilities[0]).mean()
            assert answer.uncertainty["expected_errors"] == pytest.approx(wrong)
            assert set(answer.uncertainty) == {
                "expected_errors", "entropy_sum", "largest_probability", "joint_energy",
                "mean_variance",
            }  # fmt: skip
            assert answer.abstains is None

    def test_where_the_model_should_not_decide(self, copied, tmp_path, capsys):
        calibrate(copied, parse_target("f1"))
        description = load_description(copied)
        pictures = [np.full((9, 9, 3), grey, np.uint8) for grey in range(0, 256, 15)]
        answers = colabel.load(copied).predict(pictures)
        doubts = sorted(answer.uncertainty["expected_errors"] for answer in answers)
        middle = doubts[len(doubts) // 2]
        point = description.operating_point
        selectivity = point.selectivity.model_copy(
            update={"scores": (*(middle,) * 51, *(1.0,) * 50)}
        )
        descriptions.save_description(
            copied,
            description.model_copy(
                update={"operating_point": point.model_copy(update={"selectivity": selectivity})}
            ),
        )
        again = colabel.load(copied).predict(pictures, abstain="coverage=0.5")
        for answer in again:
            assert answer.abstains == (answer.uncertainty["expected_errors"] > middle)
        assert {answer.abstains for answer in again} == {True, False}
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / f"{number:02}.png")
        files = sorted(tmp_path.glob("*.png"))
        assert command("predict", copied, *files, "--abstain", "coverage=0.5") == 0
        told = capsys.readouterr()
        undecided = sum(answer.abstains for answer in again)
        assert f"left undecided (--abstain coverage=0.5): {undecided} of those" in told.err

    def test_a_wish_that_means_nothing_is_refused_before_the_model_is_loaded(self, copied, capsys):
        calibrate(copied, parse_target("none"))
        assert command("predict", copied, "nowhere.png", "--abstain", "coverage=0.9") == 2
        assert "find one with: colabel calibrate RUN" in " ".join(capsys.readouterr().err.split())

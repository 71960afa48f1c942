"""colabel uncertainty: the table, the picture, and images of another kind."""

import json
import os
import shutil

import numpy as np
import pytest
from fakes import write_image
from PIL import Image
from tiny_runs import command
from torch import nn

import colabel
from colabel.data.corrupted import CORRUPTIONS, CorruptedImages
from colabel.data.images import FileImages
from colabel.errors import ConfigError
from colabel.runs.description import load_description
from colabel.runs.predictions import Predictions
from colabel.uncertainty import aurc, image_errors, pair_errors
from colabel.uncertainty.pair_scores import entropy
from colabel.workflows import predicted_split
from colabel.workflows.outside_images import _name_of
from colabel.workflows.uncertainty import measure_uncertainty


@pytest.fixture(scope="module")
def measured(tiny_run, tmp_path_factory):
    """A run, and its uncertainty against a folder of other images and damaged copies."""
    home = tmp_path_factory.mktemp("uncertainty")
    folder = shutil.copytree(tiny_run, home / "run")
    for number in range(5):
        write_image(home / "other" / f"{number}.png", size=(20, 30), seed=100 + number)
    report = measure_uncertainty(folder, against=[str(home / "other"), "noise"], cpu=True)
    return folder, report


def test_scores_are_measured_on_the_decisions_of_the_operating_point(measured):
    folder, report = measured
    predictions = Predictions.load(folder / "predictions-val.npz")  # as written by training
    assert report.split == "test"
    assert report.images > 0
    written = json.loads((folder / "uncertainty-test.json").read_text())
    assert written["risk"] == report.risk
    assert {score["name"] for score in written["scores"]} == {s.name for s in report.scores}
    on_val = measure_uncertainty(folder, split="val", cpu=True)
    assert any("found on these very images" in note for note in on_val.notes)
    assert not any("found on these very images" in note for note in report.notes)
    point = load_description(folder).operating_point
    probabilities = point.probabilities(predictions.logits)
    given = point.decide(probabilities)
    by_name = {score.name: score for score in on_val.scores}
    errors = pair_errors(given, predictions.targets)
    assert on_val.risk == pytest.approx(errors.mean())
    assert by_name["entropy"].aurc == pytest.approx(
        aurc(entropy(probabilities).ravel(), errors.ravel())
    )
    of_images = image_errors(given, predictions.targets)
    assert by_name["entropy_sum"].aurc == pytest.approx(
        aurc(entropy(probabilities).sum(axis=1), of_images)
    )
    assert by_name["kernel_variance"].aurc == pytest.approx(
        aurc(predictions.extra["variance"].ravel(), errors.ravel())
    )


def test_other_images_are_counted_and_told_apart_by_every_score_of_images(measured):
    _, report = measured
    assert dict(report.outside) == {"other": 5, "noise": report.images}
    for score in report.scores:
        assert set(score.outside) == (set(report.outside) if score.per == "image" else set())
        for auroc, fpr95 in score.outside.values():
            assert 0 <= auroc <= 1
            assert 0 <= fpr95 <= 1


def test_what_a_run_has_not_is_said(measured):
    _, report = measured
    assert any("several passes with dropout or of several runs" in r for r in report.unavailable)
    names = {score.name for score in report.scores}
    assert {"kernel_variance", "prototype_distance", "kernel_mixture", "feature_distance"} <= names


def test_the_picture_shows_what_was_measured(measured):
    folder, report = measured
    assert report.chart == folder / "uncertainty-test.png"
    with Image.open(report.chart) as picture:
        assert picture.width > picture.height > 400


def test_an_ensemble_of_runs(measured, tmp_path):
    folder, _ = measured
    other = shutil.copytree(folder, tmp_path / "other")
    report = measure_uncertainty(folder, members=[other], cpu=True)
    by_name = {score.name: score for score in report.scores}
    assert by_name["predictive_entropy"].aurc == pytest.approx(by_name["entropy"].aurc)
    description = json.loads((other / "model.json").read_text())
    description["classes"] = ["dog", "cat", "owl"]
    (other / "model.json").write_text(json.dumps(description))
    with pytest.raises(ConfigError, match="it has other labels than the run"):
        measure_uncertainty(folder, members=[other], cpu=True)


def test_passes_with_dropout_make_samples(measured, monkeypatch):
    folder, _ = measured
    load = predicted_split.load_predictor

    def with_dropout(*given, **options):
        predictor = load(*given, **options)
        predictor.model.head.pooling = nn.Sequential(predictor.model.head.pooling, nn.Dropout(0.5))
        predictor.model.head.pooling.reads = "vector"
        return predictor.model.eval() and predictor

    monkeypatch.setattr(predicted_split, "load_predictor", with_dropout)
    report = measure_uncertainty(folder, passes=3, cpu=True)
    by_name = {score.name: score for score in report.scores}
    assert by_name["mutual_information"].aurc != by_name["entropy"].aurc
    assert not any("dropout" in reason for reason in report.unavailable)


def test_the_command_says_whether_the_papers_variance_beats_entropy(measured, capsys):
    folder, _ = measured
    assert command("uncertainty", folder, "--cpu") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "kernel variance does not beat entropy" in shown or "variance beats entropy" in shown
    assert "chance" in shown
    assert "calibration error" in shown
    assert command("uncertainty", folder, "--cpu", "--json") == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"


def test_chance_of_images_is_that_of_images_where_labels_are_unknown(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    shutil.copytree(tiny_run.parent / "images", tmp_path / "images")
    random = np.random.default_rng(0)
    lines = ["path,cat,dog,owl"]
    for number in range(20):
        row = random.integers(0, 2, 3)
        row[random.random(3) < 0.5] = -1
        row[number % 3] = 1
        lines.append(f"images/{number:02}.png,{','.join(map(str, row))}")
    table = tmp_path / "wide.csv"
    table.write_text("\n".join(lines) + "\n")
    report = measure_uncertainty(folder, data=str(table), split="all", cpu=True)
    colabel.evaluate(folder, data=str(table), split="all", cpu=True)
    predictions = Predictions.load(folder / "predictions-all-wide.npz")
    point = load_description(folder).operating_point
    given = point.decide(point.probabilities(predictions.logits))
    of_images = image_errors(given, predictions.targets)
    of_pairs = pair_errors(given, predictions.targets)
    assert report.risk == pytest.approx(np.nanmean(of_pairs))
    assert report.image_risk == pytest.approx(np.nanmean(of_images))
    assert report.image_risk != pytest.approx(report.risk)


def test_sets_are_called_like_the_end_of_their_paths():
    names = {}
    for place in ("/a/one/images", "/b/two/images", "voc:/c/images", "blur"):
        names[_name_of(place, names)] = place
    assert list(names) == ["images", "two/images", "c/images", "blur"]


def test_one_picture_is_a_set_of_its_own(measured):
    folder, _ = measured
    picture = folder.parent / "other" / "0.png"
    report = measure_uncertainty(folder, against=[str(picture)], cpu=True)
    assert report.outside == {"0.png": 1}


def test_names_that_are_no_text_are_images_like_others(measured, tmp_path):
    folder, _ = measured
    picture = folder.parent / "other" / "0.png"
    for name in (b"\xff.png", b"plain.png"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(picture.read_bytes())
    report = measure_uncertainty(folder, against=[str(tmp_path)], cpu=True)
    assert list(report.outside.values()) == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "nowhere"], "'nowhere' leads to no image"),
        (["--against", "blur", "--against", "blur"], "blur: it is there twice"),
        (["--split", "none"], "has no split 'none'"),
        (["--with", "nowhere"], "there is no run folder nowhere"),
        (["--passes", "4"], "the model has no dropout layer"),
        (["--passes", "1"], "expected at least 2"),
    ],
)
def test_what_cannot_be_is_told(measured, capsys, arguments, message):
    folder, _ = measured
    assert command("uncertainty", folder, "--cpu", *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_damage_is_the_same_every_time_and_differs_between_images(tmp_path, corruption):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, ::7] = (200, 40, 90)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    images = CorruptedImages(FileImages([tmp_path / "a.png", tmp_path / "b.png"]), corruption)
    first, again, other = (np.asarray(images.open(index)) for index in (0, 0, 1))
    assert first.shape == pixels.shape
    assert (first == again).all()
    assert (first != pixels).any()
    assert (first == other).all() == (corruption in ("blur", "jpeg"))
    assert len(images.select([1])) == 1
    assert images.locate(1).endswith("b.png")

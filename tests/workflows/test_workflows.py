import csv
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from fakes import write_image, write_voc
from tiny_runs import CLASSES, IMAGES

import colabel
from colabel.build.division import open_training_data
from colabel.config import check_config, load_config
from colabel.errors import ConfigError, DataError, ImageError, RunError
from colabel.models import cost
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.workflows.check import open_for_check
from colabel.workflows.cost import cost as count_cost
from colabel.workflows.predicted_split import _records_of


@pytest.fixture
def config(tmp_path):
    """A recipe that holds validation images out of trainval, as those for VOC do."""
    write_voc(tmp_path)
    return load_config(
        "voc2007-kmcl-tresnet-m",
        ["data.validation_fraction=0.4"],
        data__source=f"voc2007:{tmp_path}",
    )


def test_validation_is_what_was_held_out_and_not_the_official_split(config, tmp_path):
    parts = open_training_data(config.data, seed=config.training.seed).records
    records = _records_of(config, RunFolder(tmp_path), "val")
    assert records.ids == parts["val"].ids
    assert not set(records.ids) & set(parts["train"].ids)


def test_other_splits_are_those_of_the_source(config, tmp_path):
    assert _records_of(config, RunFolder(tmp_path), "test").ids == ("000004",)
    assert len(_records_of(config, RunFolder(tmp_path), "trainval")) == 3
    with pytest.raises(DataError, match="nothing"):
        _records_of(config, RunFolder(tmp_path), "nothing")


def test_the_recipe_says_what_its_test_split_is_called(config, tmp_path):
    data = config.data.model_copy(update={"test": "val"})
    records = _records_of(config.model_copy(update={"data": data}), RunFolder(tmp_path), "test")
    assert records.ids == ("000003",)


def test_every_split_of_a_source_is_checked(config):
    assert set(open_for_check(config.data.source)) == {"train", "val", "test"}


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a finished run, which a test may change."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def home(tiny_run, tmp_path):
    """A copy of the images of that run, beside which a test may write tables."""
    shutil.copytree(tiny_run.parent / "images", tmp_path / "images")
    return tmp_path


def write_columns(home, tiny_run, classes, *, name="wide"):
    """Write the labels of the run's table as a column each, in this order."""
    with open(tiny_run.parent / "labels.csv", encoding="utf-8", newline="") as file:
        rows = [(row["path"], row["labels"].split(";")) for row in csv.DictReader(file)]
    lines = [",".join(["path", *classes])]
    lines += [",".join([path, *(str(int(c in labels)) for c in classes)]) for path, labels in rows]
    (home / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return str(home / f"{name}.csv")


def all_of(run, **options):
    """Measure on every image; return the evaluation, what was written of it, the predictions."""
    evaluated = colabel.evaluate(run, split="all", cpu=True, **options)
    written = json.loads(evaluated.path.read_text("utf-8"))
    predictions = evaluated.path.name.replace("metrics", "predictions").replace("json", "npz")
    return evaluated, written, Predictions.load(run / predictions)


def by_class(written):
    return {row["name"]: row for row in written["per_class"]}


def test_metrics_say_what_they_were_measured_on(run, tiny_run):
    evaluated, written, predictions = all_of(run)
    assert evaluated.path == run / "metrics-all.json"
    assert written["split"] == "all"
    assert written["data"]["source"] == str(tiny_run.parent / "labels.csv")
    assert written["data"]["notes"] == list(evaluated.notes)
    assert written["images"] == len(predictions.ids) == IMAGES
    assert written["mAP"] == evaluated.report.mean_average_precision
    test = json.loads(colabel.evaluate(run, cpu=True).path.read_text("utf-8"))
    assert test["data"]["fingerprint"] != written["data"]["fingerprint"]
    again = json.loads(colabel.evaluate(run, cpu=True).path.read_text("utf-8"))
    assert again == test


def test_training_writes_of_its_metrics_what_evaluation_does(run):
    before = (run / "metrics-val.json").read_bytes()
    assert json.loads(before)["split"] == "val"
    colabel.evaluate(run, split="val", cpu=True)
    assert (run / "metrics-val.json").read_bytes() == before


@pytest.mark.parametrize("order", [("owl", "cat", "dog"), ("dog", "owl", "cat"), CLASSES])
def test_labels_are_matched_by_name_whatever_their_order(run, home, tiny_run, order):
    _, expected, whole = all_of(run)
    before = (run / "metrics-all.json").read_bytes()
    evaluated, written, predictions = all_of(run, data=write_columns(home, tiny_run, order))
    assert evaluated.path == run / "metrics-all-wide.json"
    assert predictions.classes == CLASSES
    np.testing.assert_array_equal(predictions.targets, whole.targets)
    np.testing.assert_array_equal(predictions.logits, whole.logits)
    assert evaluated.notes == ()
    for facts in (written, expected):
        source = facts.pop("data")["source"]
        assert source.endswith(".csv")
    assert written == expected
    assert (run / "metrics-all.json").read_bytes() == before


def test_a_label_that_the_data_does_not_have_is_unknown(run, home, tiny_run):
    _, expected, _ = all_of(run)
    evaluated, written, predictions = all_of(
        run, data=write_columns(home, tiny_run, ("owl", "cat"))
    )
    (note,) = evaluated.notes
    assert note.startswith(
        "labels that the data does not have: dog; taken as unknown, so left out"
    )
    assert written["data"]["notes"] == [note]
    assert predictions.targets[:, 1].tolist() == [-1] * IMAGES
    rows, whole = by_class(written), by_class(expected)
    assert rows["dog"]["AP"] is None
    assert rows["dog"]["support"] == 0
    for name in ("cat", "owl"):
        assert rows[name] == whole[name]
    assert written["mAP"] == pytest.approx(np.mean([rows[c]["AP"] for c in ("cat", "owl")]))


def test_a_test_split_of_another_name_is_noted(run):
    settings = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    settings["data"]["test"] = "train"
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    evaluated = colabel.evaluate(run, cpu=True)
    assert evaluated.notes[0] == "the split test is train in this source (data.test)"
    assert evaluated.report.images > IMAGES / 2


def test_missing_labels_can_be_counted_as_absent_for_columns_and_lists_alike(run, home, tiny_run):
    columns = write_columns(home, tiny_run, ("owl", "cat"))
    lists = home / "lists.csv"
    with open(columns, encoding="utf-8", newline="") as file:
        rows = [
            f"{row['path']},{';'.join(name for name in ('cat', 'owl') if row[name] == '1')}\n"
            for row in csv.DictReader(file)
        ]
    lists.write_text("path,labels\n" + "".join(rows))
    for missing, target in (("unknown", -1), ("absent", 0)):
        results = [
            all_of(run, data=source, missing_labels=missing) for source in (columns, str(lists))
        ]
        for evaluated, written, predictions in results:
            assert f"dog; taken as {missing}" in evaluated.notes[-1]
            assert predictions.targets[:, 1].tolist() == [target] * IMAGES
            assert by_class(written)["dog"]["negatives"] == IMAGES * (missing == "absent")
        np.testing.assert_array_equal(results[0][2].targets, results[1][2].targets)


@pytest.fixture
def sites(tmp_path):
    """Two sites whose tables and images have the same names, and other pictures."""
    for number, site in enumerate(("siteA", "siteB")):
        for index in range(6):
            write_image(tmp_path / site / "scans" / f"{index}.png", seed=100 * number + index)
        lines = [f"{index}.png,{index % 2},,0" for index in range(6)]
        (tmp_path / site / "labels.csv").write_text("\n".join(["path,cat,dog,owl", *lines]))
    return tmp_path


def trained_on(run, site, **options):
    """Say of a run that it was trained on a site, with options of its reader."""
    settings = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    settings["data"] |= {"source": str(site / "labels.csv"), "options": options}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    (run / "split.csv").unlink()


def test_options_of_training_are_never_applied_to_another_source(run, sites):
    scans = {site: str(sites / site / "scans") for site in ("siteA", "siteB")}
    trained_on(run, sites / "siteA", images=scans["siteA"], blank="unknown")
    evaluated, own, first = all_of(run)
    assert own["data"]["options"] == {"images": scans["siteA"], "blank": "unknown"}
    assert not any("training" in note for note in evaluated.notes)
    table = str(sites / "siteB" / "labels.csv")
    with pytest.raises(DataError, match=r"none of the 6 images .*siteB"):
        all_of(run, data=table)
    evaluated, written, second = all_of(run, data=table, options={"images": scans["siteB"]})
    assert evaluated.notes[0] == "option blank=unknown is carried over from training"
    assert written["data"]["options"] == {"images": scans["siteB"], "blank": "unknown"}
    expected = colabel.load(run).predict([f"{scans['siteB']}/{n}.png" for n in range(6)])
    np.testing.assert_allclose(
        second.logits, [list(p.logits.values()) for p in expected], atol=1e-4
    )
    assert not np.allclose(first.logits, second.logits)
    shutil.copytree(sites / "siteB" / "scans", sites / "siteB", dirs_exist_ok=True)
    evaluated, _, third = all_of(run, data=table)
    assert evaluated.notes[1] == (
        f"not used here, since they are options of the training data: images={scans['siteA']} "
        "(--option)"
    )
    np.testing.assert_array_equal(second.logits, third.logits)


def test_an_option_of_training_without_effect_elsewhere_is_left_out(run, sites):
    trained_on(run, sites / "siteA", soft_threshold=0.5, blank="unknown")
    shutil.copytree(sites / "siteB" / "scans", sites / "siteB", dirs_exist_ok=True)
    lists = sites / "siteB" / "lists.csv"
    lines = [f"{index}.png,{'cat;dog' if index % 2 else 'owl'}" for index in range(6)]
    lists.write_text("\n".join(["path,labels", *lines]))
    evaluated, written, predictions = all_of(run, data=str(lists))
    assert evaluated.notes[:2] == (
        "option soft_threshold of training has no effect here and is left out",
        "option blank of training has no effect here and is left out",
    )
    assert written["data"]["options"] == {}
    assert predictions.targets.sum() == 9
    with pytest.raises(DataError, match=r"soft_threshold=0\.5 has no effect"):
        all_of(run, data=str(lists), options={"soft_threshold": "0.5"})


def test_the_source_of_training_keeps_its_options_by_whatever_path(run, sites, monkeypatch):
    scans = str(sites / "siteA" / "scans")
    trained_on(run, sites / "siteA", images=scans)
    expected, _, _ = all_of(run)
    monkeypatch.chdir(sites)
    again, _, _ = all_of(run, data="siteA/labels.csv")
    assert again.path == expected.path
    before = expected.path.read_bytes()
    other, written, predictions = all_of(run, options={"blank": "unknown"})
    assert other.path == run / "metrics-all-labels.json"
    assert written["data"]["options"] == {"images": scans, "blank": "unknown"}
    assert (predictions.targets[:, 1] == -1).all()
    assert expected.path.read_bytes() == before
    with pytest.raises(ConfigError, match="did you mean 'blank'"):
        all_of(run, options={"blnak": "unknown"})


def test_two_tables_of_one_name_have_two_results(run, sites):
    for site in ("siteA", "siteB"):
        shutil.copytree(sites / site / "scans", sites / site, dirs_exist_ok=True)
    paths = {}
    for site in ("siteA", "siteB", "siteA"):
        evaluated, written, _ = all_of(run, data=str(sites / site / "labels.csv"))
        assert written["data"]["source"] == str(sites / site / "labels.csv")
        assert paths.setdefault(site, evaluated.path) == evaluated.path
    assert [path.name for path in paths.values()] == [
        "metrics-all-labels.json",
        "metrics-all-siteB-labels.json",
    ]
    assert json.loads(paths["siteB"].read_text())["data"]["source"].endswith("siteB/labels.csv")


def test_a_label_that_the_model_does_not_know_is_refused(run, home, tiny_run):
    source = write_columns(home, tiny_run, ("cat", "elk", "dog", "owl", "yak"))
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(DataError, match=r"wide.csv has labels .* does not know: elk, yak; it kno"):
        colabel.evaluate(run, data=source, split="all", cpu=True)
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("verify", [True, False])
def test_images_that_were_left_out_are_noted(run, home, tiny_run, verify):
    settings = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    settings["data"]["verify"] = verify
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    source = write_columns(home, tiny_run, CLASSES)
    for name in ("03.png", "30.png"):
        (home / "images" / name).write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"03\.png: not an image"):
        colabel.evaluate(run, data=source, split="all", cpu=True)
    assert not (run / "metrics-all-wide.json").exists()
    evaluated, written, predictions = all_of(run, data=source, on_corrupt="skip")
    (note,) = evaluated.notes
    assert note.startswith(f"2 of {IMAGES} images cannot be decoded and were left out")
    assert written["data"]["notes"] == [note]
    assert written["images"] == len(predictions.ids) == IMAGES - 2
    assert not {"images/03.png", "images/30.png"} & set(predictions.ids)


def test_thresholds_are_those_of_the_model(run):
    _, before, predictions = all_of(run)
    description = json.loads((run / "model.json").read_text("utf-8"))
    thresholds = [0.0, 1.0, float(np.median(predictions.probabilities[:, 2]))]
    (run / "model.json").write_text(
        json.dumps(description | {"operating_point": {"thresholds": thresholds}})
    )
    _, written, again = all_of(run)
    np.testing.assert_array_equal(again.logits, predictions.logits)
    rows = by_class(written["operating_point"])
    assert [rows[name]["recall"] for name in ("cat", "dog")] == [1, 0]
    present = predictions.targets[:, 2] == 1
    given = predictions.probabilities[:, 2] >= thresholds[2]
    assert rows["owl"]["recall"] == pytest.approx((present & given).sum() / present.sum())
    assert written["mAP"] == before["mAP"]


def test_the_image_size_is_that_of_the_model(run):
    _, _, before = all_of(run)
    settings = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    settings["data"]["image_size"] *= 2
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    _, _, after = all_of(run)
    np.testing.assert_array_equal(after.logits, before.logits)


def describe_run(folder, head, encoder="test_efficientnet"):
    """Write what a run says of its model; its weights are not needed to count."""
    folder.mkdir(parents=True)
    description = {
        "format": 2,
        "colabel": "0",
        "classes": ["cat", "dog", "owl", "fox"],
        "method": "any",
        "head": head,
        "encoder": {"name": encoder, "options": {}, "freeze_batch_norm": False},
        "image_size": 64,
        "thresholds": [0.5] * 4,
        "data": {},
        "selection": {"stage": "any", "epoch": 1, "metric": "mAP", "value": 0.5},
    }
    (folder / "model.json").write_text(json.dumps(description))
    return str(folder)


def test_a_probmcl_run_costs_what_an_asl_run_costs(tmp_path):
    """The mixture density network is dropped, as is the projection before it."""
    deployed = [check_config({"method": name}).stages()[-1].head for name in ("probmcl", "asl")]
    ours, other = (
        count_cost(describe_run(tmp_path / str(number), head.model_dump(mode="json")))
        for number, head in enumerate(deployed)
    )
    assert ours == other
    assert ours == cost("test_efficientnet", image_size=64, classes=4, covariance="linear")
    assert ours.parameters == ours.paper_parameters


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_a_kmcl_run_costs_what_its_covariance_costs(tmp_path, covariance):
    head = {"name": "kernel_mixture", "covariance": covariance}
    counted = count_cost(describe_run(tmp_path / "run", head))
    assert counted == cost("test_efficientnet", image_size=64, classes=4, covariance=covariance)
    other = count_cost(str(tmp_path / "run"), image_size=96)
    assert other.parameters == counted.parameters
    assert other.macs > counted.macs


def test_counting_a_run_draws_no_random_numbers(tmp_path):
    folder = describe_run(tmp_path / "run", {"name": "linear"})
    state = torch.get_rng_state()
    count_cost(folder)
    assert torch.equal(state, torch.get_rng_state())


def test_a_folder_called_like_an_encoder_is_a_run_only_if_it_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_efficientnet").mkdir()
    expected = cost("test_efficientnet", image_size=224, classes=2)
    assert count_cost("test_efficientnet", classes=2) == expected
    describe_run(tmp_path / "test_efficientnet" / "deep", {"name": "linear"})
    (tmp_path / "test_efficientnet" / "deep" / "model.json").rename(
        tmp_path / "test_efficientnet" / "model.json"
    )
    linear = cost("test_efficientnet", image_size=64, classes=4, covariance="linear")
    assert count_cost("test_efficientnet") == linear
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match="mine holds no model yet"):
        count_cost("mine")

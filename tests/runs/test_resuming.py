import json
from dataclasses import replace

import numpy as np
import pytest
from pictures import some_records

from colabel.config import check_config, load_config
from colabel.errors import ConfigError, DataError, RunError
from colabel.runs.folder import RunFolder
from colabel.runs.resuming import check_data, check_settings, write_data

RECIPE = "shapes-kmcl"


@pytest.fixture
def folder(tmp_path):
    """A run that was started with the recipe as it is."""
    (tmp_path / "config.yaml").write_text(load_config(RECIPE).to_yaml(), encoding="utf-8")
    return tmp_path


@pytest.fixture
def records():
    return {"train": some_records(6), "val": some_records(4)}


@pytest.mark.parametrize(
    "change",
    [
        "data.source=/elsewhere/labels.csv",
        "data.verify=false",
        "data.cache_mb=0",
        "data.options.images=/elsewhere",
        "data.options.splits=/elsewhere/lists",
        "encoder.weights=/elsewhere/weights.safetensors",
        "training.workers=3",
        "training.save_minutes=1",
        "description=another",
        "published={metric: mAP, value: 1, source: here, run: 'no'}",
    ],
)
def test_what_does_not_change_the_result_may_change(folder, change):
    check_settings(RunFolder(folder), load_config(RECIPE, [change]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epochs=999", r"training\.epochs was \d+, is 999\."),
        ("training.clip_gradient=1", r"training\.clip_gradient was null, is 1\.0\."),
        ("data.options.seed=5", r"data\.options.* is "),
        ("data.shared_groups=allow", r'data\.shared_groups was "stop", is "allow"\.'),
        ("method={name: asl}", r'method\.name was "kmcl", is "asl"'),
        ("encoder.name=resnet18", r"encoder\.name was "),
    ],
)
def test_every_other_setting_is_named_with_both_values(folder, change, message):
    with pytest.raises(ConfigError, match=f"started with other settings: .*{message}"):
        check_settings(RunFolder(folder), load_config(RECIPE, [change]))


def test_all_settings_that_changed_are_told_at_once(folder):
    changes = ["training.epochs=999", "training.seed=77"]
    with pytest.raises(ConfigError, match=r"training\.epochs was .*; training\.seed was"):
        check_settings(RunFolder(folder), load_config(RECIPE, changes))


def test_a_model_without_the_state_that_made_it_is_not_trained_over(folder):
    (folder / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(RunError, match=r"no state to go on from \(last/ is missing\)"):
        check_settings(RunFolder(folder), load_config(RECIPE))
    (folder / "last").mkdir()
    check_settings(RunFolder(folder), load_config(RECIPE))


def test_settings_of_another_method_have_no_value(folder):
    with pytest.raises(ConfigError, match=r"head\.covariance was \"isotropic\", is null"):
        check_settings(RunFolder(folder), check_config({"method": {"name": "bce"}}))


def test_the_same_data_may_go_on(tmp_path, records):
    write_data(RunFolder(tmp_path), records)
    check_data(RunFolder(tmp_path), records)
    written = json.loads((tmp_path / "data.json").read_text())
    assert {split: written[split]["images"] for split in ("train", "val")} == {
        "train": 6,
        "val": 4,
    }


def other_labels(part):
    targets = part.targets.copy()
    targets[0, 0] = 1 - abs(targets[0, 0])
    return replace(part, targets=targets)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    "change",
    [
        other_labels,
        lambda part: replace(part, targets=np.roll(part.targets, 1, axis=0)),
        lambda part: replace(part, ids=(*part.ids[1:], part.ids[0])),
        lambda part: replace(part, ids=("another", *part.ids[1:])),
        lambda part: replace(part, classes=part.classes[::-1]),
        lambda part: part.subset(range(len(part) - 1)),
    ],
    ids=["one label", "shuffled labels", "order", "an image", "classes", "fewer"],
)
def test_other_data_in_either_split_are_refused(tmp_path, records, split, change):
    write_data(RunFolder(tmp_path), records)
    changed = records | {split: change(records[split])}
    assert changed[split].fingerprint() != records[split].fingerprint()
    had, has = (len(each[split]) for each in (records, changed))
    change = "with other names, classes or labels" if had == has else f"now it has {has}"
    said = rf"other images or labels: the split {split} had {had} images,? {change}\."
    with pytest.raises(DataError, match=said):
        check_data(RunFolder(tmp_path), changed)


@pytest.mark.parametrize("content", [None, "{", "\udcff"])
def test_a_run_that_does_not_say_what_it_began_with_is_refused(tmp_path, records, content):
    if content is not None:
        (tmp_path / "data.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(RunError, match=r"data\.json.*copy the whole run folder"):
        check_data(RunFolder(tmp_path), records)

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from colabel import run as runs
from colabel.errors import RunError
from colabel.run import Description, Selection

DESCRIPTION = Description(
    colabel="1.2.3",
    classes=("cat", "Zähne"),
    method={"name": "asl"},
    encoder={"name": "resnet18", "options": {}},
    image_size=64,
    thresholds=(0.5, 0.25),
    data={"source": "shapes", "images": 3, "fingerprint": "00"},
    selection=Selection(stage="asl", epoch=2, metric="mAP", value=None),
)


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )


def same(one, other):
    return all(
        torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items()
    )


@pytest.fixture
def saved(tmp_path):
    runs.save_model(tmp_path, model(), DESCRIPTION)
    return tmp_path


def test_a_model_comes_back_bit_for_bit_with_its_description(saved):
    restored = model(seed=1)
    assert not same(restored, model())
    runs.load_weights(saved, restored)
    assert same(restored, model())
    assert runs.load_description(saved) == DESCRIPTION
    assert "Zähne" in (saved / "model.json").read_text("utf-8")


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_full_disk_keeps_the_previous_model(saved, monkeypatch, at):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[at], full)
        with pytest.raises(RunError, match=r"model.safetensors cannot be written: No space left"):
            runs.save_model(saved, model(seed=1), DESCRIPTION)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    restored = model(seed=2)
    runs.load_weights(saved, restored)
    assert same(restored, model())


def test_a_run_begins_in_a_new_or_an_empty_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "a" / "b"):
        assert runs.create_run(folder, resume=False) == folder
        assert folder.is_dir()


@pytest.mark.parametrize("name", ["model.safetensors", "last", "notes.txt", "log.jsonl"])
def test_a_folder_with_anything_of_value_is_not_taken(tmp_path, name):
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / name).write_text("one line")
    for attempt in (runs.check_free, lambda folder: runs.create_run(folder, resume=False)):
        with pytest.raises(RunError, match=r"exists already; add --resume .* or choose another"):
            attempt(tmp_path)
    assert (tmp_path / name).read_text() == "one line"


def test_a_file_is_no_folder_for_a_run(tmp_path):
    path = tmp_path / "run"
    path.write_text("a file")
    with pytest.raises(RunError, match="exists already"):
        runs.create_run(path, resume=False)
    with pytest.raises(RunError, match="cannot be made"):
        runs.create_run(path / "run", resume=False)
    assert path.read_text() == "a file"


def test_what_a_failed_start_left_is_not_in_the_way(tmp_path):
    (tmp_path / "config.yaml").write_text("training: {}")
    (tmp_path / "split.csv").write_text("id,split\n")
    (tmp_path / "log.jsonl").write_text("")
    runs.check_free(tmp_path)
    runs.create_run(tmp_path, resume=False)
    assert not list(tmp_path.iterdir())


def test_only_a_run_can_be_resumed(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match=r"no run to resume in .*leave out --resume"):
            runs.create_run(folder, resume=True)
    (tmp_path / "config.yaml").write_text("training: {}")
    assert runs.create_run(tmp_path, resume=True) == tmp_path
    assert (tmp_path / "config.yaml").read_text() == "training: {}"


def test_the_first_free_folder(tmp_path):
    assert runs.free_folder(tmp_path / "runs", "a") == tmp_path / "runs" / "a-1"
    for name in ("a-1", "a-2", "a-4", "b-3"):
        (tmp_path / name).mkdir()
    assert runs.free_folder(tmp_path, "a") == tmp_path / "a-3"


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(RunError, match=r"there is no run folder .*nowhere"):
        runs.load_description(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no model yet"):
        runs.load_description(tmp_path)
    with pytest.raises(RunError, match="copy the whole run folder"):
        runs.load_weights(tmp_path, model())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "not valid JSON"),
        ("[1, 2]", "has format None, this version of colabel reads 1"),
        ({"format": 2}, "has format 2"),
        ({"classes": None}, "model.json: classes: "),
        ({"flavour": "sweet"}, "model.json: flavour: "),
        ({"image_size": "large"}, "model.json: image_size: "),
    ],
)
def test_a_description_that_cannot_be_used_is_named(saved, change, message):
    path = saved / "model.json"
    if not isinstance(change, str):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    with pytest.raises(RunError, match=message):
        runs.load_description(saved)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_damaged_weights_are_named(saved, damage):
    path = saved / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-7], "garbage": b"\x80" * 99, "empty": b""}[damage])
    with pytest.raises(RunError, match=r"model.safetensors is damaged .*copy it again"):
        runs.load_weights(saved, model())


def test_weights_of_another_model_are_named_with_their_shapes(saved):
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(2, 2))
    with pytest.raises(RunError) as caught:
        runs.load_weights(saved, other)
    message = str(caught.value)
    assert "does not fit the model that model.json describes, 8 differences" in message
    assert "0.weight: (4, 3, 3, 3) in the file, (5, 3, 3, 3) in the model" in message
    assert "2.bias: missing in the file, (2,) in the model" in message

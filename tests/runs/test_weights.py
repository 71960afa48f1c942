"""A run's model and its description: what is written comes back, what does not fit is named."""

import errno
import json
import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from colabel.errors import RunError
from colabel.runs import weights
from colabel.runs.description import DescribedEncoder, Description, Selection, load_description
from colabel.runs.identity import weights_fingerprint
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.weights import load_weights, save_model
from colabel.settings import LinearSettings

DESCRIPTION = Description(
    colabel="1.2.3",
    classes=("cat", "Zähne"),
    method="asl",
    head=LinearSettings(feature_length=8),
    encoder=DescribedEncoder(name="resnet18"),
    image_size=64,
    operating_point=OperatingPoint(thresholds=(0.5, 0.25)),
    data={"source": "shapes", "images": 3, "fingerprint": "00"},
    selection=Selection(stage="asl", epoch=2, metric="mAP", value=None),
)


def at(**parts):
    """Return an operating point of two labels with some parts replaced, as a change."""
    return {"operating_point": {"thresholds": [0.5, 0.25], **parts}}


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
    save_model(tmp_path, model(), DESCRIPTION)
    return tmp_path


def test_a_model_comes_back_bit_for_bit_with_its_description(saved):
    restored = model(seed=1)
    assert not same(restored, model())
    load_weights(saved, restored, load_description(saved))
    assert same(restored, model())
    described = load_description(saved)
    assert described.weights == weights_fingerprint(saved)
    assert described.model_copy(update={"weights": ""}) == DESCRIPTION
    assert "Zähne" in (saved / "model.json").read_text("utf-8")


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_full_disk_keeps_the_previous_model(saved, monkeypatch, at):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[at], full)
        with pytest.raises(RunError, match=r"model.safetensors cannot be written: No space left"):
            save_model(saved, model(seed=1), DESCRIPTION)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    restored = model(seed=2)
    load_weights(saved, restored, load_description(saved))
    assert same(restored, model())


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(RunError, match=r"there is no run folder .*nowhere"):
        load_description(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no model yet"):
        load_description(tmp_path)
    with pytest.raises(RunError, match="copy the whole run folder"):
        load_weights(tmp_path, model(), DESCRIPTION)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "is damaged"),
        ("[1, 2]", "has format None, this version of colabel reads 3"),
        ({"format": 1}, "has format 1"),
        ({"format": 4}, "has format 4"),
        ({"head": {"name": "later"}}, "model.json: head.name must be one of"),
        ({"classes": None}, "model.json: classes: "),
        ({"flavour": "sweet"}, "model.json: unknown key 'flavour'"),
        ({"image_size": "large"}, "model.json: image_size: "),
        ({"image_size": 0}, "model.json: image_size: .*greater than or equal to 1"),
        ({"image_size": 10**6}, "model.json: image_size: .*less than or equal to 4096"),
        (at(thresholds=[0.5]), "model.json: .*1 thresholds for 2 classes"),
        (
            at(thresholds=[0.5, 1.5]),
            "model.json: operating_point.thresholds.1: .*less than or equal to 1",
        ),
        (
            at(thresholds=[-0.1, 0.5]),
            "model.json: operating_point.thresholds.0: .*greater than or equal to 0",
        ),
        (at(thresholds=[0.5, math.nan]), "model.json is damaged .NaN is no JSON"),
        (at(rules=[{"target": "f1", "by": "f1"}]), "model.json: .*1 rules for 2 thresholds"),
        (at(rules=[{"target": "best", "by": "f1"}] * 2), "target best: expected one of none, f1"),
        (
            at(calibration={"kind": "platt", "slopes": [1], "intercepts": [0]}),
            "model.json: .*a calibration of 1 classes for 2 thresholds",
        ),
        (
            at(calibration={"kind": "platt", "slopes": [1, -1], "intercepts": [0, 0]}),
            "operating_point.calibration.slopes.1: .*greater than 0",
        ),
        ({"classes": ["cat", "cat"]}, "model.json: .*each with a name of its own"),
        ({"classes": [], **at(thresholds=[])}, "model.json: .*at least one"),
        (at(calibration={"temperature": 2}), "operating_point.calibration"),
        ("[" * 100_000, "is damaged"),
        ({"encoder": {}}, r"model.json: encoder.name: is missing"),
        (
            {"encoder": {"name": "a", "weights": "pretrained"}},
            r"model.json: unknown key 'encoder.weights'",
        ),
        (
            {"encoder": {"name": "a", "weights": None}},
            r"model.json: unknown key 'encoder.weights'",
        ),
        *(
            (
                {"encoder": {"name": "resnet18", "options": {option: "/etc/passwd"}}},
                f"model.json: encoder.options: the option {option} cannot be set",
            )
            for option in (
                "pretrained",
                "pretrained_cfg",
                "pretrained_cfg_overlay",
                "pretrained_strict",
                "checkpoint_path",
                "cache_dir",
            )
        ),
    ],
)
def test_a_description_that_cannot_be_used_is_named(saved, change, message):
    path = saved / "model.json"
    if not isinstance(change, str):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    with pytest.raises(RunError, match=message):
        load_description(saved)


def test_weights_that_were_replaced_after_the_description_are_refused(saved):
    """As after a kill between the two: thresholds of one model would be used with another."""
    former = load_description(saved)
    save_model(saved, model(seed=1), DESCRIPTION)
    restored = model(seed=2)
    with pytest.raises(RunError, match=r"is not the file that model.json was written with.*Resum"):
        load_weights(saved, restored, former)
    assert same(restored, model(seed=2))
    load_weights(saved, restored, DESCRIPTION)  # of an earlier version, which did not name them
    assert same(restored, model(seed=1))


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_damaged_weights_are_named(saved, damage):
    path = saved / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-7], "garbage": b"\x80" * 99, "empty": b""}[damage])
    with pytest.raises(RunError, match=r"model.safetensors is damaged .*copy it again"):
        load_weights(saved, model(), load_description(saved))


def test_weights_of_another_model_are_named_with_their_shapes(saved):
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(2, 2))
    with pytest.raises(RunError) as caught:
        load_weights(saved, other, load_description(saved))
    message = str(caught.value)
    assert "does not fit the model that model.json describes: " in message
    assert "0.weight (expected (5, 3, 3, 3), got (4, 3, 3, 3))" in message
    assert "missing: 2.bias" in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int32])
def test_weights_of_another_type_are_refused(saved, dtype):
    tensors = load_file(saved / "model.safetensors")
    save_file(tensors | {"0.bias": tensors["0.bias"].to(dtype)}, saved / "model.safetensors")
    wrong = r"describes: 1 of another type: 0.bias \(expected F32, got [FI]\d\d\)"
    with pytest.raises(RunError, match=wrong):
        load_weights(saved, model(), load_description(saved))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(saved, value):
    tensors = load_file(saved / "model.safetensors")
    tensors["0.bias"][2] = value
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(RunError, match=r"not finite, in 1 tensors, first 0.bias; copy it again"):
        load_weights(saved, model(), load_description(saved))


def test_shapes_are_compared_before_any_weight_is_read(saved, monkeypatch):
    monkeypatch.setattr(weights, "load_file", lambda _: pytest.fail("it was read"))
    with pytest.raises(RunError, match="does not fit"):
        load_weights(saved, nn.Linear(2, 2), DESCRIPTION)

import errno
import json
import os
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from colabel.errors import RunError, WeightsError
from colabel.training import checkpoint
from colabel.training.checkpoint import (
    load_state,
    pack_module,
    pack_optimiser,
    save_state,
    unpack_module,
    unpack_optimiser,
)
from colabel.training.facts import check_facts


def test_tensors_come_back_bit_for_bit(tmp_path):
    shared = torch.randn(4)
    tensors = {
        "float": torch.randn(3, 2) * 1e-42,  # below the smallest normal number
        "half": torch.randn(5).bfloat16(),
        "count": torch.tensor(7),
        "bytes": torch.arange(256, dtype=torch.uint8),
        "last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "part": torch.randn(4, 6)[:, 1::2],
        "one": shared,
        "same": shared,
        "empty": torch.zeros(0, 3),
    }
    save_state(tmp_path, tensors, {})
    loaded = load_state(tmp_path).tensors
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


def test_facts_come_back_exactly(tmp_path):
    facts = {"rate": 0.1 + 0.2, "tiny": 5e-324, "nested": {"a": [1, None, True]}, "text": "é"}
    save_state(tmp_path, {"a": torch.zeros(1)}, facts)
    assert load_state(tmp_path).facts == facts


def test_a_state_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    for number in range(5):
        save_state(tmp_path, {"a": torch.full((2,), number)}, {"n": number})
        assert load_state(tmp_path).facts["n"] == number
        assert load_state(tmp_path).tensors["a"].tolist() == [number] * 2
        assert len(list(tmp_path.iterdir())) == 2


def test_no_state_is_none(tmp_path):
    assert load_state(tmp_path) is None
    assert load_state(tmp_path / "nowhere") is None


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["tensors", "synchronise", "replace"])
def test_a_full_disk_leaves_the_state_before_intact(tmp_path, monkeypatch, at):
    save_state(tmp_path, {"a": torch.ones(2)}, {"n": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    where = {
        "tensors": (checkpoint, "save_file"),
        "synchronise": (os, "fsync"),
        "replace": (Path, "replace"),
    }[at]
    with monkeypatch.context() as patch:
        patch.setattr(*where, full)
        with pytest.raises(RunError, match=r"No space left.*saved before is intact"):
            save_state(tmp_path, {"a": torch.zeros(2)}, {"n": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert load_state(tmp_path).facts == {"n": 1}
    save_state(tmp_path, {"a": torch.zeros(2)}, {"n": 3})
    assert load_state(tmp_path).facts == {"n": 3}


def test_a_full_disk_before_the_first_state_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(RunError, match="no state was saved before"):
        save_state(tmp_path / "last", {"a": torch.zeros(2)}, {})
    assert load_state(tmp_path / "last") is None


class Killed(BaseException):
    """Ends a save as a kill would: nothing is tidied up."""


def killed(*args, **kwargs):
    raise Killed


@pytest.mark.parametrize("at", ["tensors", "facts", "replace"])
def test_a_kill_at_any_moment_leaves_a_whole_state(tmp_path, monkeypatch, at):
    save_state(tmp_path, {"a": torch.ones(2)}, {"n": 1})
    real = checkpoint.save_file

    def half(tensors, path):
        real(tensors, path)
        path.write_bytes(path.read_bytes()[:-5])
        raise Killed

    where = {
        "tensors": (checkpoint, "save_file", half),
        "facts": (checkpoint, "replace_file", killed),
        "replace": (Path, "replace", killed),
    }[at]
    with monkeypatch.context() as patch:
        patch.setattr(*where)
        with pytest.raises(Killed):
            save_state(tmp_path, {"a": torch.zeros(2)}, {"n": 2})
    state = load_state(tmp_path)
    assert state.facts == {"n": 1}
    assert torch.equal(state.tensors["a"], torch.ones(2))
    save_state(tmp_path, {"a": torch.zeros(2)}, {"n": 3})
    assert torch.equal(load_state(tmp_path).tensors["a"], torch.zeros(2))


@pytest.mark.parametrize("damage", ["tensors", "missing", "facts", "name"])
def test_a_damaged_state_is_said_to_be(tmp_path, damage):
    save_state(tmp_path, {"a": torch.ones(20)}, {"n": 1})
    (tensors,) = tmp_path.glob("*.safetensors")
    facts = tmp_path / "state.json"
    document = json.loads(facts.read_text())
    if damage == "tensors":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif damage == "missing":
        tensors.unlink()
    elif damage == "facts":
        facts.write_text(facts.read_text()[:-5])
    else:
        facts.write_text(json.dumps(document | {"tensors": "../elsewhere.safetensors"}))
    with pytest.raises(RunError, match=r"damaged|expected one of"):
        load_state(tmp_path)


def test_a_state_of_another_format_is_refused(tmp_path):
    save_state(tmp_path, {"a": torch.ones(2)}, {})
    facts = tmp_path / "state.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"format": 99}))
    with pytest.raises(RunError, match="format 99, this version reads 1"):
        load_state(tmp_path)


def trained(layout, steps):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=layout)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(steps):
            step(model, optimiser, torch.randn(2, 3, 8, 8))
    return model, optimiser


def step(model, optimiser, images):
    optimiser.zero_grad()
    model(images).square().mean().backward()
    optimiser.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_model_and_optimiser_take_the_next_step_as_if_never_saved(tmp_path, layout):
    model, optimiser = trained(layout, 3)
    moments, groups = pack_optimiser(optimiser)
    save_state(tmp_path, pack_module("model.", model) | moments, {"groups": groups})
    fresh, other = trained(layout, 1)
    saved = load_state(tmp_path)
    unpack_module(saved, "model.", fresh)
    unpack_optimiser(saved, saved.facts["groups"], other)
    for values, others in zip(optimiser.state.values(), other.state.values(), strict=True):
        for name, value in values.items():
            assert torch.equal(value, others[name])
            assert value.stride() == others[name].stride()
    images = torch.randn(2, 3, 8, 8)
    step(model, optimiser, images)
    step(fresh, other, images)
    for one, two in zip(model.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_another_model_is_refused_with_what_differs(tmp_path):
    save_state(tmp_path, pack_module("model.", nn.Linear(3, 2)), {})
    saved = load_state(tmp_path)
    with pytest.raises(
        WeightsError, match=r"1 of another shape: weight \(expected \(2, 4\), got \(2, 3\)\)"
    ):
        unpack_module(saved, "model.", nn.Linear(4, 2))
    with pytest.raises(WeightsError, match=r"1 left over: bias"):
        unpack_module(saved, "model.", nn.Linear(3, 2, bias=False))
    with pytest.raises(WeightsError, match=r"2 missing: 0\.bias, 0\.weight; 2 left over"):
        unpack_module(saved, "model.", nn.Sequential(nn.Linear(3, 2)))
    many = nn.Sequential(*(nn.Linear(1, 1) for _ in range(8)))
    with pytest.raises(WeightsError, match=r"16 missing: .* and 6 more"):
        unpack_module(saved, "model.", many)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_state_has_the_permissions_of_any_new_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save_state(tmp_path / "last", {"a": torch.ones(2)}, {"n": 1})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "last").iterdir()}
    assert modes == {mode}


def test_what_is_gone_is_not_called_intact(tmp_path, monkeypatch):
    folder = tmp_path / "last"
    save_state(folder, {"a": torch.ones(2)}, {"n": 1})

    def gone(*args, **kwargs):
        for path in folder.iterdir():
            path.unlink()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(checkpoint, "save_file", gone)
    with pytest.raises(RunError, match="its files are gone") as caught:
        save_state(folder, {"a": torch.ones(2)}, {"n": 2})
    assert "intact" not in str(caught.value)
    assert "room" not in str(caught.value)


START = {"stage": 0, "epoch": 0, "batch": 0, "step": 0, "seconds": 0, "totals": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": START | {"stage": 5}}, "epoch 0 of stage 5"),
        ({"position": START | {"epoch": -1}}, "position.epoch"),
        ({"groups": []}, "groups"),
        ({"log_bytes": "many"}, "log_bytes"),
        ({"best": {"stage": "fit"}}, "best.epoch"),
        ({"extra": 1}, "extra"),
    ],
)  # fmt: skip
def test_an_edited_state_is_named(tmp_path, change, words):
    facts = {
        "plan": {}, "finished": False, "best": None, "batch_size": 4, "images": 8,
        "position": {
            "stage": 0, "epoch": 1, "batch": 0, "step": 2, "seconds": 0.5, "totals": {"a": None}
        },
        "groups": [{"name": "model", "lr": 0.1, "betas": [0.9, 0.99], "params": [0]}],
        "schedule": {"last_epoch": 2, "_step_count": 3, "_last_lr": [0.1]},
        "scaler": None, "log_bytes": 10, "spent": None,
    }  # fmt: skip
    check_facts(facts, tmp_path, epochs=[3])
    with pytest.raises(RunError, match=rf"damaged or was edited .*{words}"):
        check_facts(facts | change, tmp_path, epochs=[3])

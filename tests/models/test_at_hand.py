"""Weights that were fetched before are found without the network."""

import pytest
import timm
import torch
from huggingface_hub import constants

from colabel.models import at_hand
from colabel.models.at_hand import weights_at_hand


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A machine on which nothing was fetched yet."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    lookup = at_hand.try_to_load_from_cache
    monkeypatch.setattr(
        at_hand,
        "try_to_load_from_cache",
        lambda *given: lookup(*given, cache_dir=str(tmp_path / "hub")),
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    return tmp_path


def test_nothing_is_at_hand_on_a_new_machine(empty):
    assert weights_at_hand("resnet18") is None
    assert weights_at_hand("no_such_encoder") is None


def test_the_cache_of_the_hub_is_found(empty):
    published = timm.get_pretrained_cfg("resnet18")
    folder = empty / "hub" / f"models--{published.hf_hub_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123456789abcdef")
    (snapshot / "model.safetensors").write_bytes(b"")
    assert weights_at_hand("resnet18") == snapshot / "model.safetensors"
    assert weights_at_hand("resnet34") is None


def test_the_cache_of_torch_is_found(empty):
    name = timm.get_pretrained_cfg("resnet18").url.rpartition("/")[2]
    file = empty / "torch" / "checkpoints" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert weights_at_hand("resnet18") == file

"""A run folder that was damaged, or made by a stranger, is refused in words."""

import errno
import io
import json
import os
import resource
import shutil
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import command

from colabel import files
from colabel.errors import RunError
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.training.checkpoint import load_state
from colabel.workflows.cost import cost
from colabel.workflows.predict import load_predictor


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def change_encoder(run, **change):
    path = run / "model.json"
    description = json.loads(path.read_text())
    description["encoder"] |= change
    path.write_text(json.dumps(description))


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "pretrained"},
        {"weights": "/etc/passwd"},
        {"options": {"checkpoint_path": "/etc/passwd"}},
        {"options": {"pretrained": True}},
        {"options": {"pretrained_file": "x.pth"}},
        {"options": {"cache_dir": "x"}},
        {"options": {"device": "meta"}},
        {"options": {"num_classes": 3}},
        {"options": {"model_cfg": {"pretrained_cfg": {"url": "x"}}}},
        {"options": {"some_new_option": "https:host"}},
        {"options": {"some_new_option": ["a", ["/etc/passwd"]]}},
    ],
)
def test_a_run_from_a_stranger_neither_opens_nor_fetches_weights(run, monkeypatch, change):
    monkeypatch.setattr("timm.create_model", lambda *_, **__: pytest.fail("it was built"))
    change_encoder(run, **change)
    for use in (load_predictor, lambda folder: cost(str(folder))):
        with pytest.raises(RunError, match=r"model.json: .*encoder\.(weights|options)"):
            use(run)


@pytest.mark.parametrize(
    "options",
    [{"drop_rate": "much"}, {"stem_size": -1}, {"norm_layer": "none"}],
)
def test_a_model_that_cannot_be_built_is_named(run, options):
    change_encoder(run, options=options)
    for use in (load_predictor, lambda folder: cost(str(folder))):
        with pytest.raises(RunError, match=r"model.json describes a model that this version can"):
            use(run)


READ_BY = {
    "model.json": ("evaluate", "predict", "cost"),
    "model.safetensors": ("evaluate", "predict"),
    "config.yaml": ("evaluate",),
}


@pytest.mark.parametrize("name", READ_BY)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b"null", b"[]", b'{"a": 1}'])
def test_a_damaged_file_is_named_with_what_to_do(run, tiny_run, capsys, name, content):
    (run / name).write_bytes(content)
    image = tiny_run.parent / "images" / "00.png"
    for use in READ_BY[name]:
        assert command(use, run, *([image] if use == "predict" else [])) == 2
        printed = capsys.readouterr().err
        assert printed.startswith(f"error: {run / name}")
        assert any(hint in printed for hint in ("opy ", "train again", "train anew"))
        assert "Traceback" not in printed


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": {"name": "vit_giant_patch14_224"}},
        {"encoder": {"name": "test_efficientnet", "options": {"channel_multiplier": 400.0}}},
        {"head": {"name": "mixture_density", "hidden": [2_000_000, 128]}},
    ],
)
def test_a_model_larger_than_its_weights_is_refused_before_it_is_made(run, change):
    path = run / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for use in (load_predictor, lambda folder: cost(str(folder))):
        with pytest.raises(RunError, match=r"would take more than [\d,]+ bytes, where its"):
            use(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_large_images_do_not_count_as_the_model(run):
    path = run / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_size": 4096}))
    assert load_predictor(run).description.image_size == 4096


def test_more_classes_than_any_model_has_are_refused(run):
    path = run / "model.json"
    description = json.loads(path.read_text())
    description["classes"] = [f"c{number}" for number in range(100_001)]
    description["thresholds"] = [0.5] * 100_001
    path.write_text(json.dumps(description))
    with pytest.raises(RunError, match=r"model.json: classes: .*at most 100000 items"):
        load_predictor(run)


def test_a_class_that_acts_on_a_terminal_is_refused(run):
    path = run / "model.json"
    description = json.loads(path.read_text())
    description["classes"][0] = "cat\x1b[2J"
    path.write_text(json.dumps(description))
    with pytest.raises(RunError, match=r"model.json: .*control character"):
        load_predictor(run)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "config.yaml", "data.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_file_of_a_run_is_a_plain_file(run, tmp_path, name, kind):
    path, aside = run / name, tmp_path / "aside"
    path.rename(aside)
    if kind == "link":
        path.symlink_to(aside)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    words = {"link": "symbolic link", "pipe": "not a plain file", "folder": "a folder"}[kind]
    read = {
        "config.yaml": lambda: RunFolder(run).config(),
        "data.json": lambda: RunFolder(run).read_json(name),
    }.get(name, lambda: load_predictor(run))
    with pytest.raises(RunError, match=words):
        read()


def test_a_division_elsewhere_is_not_read(run, tmp_path, capsys):
    (run / "split.csv").rename(tmp_path / "aside")
    (run / "split.csv").symlink_to(tmp_path / "aside")
    assert command("evaluate", run, "--cpu") == 2
    assert "split.csv is a symbolic link" in capsys.readouterr().err


def test_denied_permission_is_called_by_its_name(run, monkeypatch):
    def deny(*arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "read_plain", deny)
    for read in (load_predictor, lambda folder: load_state(folder / "last")):
        with pytest.raises(RunError, match=r"Permission denied; check the permissions") as caught:
            read(run)
        assert "new run" not in str(caught.value)
        assert "damaged" not in str(caught.value)


def replace_weights(run, tensors):
    """Write other weights, and a description that does not name those before."""
    save_file(tensors, run / "model.safetensors")
    described = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({**described, "weights": ""}))


@pytest.mark.slow
def test_results_that_are_no_numbers_are_not_printed(run, tiny_run, capsys):
    """Weights that are finite, and overflow on the way."""
    tensors = load_file(run / "model.safetensors")
    replace_weights(run, {n: t * 1e30 if t.is_floating_point() else t for n, t in tensors.items()})
    image = tiny_run.parent / "images" / "00.png"
    for form in ("csv", "jsonl"):
        assert command("predict", run, image, "--format", form) == 2
        printed = capsys.readouterr()
        assert "no finite numbers" in printed.err
        assert "nan" not in printed.out.lower()
    assert command("evaluate", run, "--cpu") == 2
    assert not list(run.glob("metrics-test*"))


def test_variances_that_are_no_numbers_are_not_saved(run, tiny_run, capsys):
    """The logits are finite, so only what goes beside them tells."""
    tensors = load_file(run / "model.safetensors")
    tensors["head.readout.variance_layer.weight"] = torch.full((3, 256), 3e38)
    replace_weights(run, tensors)
    assert command("predict", run, tiny_run.parent / "images" / "00.png") == 2
    assert command("evaluate", run, "--cpu") == 2
    assert capsys.readouterr().err.count("no finite numbers") == 2
    assert not list(run.glob("*-test.*"))


def test_a_header_that_would_take_long_is_refused_by_its_length(run):
    names = {
        f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(150_000)
    }
    header = json.dumps(names).encode()
    (run / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RunError, match=r"its header claims [\d,]+ bytes, where at most 8,388,608"):
        load_predictor(run)


def test_predictions_that_claim_more_than_they_hold_are_refused(tmp_path):
    header = io.BytesIO()
    array = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**3)}
    np.lib.format.write_array_header_1_0(header, array)
    path = tmp_path / "predictions-test.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("logits.npy", header.getvalue() + bytes(100))
    with pytest.raises(RunError, match="claims more than it holds"):
        Predictions.load(path)


def test_a_run_at_a_path_that_is_no_text_is_not_called_damaged(tiny_run, tmp_path):
    folder = tmp_path / os.fsdecode(b"run\xff")
    folder.mkdir()
    for name in ("model.json", "model.safetensors"):
        (folder / name).write_bytes((tiny_run / name).read_bytes())
    with pytest.raises(RunError, match="the path is not UTF-8; rename it, or the folder"):
        load_predictor(folder)

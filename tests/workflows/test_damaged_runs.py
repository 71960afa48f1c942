"""A run folder that was damaged, or made by a stranger, is refused in words."""

import json
import shutil

import pytest
from tiny_runs import command

from colabel.errors import RunError
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
    [{"drop_rate": "much"}, {"stem_size": -1}, {"norm_layer": "none"}, {"num_classes": 3}],
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

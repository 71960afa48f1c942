"""Contrastive terms on embeddings the whole way: as a stage of their own, and beside another."""

import json

import pytest
from safetensors.numpy import load_file
from stopping import Stopping
from tiny_runs import RECIPE, write_tiny_table

import colabel

pytestmark = pytest.mark.slow

STEPS = 3  # of an epoch
METHODS = {
    "two stages": (
        "method:\n"
        "  name: mulsupcon\n"
        "  classification: {epochs: 2, learning_rate: 1.0e-2, augmented: false}\n"
        "terms: {contrastive: {projection_width: 8}}\n"
    ),
    "one stage": (
        "method: bce\n"
        "terms:\n"
        "  contrastive: {loss: supervised_contrastive, positives: any, projection_width: 8}\n"
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A table and its images, and a recipe for each use."""
    folder = tmp_path_factory.mktemp("home")
    write_tiny_table(folder)
    for name, method in METHODS.items():
        text = RECIPE.replace("method: {name: kmcl}\n", method)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def train(home, name, out, **options):
    return colabel.train(
        home / f"{name}.yaml",
        data=str(home / "labels.csv"),
        changes=["training.save_minutes=1e-9"],
        out=out,
        cpu=True,
        **options,
    )


@pytest.mark.parametrize("name", METHODS)
def test_the_projection_trains_is_not_deployed_and_a_stopped_run_goes_on(home, name):
    whole = train(home, name, home / f"whole {name}").folder
    log = (whole / "log.jsonl").read_text().splitlines()
    epochs = [line for line in map(json.loads, log) if line["kind"] == "epoch"]
    contrastive = [
        line["terms"]["contrastive"]
        for line in epochs
        if line["terms"].keys() != {"classification"}
    ]
    assert len(contrastive) == 2
    assert all(value["raw"] > 0 for value in contrastive)
    names = load_file(whole / "model.safetensors")
    assert {one for one in names if not one.startswith("encoder.")} == {
        "head.readout.weight_layer.weight",
        "head.readout.weight_layer.bias",
    }
    out = home / f"stopped {name}"
    assert not train(home, name, out, display=Stopping(2)).history.finished
    assert train(home, name, out, resume=True).history.finished
    for file in ("model.safetensors", "metrics-val.json"):
        assert (out / file).read_bytes() == (whole / file).read_bytes()
    answers = colabel.load(whole).predict([home / "images" / "00.png"])
    assert len(answers[0].logits) > 1

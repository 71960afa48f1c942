"""ML-GCN and TDRG the whole way: trained by the command line, resumed, measured and used."""

import json
import shutil

import numpy as np
import pytest
from reference import graphs
from safetensors.numpy import load_file
from stopping import Stopping
from tiny_runs import CLASSES, command

import colabel
from colabel.data.readers.table import read_table
from colabel.runs.predictions import Predictions

pytestmark = pytest.mark.slow

STEPS = 3  # of an epoch
METHODS = {
    "ml_gcn": ("method=ml_gcn", "head.width=6", "head.hidden=5"),
    "tdrg": ("method=tdrg", "head.channels=8", "data.image_size=96"),
}


def train(home, name, *changes, **options):
    return colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=[*changes, "training.save_minutes=1e-9"],
        out=home / name,
        cpu=True,
        **options,
    )


def epochs_of(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == "epoch"]


@pytest.fixture(scope="module", params=METHODS)
def run(request, home):
    """A run of each method, by the command line."""
    folder = home / request.param
    words = [word for change in METHODS[request.param] for word in ("--set", change)]
    data = ("--data", home / "labels.csv", "--set", "training.save_minutes=1e-9")
    assert command("train", home / "tiny.yaml", *data, *words, "--out", folder, "--cpu") == 0
    return request.param, folder


def test_a_run_is_measured_and_used_without_its_data(run, home, tmp_path):
    method, folder = run
    terms = epochs_of(folder)[-1]["terms"]
    assert set(terms) == {"classification"} | ({"deep_supervision"} if method == "tdrg" else set())
    predictions = Predictions.load(folder / "predictions-val.npz")
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "config.yaml").unlink()
    answers = colabel.load(moved).predict([home / one for one in predictions.ids])
    found = [[answer.logits[name] for name in CLASSES] for answer in answers]
    np.testing.assert_allclose(found, predictions.logits, atol=1e-4)
    before = json.loads((folder / "metrics-val.json").read_text())
    colabel.evaluate(folder, split="val", cpu=True)
    assert json.loads((folder / "metrics-val.json").read_text()) == before


@pytest.mark.parametrize("step", [2, STEPS + 1])
def test_a_stopped_run_goes_on_to_the_same_bytes(run, home, step):
    method, folder = run
    name = f"{method}-stopped-{step}"
    assert not train(home, name, *METHODS[method], display=Stopping(step)).history.finished
    resumed = train(home, name, *METHODS[method], resume=True, display=Stopping(0))
    assert resumed.history.finished
    for file in ("model.safetensors", "metrics-val.json"):
        assert (resumed.folder / file).read_bytes() == (folder / file).read_bytes(), file


def test_the_graph_is_counted_on_the_training_images_alone(home):
    folder = train(home, "counted", *METHODS["ml_gcn"]).folder
    rows = [line.split(",") for line in (folder / "split.csv").read_text().splitlines()[1:]]
    wanted = {name for name, split in rows if split == "train"}
    records = read_table(home / "labels.csv")
    records = records["train"] if isinstance(records, dict) else records
    labels = [
        row.tolist()
        for name, row in zip(records.ids, records.targets, strict=True)
        if name in wanted
    ]
    assert 0 < len(labels) < len(records.ids)
    expected = graphs.graph(labels, threshold=0.4, neighbours=0.2, norm="paper")
    saved = load_file(folder / "model.safetensors")["head.readout.graph"]
    np.testing.assert_allclose(saved, expected, rtol=1e-6)


@pytest.mark.parametrize(("method", "passes"), [("ml_gcn", 2), ("tdrg", 0)])
def test_the_warm_start_trains_the_head_on_the_frozen_encoder(home, method, passes):
    display = Stopping(0)
    warm = ("training.warm_start.epochs=1", "training.epochs=1")
    folder = train(home, f"{method}-warm", *METHODS[method], *warm, display=display).folder
    assert [line["stage"] for line in epochs_of(folder)] == ["warm_start", method]
    assert sum("encoding" in note and "once" in note for note in display.notes) == passes
    anew = [note for note in display.notes if "encoded anew" in note]
    assert bool(anew) == (method == "tdrg")
    assert all("the maps of two stages are not kept" in note for note in anew)


def test_words_of_the_labels_travel_with_the_run(home):
    words = home / "words.txt"
    words.write_text("".join(f"{name} {number} 1\n" for number, name in enumerate(CLASSES)))
    changes = ("method=ml_gcn", "head.width=2", f"head.vectors={words}")
    folder = train(home, "words", *changes).folder
    words.unlink()
    saved = load_file(folder / "model.safetensors")["head.readout.vectors"]
    assert saved.tolist() == [[0, 1], [1, 1], [2, 1]]
    image = home / "images" / "00.png"
    assert set(colabel.load(folder).predict([image])[0].logits) == set(CLASSES)


def test_a_part_of_one_image_is_refused_before_training(home):
    changes = (*METHODS["tdrg"], "encoder.freeze_batch_norm=true", "training.batch_size=4")
    with pytest.raises(colabel.errors.ConfigError, match="leaves a part of one image"):
        train(home, "alone", *changes, "training.accumulation=4")

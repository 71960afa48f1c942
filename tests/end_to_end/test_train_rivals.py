"""The methods of rivals, the whole way: trained from the command line, measured and used."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from stopping import Stopping
from tiny_runs import CLASSES, command

import colabel
from colabel.runs.predictions import Predictions

pytestmark = pytest.mark.slow

STEPS = 3  # of an epoch
SIZE = "data.image_size=64"  # a map of 2 x 2
METHODS = {
    "csra": ["method=csra", "head.heads=2"],
    "ml_decoder": ["method=ml_decoder", "head.pooling.queries=2", "head.pooling.width=16"],
    "query2label": ["method=query2label", "head.pooling.width=16"],
    "kmcl-csra": ["head.pooling.name=csra"],
    "max": ["method=bce", "head.pooling.name=max"],
}
LEARNED = {
    "csra": ["classifiers"],
    "ml_decoder": [
        "pooling.tokens.weight",
        "pooling.layer.attention.in_proj_weight",
        "pooling.norm.weight",
    ],
    "query2label": [
        "pooling.queries",
        "pooling.encoder.0.norm_out.weight",
        "pooling.decoder.1.norm_out.weight",
    ],
    "kmcl-csra": ["pooling.directions"],
    "max": [],
}


def lines_of(folder, kind):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def train(home, name, *changes, **options):
    return colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=[*changes, SIZE, "training.save_minutes=1e-9"],
        out=home / name,
        cpu=True,
        **options,
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_rival_is_trained_measured_and_used(home, name, capsys):
    folder = home / name
    sets = [word for change in (*METHODS[name], SIZE) for word in ("--set", change)]
    arguments = ("--data", home / "labels.csv", "--out", folder, "--cpu")
    assert command("train", home / "tiny.yaml", *arguments, *sets) == 0
    description = json.loads((folder / "model.json").read_text())
    state = load_file(folder / "model.safetensors")
    for one in LEARNED[name]:
        assert np.isfinite(state[f"head.{one}"]).all()
    predictions = Predictions.load(folder / "predictions-val.npz")
    answers = colabel.load(folder).predict([home / one for one in predictions.ids])
    found = [[answer.logits[label] for label in CLASSES] for answer in answers]
    np.testing.assert_allclose(found, predictions.logits, atol=1e-4)
    capsys.readouterr()
    assert command("cost", folder, "--json") == 0
    counted = json.loads(capsys.readouterr().out)["head_parameters"]
    fixed = ("head.pooling.queries",) if name == "ml_decoder" else ()
    of_head = [
        value.size for key, value in state.items() if key.startswith("head.") and key not in fixed
    ]
    assert counted == sum(of_head)
    head = description["head"]
    assert (head.get("pooling") or head)["name"] == name.removeprefix("kmcl-")


def test_fixed_queries_stay_as_they_were_drawn_while_the_rest_learns(home):
    name = [*METHODS["ml_decoder"], "training.ema_decay=0"]
    runs = [
        load_file(train(home, f"epochs-{epochs}", *name, f"training.epochs={epochs}").folder
                  / "model.safetensors")
        for epochs in (1, 2)
    ]  # fmt: skip
    same = {key for key in runs[0] if np.array_equal(runs[0][key], runs[1][key])}
    assert {key for key in same if key.startswith("head.")} == {"head.pooling.queries"}


@pytest.mark.parametrize("name", ["csra", "ml_decoder", "query2label"])
def test_the_warm_start_trains_a_head_on_maps_that_are_encoded_once(home, name):
    warm = ("training.warm_start.epochs=1", "training.head_learning_rate=x10")
    display = Stopping(0)
    folder = train(home, f"warm-{name}", *METHODS[name], *warm, display=display).folder
    stages = [(line["stage"], line["epoch"]) for line in lines_of(folder, "epoch")]
    assert stages == [("warm_start", 1), (name, 1), (name, 2)]
    assert sum("encoding" in note for note in display.notes) == 2
    for line in lines_of(folder, "step"):
        rates = line["learning_rates"]
        if "encoder" in rates:
            assert rates["head"] == pytest.approx(10 * rates["encoder"])


@pytest.mark.parametrize("name", ["csra", "ml_decoder"])
def test_a_rival_goes_on_to_the_same_bytes(home, name):
    """What is dropped in a step is that of the undisturbed run."""
    whole = train(home, f"whole-{name}", *METHODS[name]).folder
    out = f"stopped-{name}"
    assert not train(home, out, *METHODS[name], display=Stopping(STEPS + 1)).history.finished
    resumed = train(home, out, *METHODS[name], resume=True, display=Stopping(0))
    for file in ("model.safetensors", "metrics-val.json"):
        assert (resumed.folder / file).read_bytes() == (whole / file).read_bytes(), file

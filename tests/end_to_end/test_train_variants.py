"""Heads and schedules that no paper has, the whole way: trained, resumed, measured and used."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from stopping import Stopping
from tiny_runs import CLASSES

import colabel
from colabel.build.stages import build_model
from colabel.config import load_config
from colabel.errors import ConfigError
from colabel.runs.predictions import Predictions
from colabel.training import checkpoint

pytestmark = pytest.mark.slow

STEPS = 3  # of an epoch
ATTENTION = ("head.pooling.name=class_attention", "data.image_size=64")  # a map of 2 x 2
WARM = ("training.warm_start.epochs=2", "training.head_learning_rate=x10")


def train(home, name, *changes, **options):
    return colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=[*changes, "training.save_minutes=1e-9"],
        out=home / name,
        cpu=True,
        **options,
    )


def lines_of(folder, kind):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def assert_same_run(folder, other):
    for name in ("model.safetensors", "metrics-val.json", "split.csv"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    losses = [
        [(line["stage"], line["epoch"], line["loss"], line["score"]) for line in lines]
        for lines in (lines_of(folder, "epoch"), lines_of(other, "epoch"))
    ]
    assert losses[0] == losses[1]


def assert_is_used_as_it_was_validated(folder, home):
    predictions = Predictions.load(folder / "predictions-val.npz")
    answers = colabel.load(folder).predict([home / one for one in predictions.ids])
    found = [[answer.logits[name] for name in CLASSES] for answer in answers]
    np.testing.assert_allclose(found, predictions.logits, atol=1e-4)
    before = json.loads((folder / "metrics-val.json").read_text())
    colabel.evaluate(folder, split="val", cpu=True)
    assert json.loads((folder / "metrics-val.json").read_text()) == before
    assert colabel.evaluate(folder, cpu=True).report.to_dict()["images"] > 0
    return answers


# --- KMCL's losses on features per class


@pytest.fixture(scope="module")
def attention(home):
    return train(home, "attention", *ATTENTION).folder


def test_kmcl_with_class_attention_is_measured_and_used(attention, home):
    description = json.loads((attention / "model.json").read_text())
    assert description["head"]["pooling"] == {"name": "class_attention"}
    queries = load_file(attention / "model.safetensors")["head.pooling.queries"]
    assert queries.shape[0] == len(CLASSES)
    assert (np.abs(queries) > 0).any(axis=1).all()  # they began at 0
    (first, *_) = lines_of(attention, "epoch")
    assert first["terms"].keys() == {"classification", "contrastive", "reconstruction"}
    answers = assert_is_used_as_it_was_validated(attention, home)
    assert all(answer.variance is not None for answer in answers)


@pytest.mark.parametrize("step", [2, STEPS + 1])
def test_kmcl_with_class_attention_goes_on_to_the_same_bytes(attention, home, step):
    name = f"attention-stopped-{step}"
    stopped = train(home, name, *ATTENTION, display=Stopping(step))
    assert not stopped.history.finished
    resumed = train(home, name, *ATTENTION, resume=True, display=Stopping(0))
    assert resumed.history.finished
    assert_same_run(resumed.folder, attention)


def test_a_run_without_one_of_its_terms_is_resumed_without_it(home):
    changes = ("terms.contrastive=null",)
    stopped = train(home, "two-terms", *changes, display=Stopping(2))
    assert not stopped.history.finished
    resumed = train(home, "two-terms", *changes, resume=True, display=Stopping(0))
    for epoch in lines_of(resumed.folder, "epoch"):
        assert epoch["terms"].keys() == {"classification", "reconstruction"}


# --- the warm start


@pytest.fixture(scope="module")
def warm(home):
    display = Stopping(0)
    return train(home, "warm", *WARM, display=display).folder, display.notes


def test_the_warm_start_comes_first_on_features_that_are_computed_once(warm, home):
    folder, notes = warm
    stages = [(line["stage"], line["epoch"]) for line in lines_of(folder, "epoch")]
    assert stages == [("warm_start", 1), ("warm_start", 2), ("kmcl", 1), ("kmcl", 2)]
    assert sum("encoding" in note for note in notes) == 2  # training and validation images
    assert_is_used_as_it_was_validated(folder, home)


@pytest.mark.parametrize("step", [2, STEPS, STEPS + 1, 2 * STEPS, 2 * STEPS + 2])
def test_a_run_stopped_in_or_after_its_warm_start_goes_on_to_the_same_bytes(warm, home, step):
    name = f"warm-stopped-{step}"
    display = Stopping(step)
    assert not train(home, name, *WARM, display=display).history.finished
    assert ("warm_start" in display.notes[-1]) == (step <= 2 * STEPS)
    resumed = train(home, name, *WARM, resume=True, display=Stopping(0))
    assert resumed.history.finished
    assert_same_run(resumed.folder, warm[0])


def test_a_warm_start_is_validated_at_its_end_and_saved_once(home, monkeypatch):
    saved = []
    save_state = checkpoint.save_state

    def counted(folder, tensors, facts):
        saved.append(facts["position"]["stage"])
        save_state(folder, tensors, facts)

    monkeypatch.setattr(checkpoint, "save_state", counted)
    folder = colabel.train(
        home / "tiny.yaml", data=str(home / "labels.csv"), out=home / "long-warm", cpu=True,
        changes=["training.warm_start.epochs=6", "training.head_learning_rate=x10"],
    ).folder  # fmt: skip
    assert saved == [0, 1, 1]
    scored = [
        (line["stage"], line["epoch"])
        for line in lines_of(folder, "epoch")
        if line["score"] is not None
    ]
    assert scored == [("warm_start", 6), ("kmcl", 1), ("kmcl", 2)]


def test_a_small_set_has_more_epochs_of_its_warm_start_also_after_a_resume(warm, home):
    """Of which there are two where each image is to be seen more than once."""
    images = (warm[0] / "split.csv").read_text().count(",train")
    seen = ("training.warm_start.epochs=1", f"training.warm_start.images={images + 1}", WARM[1])
    stopped = train(home, "seen", *seen, display=Stopping(2))
    assert not stopped.history.finished
    folder = train(home, "seen", *seen, resume=True).folder
    assert_same_run(folder, warm[0])
    again = load_config(folder / "config.yaml").training.warm_start
    assert (again.epochs, again.images) == (1, images + 1)


class Watching(Stopping):
    """A display that keeps the encoder's and the head's parameters as each stage begins."""

    def __init__(self):
        super().__init__(0)
        self.seen = []

    def start_stage(self, stage, **_):
        state = stage.model.state_dict()
        self.seen.append({name: tensor.clone() for name, tensor in state.items()})


def test_the_warm_start_trains_the_head_alone(home):
    display = Watching()
    train(home, "watched", *WARM, display=display)
    before, after = display.seen
    for name, tensor in before.items():
        same = bool((tensor == after[name]).all())
        assert same == name.startswith("encoder."), name


@pytest.mark.parametrize("change", [WARM[0], "training.freeze_encoder=true"])
def test_probmcl_is_refused_what_only_a_method_of_one_stage_has(home, change):
    with pytest.raises(ConfigError, match="for methods of one stage; probmcl trains its classif"):
        train(home, "refused", "method=probmcl", change)
    assert not (home / "refused").exists()


# --- a frozen encoder, and the learning rate of the head


def test_a_frozen_encoder_is_deployed_as_it_was(home):
    changes = ("training.freeze_encoder=true", "training.head_learning_rate=0.01")
    folder = train(home, "frozen", *changes).folder
    other = train(home, "frozen-longer", *changes, "training.epochs=3").folder
    one, two = (load_file(run / "model.safetensors") for run in (folder, other))
    for name in one:
        assert np.array_equal(one[name], two[name]) == name.startswith("encoder."), name
    model = build_model(load_config(folder / "config.yaml"), len(CLASSES))
    assert set(model.state_dict()) == set(one)


@pytest.mark.parametrize(("given", "factor"), [("x10", 10), ("x1", 1), ("0.005", 5)])
def test_the_head_learns_at_its_own_rate(home, given, factor):
    folder = train(home, f"rate-{given}", f"training.head_learning_rate={given}").folder
    rates = [line["learning_rates"] for line in lines_of(folder, "step")]
    assert len(rates) >= 2
    for rate in rates:
        assert rate["head"] == pytest.approx(factor * rate["encoder"])


def test_a_run_on_a_fraction_keeps_the_whole_division_and_goes_on(home):
    share = ("data.fraction=0.5", "training.batch_size=4")
    whole = train(home, "fraction", *share)
    facts = json.loads((whole.folder / "data.json").read_text())
    rows = (whole.folder / "split.csv").read_text().splitlines()[1:]
    listed = sum(row.endswith(",train") for row in rows)
    assert facts["train"]["images"] == -(-listed // 2)
    assert facts["val"]["images"] == sum(row.endswith(",val") for row in rows)
    stopped = train(home, "fraction-stopped", *share, display=Stopping(2))
    assert not stopped.history.finished
    again = train(home, "fraction-stopped", *share, resume=True)
    assert_same_run(whole.folder, again.folder)
    assert_is_used_as_it_was_validated(whole.folder, home)

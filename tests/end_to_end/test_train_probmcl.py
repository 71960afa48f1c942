"""ProbMCL the whole way: two stages, one model, and every interruption in either of them."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load_file
from stopping import Stopping
from tiny_runs import (
    CLASSES,
    ENVIRONMENT,
    RECIPE,
    command,
    program,
    run_program,
    write_tiny_table,
)

import colabel
from colabel.config import load_config
from colabel.runs.predictions import Predictions

pytestmark = pytest.mark.slow

METHOD = """\
method:
  name: probmcl
  classification: {epochs: 3, learning_rate: 1.0e-2}
head: {hidden: [16, 8], feature_length: 8}
"""
STAGES = [("contrastive", 1), ("contrastive", 2)] + [("classification", n) for n in (1, 2, 3)]
STEPS = 3  # of an epoch
AUGMENTED = pytest.mark.parametrize("augmented", [True, False])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A recipe, a table and its images."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny.yaml").write_text(RECIPE.replace("method: {name: kmcl}\n", METHOD))
    write_tiny_table(folder)
    return folder


def changes_of(augmented):
    return [f"method.classification.augmented={str(augmented).lower()}"]


def train(home, out, augmented, **options):
    return colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=[*changes_of(augmented), "training.save_minutes=1e-9"],
        out=out,
        cpu=True,
        **options,
    )


@pytest.fixture(scope="module")
def whole(home):
    """The folders of two runs that nothing interrupted, by whether stage 2 is augmented."""
    return {
        augmented: train(home, home / f"whole-{augmented}", augmented).folder
        for augmented in (True, False)
    }


def lines_of(folder, kind=None):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if kind is None or line["kind"] == kind]


def numbers_of(folder):
    """Everything in the log that a repetition of the run must repeat."""
    return [
        (
            line["kind"], line["stage"], line["step"], line["epoch"], line["loss"],
            line.get("score"), line["terms"], line["diagnostics"], line.get("warning"),
        )
        for line in lines_of(folder)
        if "loss" in line
    ]  # fmt: skip


def assert_same_run(folder, other):
    for name in ("model.safetensors", "metrics-val.json", "split.csv"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert numbers_of(folder) == numbers_of(other)


# --- a run


@AUGMENTED
def test_both_stages_run_and_the_second_is_validated(whole, augmented):
    epochs = lines_of(whole[augmented], "epoch")
    assert [(line["stage"], line["epoch"]) for line in epochs] == STAGES
    assert [line["step"] for line in epochs] == [STEPS * n for n in (1, 2, 3, 4, 5)]
    for line in epochs[:2]:
        assert line["terms"].keys() == {"likelihood", "contrastive"}
        assert line["score"] is None
        assert line["validation"] == {}
    for line in epochs[2:]:
        assert line["terms"].keys() == {"classification"}
        assert 0 < line["score"] <= 1
    first = lines_of(whole[augmented], "step")[0]
    assert {"similarity_positive", "similarity_negative"} < first["diagnostics"].keys()
    lines = [line for line in lines_of(whole[augmented]) if line["kind"] == "step"]
    for stage, highest in (("contrastive", 1e-3), ("classification", 1e-2)):
        rates = [line["learning_rates"] for line in lines if line["stage"] == stage]
        assert highest / 10 < max(rate["head"] for rate in rates) <= highest * (1 + 1e-9)
        assert all(("encoder" in rate) == (stage == "contrastive") for rate in rates)


@AUGMENTED
def test_the_model_is_described_and_holds_no_mixture_density_network(whole, augmented):
    folder = whole[augmented]
    description = json.loads((folder / "model.json").read_text())
    assert (description["method"], description["head"]["name"]) == ("probmcl", "linear")
    config = load_config(folder / "config.yaml")
    assert config.method.classification.augmented is augmented
    assert description["selection"]["stage"] == "classification"
    best = max(lines_of(folder, "epoch")[2:], key=lambda line: line["score"])
    assert description["selection"]["epoch"] == best["epoch"]
    names = load_file(folder / "model.safetensors")
    assert {name for name in names if not name.startswith("encoder.")} == {
        "head.readout.weight_layer.weight",
        "head.readout.weight_layer.bias",
    }
    # features that were kept and pixels that are encoded again give the same validation
    metrics = json.loads((folder / "metrics-val.json").read_text())
    assert metrics["mAP"] == pytest.approx(best["score"], abs=1e-9)


def test_the_second_stage_leaves_the_encoder_as_the_first_made_it(whole):
    """Both runs have the same first stage; their second ones differ."""
    one, other = (load_file(whole[augmented] / "model.safetensors") for augmented in (True, False))
    assert one.keys() == other.keys()
    for name in one:
        same = np.array_equal(one[name], other[name])
        assert same == name.startswith("encoder."), name
    assert numbers_of(whole[True])[:2] == numbers_of(whole[False])[:2]


@AUGMENTED
def test_predictions_are_those_of_validation(whole, home, augmented):
    predictions = Predictions.load(whole[augmented] / "predictions-val.npz")
    answers = colabel.load(whole[augmented]).predict([home / one for one in predictions.ids])
    found = [[answer.logits[name] for name in CLASSES] for answer in answers]
    np.testing.assert_allclose(found, predictions.logits, atol=1e-4)
    assert all(answer.variance is None for answer in answers)
    assert command("predict", whole[augmented], home / "images" / "00.png") == 0


def test_it_is_measured_elsewhere_too(whole, home):
    copy = home / "measured"
    shutil.copytree(whole[False], copy)
    before = json.loads((copy / "metrics-val.json").read_text())
    colabel.evaluate(copy, split="val", cpu=True)
    assert json.loads((copy / "metrics-val.json").read_text()) == before


# --- interruption


@pytest.mark.parametrize(
    ("step", "stage", "augmented"),
    [
        (2, "contrastive", True),
        (2 * STEPS, "contrastive", False),
        (2 * STEPS + 2, "classification", True),
        (2 * STEPS + 2, "classification", False),
        (3 * STEPS, "classification", False),
    ],
)
def test_ctrl_c_in_either_stage_goes_on_to_the_same_bytes(whole, home, augmented, step, stage):
    out = home / f"stopped-{augmented}-{step}"
    display = Stopping(step)
    assert not train(home, out, augmented, display=display).history.finished
    assert stage in display.notes[-1]
    assert not (out / "metrics-val.json").exists()
    display = Stopping(0)
    assert train(home, out, augmented, resume=True, display=display).history.finished
    assert_same_run(out, whole[augmented])
    encodings = [note for note in display.notes if "encoding" in note]
    assert len(encodings) == (0 if augmented else 2)


@pytest.mark.parametrize(
    ("step", "augmented"), [(4, True), (2 * STEPS + 5, True), (2 * STEPS + 5, False)]
)
def test_a_run_that_ends_at_once_goes_on_from_its_last_state(whole, home, augmented, step):
    """The second Ctrl-C ends it before the batch is saved."""
    out = home / f"ended-{augmented}-{step}"
    with pytest.raises(KeyboardInterrupt):
        train(home, out, augmented, display=Stopping(step, times=2))
    assert train(home, out, augmented, resume=True).history.finished
    assert_same_run(out, whole[augmented])


def test_a_program_killed_in_the_second_stage_goes_on_to_the_same_bytes(whole, home):
    out = home / "killed"
    words = ["train", home / "tiny.yaml", "--data", home / "labels.csv", "--out", out, "--cpu"]
    for change in (*changes_of(False), "training.save_minutes=1e-9"):
        words += ["--set", change]
    process = subprocess.Popen(
        program(*words), env=os.environ | ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    log = out / "log.jsonl"
    try:
        end = time.monotonic() + 120
        while not (log.is_file() and '"stage": "classification"' in log.read_text()):
            assert process.poll() is None, "the process ended before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    assert not (out / "metrics-val.json").exists()
    assert train(home, out, False, resume=True).history.finished
    assert_same_run(out, whole[False])


# --- two processes


@pytest.mark.parametrize(
    "statistics", ["encoder.freeze_batch_norm=true", "training.synchronise_batch_norm=true"]
)
def test_two_processes_train_as_one(home, statistics):
    """Batch normalisation that trains on each process's part would make it another run."""
    words = ["train", home / "tiny.yaml", "--data", home / "labels.csv", "--cpu"]
    for change in (statistics, *changes_of(False)):
        words += ["--set", change]
    epochs = []
    for processes in (1, 2):
        out = home / f"{statistics.partition('=')[0]}-{processes}"
        if processes == 1:
            assert command(*words, "--out", out) == 0
        else:
            done = run_program(*words, "--out", out, processes=2)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("run: ") == 1
        epochs.append(lines_of(out, "epoch"))
    assert [(line["stage"], line["epoch"]) for line in epochs[1]] == STAGES
    for one, two in zip(*epochs, strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
        if one["score"] is not None:
            assert one["score"] == pytest.approx(two["score"], abs=1e-2)

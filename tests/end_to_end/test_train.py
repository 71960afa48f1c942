"""The whole way, as a user goes it: from a table of images to a model that labels new ones."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import (
    CLASSES,
    ENVIRONMENT,
    IMAGES,
    command,
    program,
    run_program,
)

import colabel
from colabel.data.split import read_split_table
from colabel.errors import RunError
from colabel.runs.predictions import Predictions, score_predictions

pytestmark = pytest.mark.slow

EPOCHS = ("--set", "training.epochs=4")


def arguments(home, name, *more):
    """Return the command that trains into home/name."""
    recipe, table, out = home / "tiny.yaml", home / "labels.csv", home / name
    return ("train", recipe, "--data", table, "--out", out, "--cpu", *more)


@pytest.fixture(scope="module")
def whole(home):
    """The folder of a run that nothing interrupted."""
    assert command(*arguments(home, "whole", *EPOCHS)) == 0
    return home / "whole"


def test_a_run_leaves_everything_to_judge_and_use_it(whole, home):
    assert {path.name for path in whole.iterdir()} == {
        "config.yaml", "split.csv", "log.jsonl", "model.safetensors", "model.json", "last",
        "result.json",
        "predictions-val.npz", "metrics-val.json", "curves.png", "data.json", ".lock",
    }  # fmt: skip
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in log if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4]
    description = json.loads((whole / "model.json").read_text())
    best = max(epochs, key=lambda line: line["score"])
    assert description["selection"]["epoch"] == best["epoch"]
    assert description["classes"] == list(CLASSES)
    assert description["data"]["source"] == str(home / "labels.csv")
    metrics = json.loads((whole / "metrics-val.json").read_text())
    assert metrics["mAP"] == pytest.approx(best["score"], abs=1e-12)
    assert metrics["split"] == "val"
    data = json.loads((whole / "data.json").read_text())
    assert metrics["data"]["fingerprint"] == data["val"]["fingerprint"]
    assert description["data"]["fingerprint"] == data["train"]["fingerprint"]
    assert not list(whole.rglob("*.pt"))


def test_the_division_is_saved_and_used_again(whole):
    saved = read_split_table(whole / "split.csv")
    assert len(saved) == IMAGES
    for split in ("val", "test", "train"):
        colabel.evaluate(whole, split=split, cpu=True)
        predictions = Predictions.load(whole / f"predictions-{split}.npz")
        assert set(predictions.ids) == {one for one, name in saved.items() if name == split}
    # a division that the user has changed holds too
    changed = whole.parent / "changed"
    shutil.copytree(whole, changed)
    lines = (changed / "split.csv").read_text().splitlines()
    first = lines.index(next(line for line in lines if line.endswith(",test")))
    lines[first] = lines[first].replace(",test", ",train")
    (changed / "split.csv").write_text("\n".join(lines) + "\n")
    before = sum(name == "test" for name in saved.values())
    assert colabel.evaluate(changed, cpu=True).report.to_dict()["images"] == before - 1


def test_evaluating_validation_again_gives_the_numbers_of_the_run(whole, home):
    copy = home / "again"
    shutil.copytree(whole, copy)
    before = (copy / "metrics-val.json").read_bytes()
    colabel.evaluate(copy, split="val", cpu=True)
    assert (copy / "metrics-val.json").read_bytes() == before


def test_train_evaluate_and_predict_agree(whole, home):
    measured = colabel.evaluate(whole, cpu=True).measured
    report = measured.report
    written = json.loads((whole / "metrics-test.json").read_text())
    predictions = Predictions.load(whole / "predictions-test.npz")
    assert (written.pop("split"), written.pop("data")["notes"]) == ("test", [])
    assert written == json.loads(json.dumps(measured.to_dict()).replace("NaN", "null"))
    assert score_predictions(predictions).to_dict()["mAP"] == report.to_dict()["mAP"]
    paths = [home / one for one in predictions.ids]
    answers = colabel.load(whole).predict(paths)
    logits = [list(answer.logits.values()) for answer in answers]
    np.testing.assert_allclose(logits, predictions.logits, atol=1e-4)
    probabilities = [list(answer.probabilities.values()) for answer in answers]
    calibrated = measured.point.probabilities(predictions.logits)
    np.testing.assert_allclose(probabilities, calibrated, atol=1e-5)
    variances = [list(answer.variance.values()) for answer in answers]
    np.testing.assert_allclose(variances, predictions.extra["variance"], rtol=1e-5)


def test_a_run_is_used_elsewhere_without_its_data(whole, home, tmp_path):
    expected = colabel.load(whole).predict(home / "images" / "00.png")
    moved = tmp_path / "elsewhere"
    shutil.copytree(whole, moved)
    picture = tmp_path / "new.png"
    shutil.copy(home / "images" / "00.png", picture)
    hidden = home.rename(home.with_name("hidden"))
    try:
        (answer,) = colabel.load(moved).predict(picture)
        done = run_program("predict", moved, picture, "--format", "jsonl")
        assert command("evaluate", moved, "--cpu") == 2  # but it cannot be measured
    finally:
        hidden.rename(home)
    assert answer.probabilities == expected[0].probabilities
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["probabilities"] == pytest.approx(answer.probabilities)
    assert line["labels"] == list(answer.labels)


def test_data_that_moved_are_divided_as_before(whole, home, tmp_path):
    expected = colabel.evaluate(whole, cpu=True).report.to_dict()
    shutil.copytree(home / "images", tmp_path / "images")
    shutil.copy(home / "labels.csv", tmp_path)
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "metrics-test.json").unlink(missing_ok=True)
    moved = colabel.evaluate(run, data=str(tmp_path / "labels.csv"), cpu=True)
    assert moved.report.to_dict() == expected
    assert moved.path == run / "metrics-test-labels.json"
    assert (run / "predictions-test-labels.npz").is_file()
    assert not (run / "metrics-test.json").exists()


def wait_for(condition, process):
    """Wait until something is so, while a process runs."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the process ended before it could be stopped"
        assert time.monotonic() < end
        time.sleep(0.001)


def start_and_stop(home, name, *, at, number):
    """Start a run as a program of its own, stop it by a signal; return its status."""
    log = home / name / "log.jsonl"
    # a state is saved after every step, so that the run goes on from the middle of an epoch
    words = program(*arguments(home, name, *EPOCHS, "--set", "training.save_minutes=1e-9"))
    process = subprocess.Popen(
        words, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: log.is_file() and at in log.read_text(), process)
        process.send_signal(number)
        _, messages = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert not (home / name / "metrics-val.json").exists()
    return process.returncode, messages.decode()


def test_a_killed_run_goes_on_to_the_same_bytes(home, whole):
    status, _ = start_and_stop(home, "killed", at='"kind": "epoch"', number=signal.SIGKILL)
    assert status == -signal.SIGKILL
    done = run_program(*arguments(home, "killed", *EPOCHS, "--resume"))
    assert done.returncode == 0, done.stderr
    killed = home / "killed"
    for name in ("model.safetensors", "metrics-val.json", "split.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    numbers = [
        [
            (line["kind"], line.get("step"), line.get("epoch"), line["loss"], line.get("score"))
            for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines())
            if "loss" in line
        ]
        for folder in (killed, whole)
    ]
    assert numbers[0] == numbers[1]


def test_ctrl_c_saves_and_says_how_to_go_on(home, whole):
    status, messages = start_and_stop(home, "stopped", at='"kind": "step"', number=signal.SIGINT)
    assert status == 130
    assert f"--resume --out {home / 'stopped'}" in messages
    assert "Traceback" not in messages
    assert command(*arguments(home, "stopped", *EPOCHS, "--resume")) == 0
    model = (home / "stopped" / "model.safetensors").read_bytes()
    assert model == (whole / "model.safetensors").read_bytes()


def test_a_run_goes_on_after_a_full_disk(home, whole, monkeypatch):
    replace = Path.replace

    def full(path, target):
        if Path(target).name == "model.safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    words = arguments(home, "full", *EPOCHS)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert command(*words) == 2
    assert not [path for path in (home / "full").iterdir() if path.suffix in (".new", ".npz")]
    assert command(*words, "--resume") == 0
    model = (home / "full" / "model.safetensors").read_bytes()
    assert model == (whole / "model.safetensors").read_bytes()


def test_a_full_disk_keeps_the_model_that_is_there(whole, home, monkeypatch):
    copy = home / "kept"
    shutil.copytree(whole, copy)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(RunError, match="No space left on device"):
            colabel.evaluate(copy, cpu=True)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before


def test_a_finished_run_is_not_trained_again(whole, home):
    copy = home / "finished"
    shutil.copytree(whole, copy)
    trained = colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=["training.epochs=4"],
        out=copy,
        resume=True,
        cpu=True,
    )
    assert trained.history.finished
    for name in ("model.safetensors", "metrics-val.json", "log.jsonl"):
        assert (copy / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_seed_alone_decides(home, whole):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    same = colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=["training.epochs=4", "data.cache_mb=0"],
        out=home / "same",
        cpu=True,
    )
    model = (whole / "model.safetensors").read_bytes()
    assert (same.folder / "model.safetensors").read_bytes() == model
    other = colabel.train(
        home / "tiny.yaml",
        data=str(home / "labels.csv"),
        changes=["training.epochs=1", "training.seed=1"],
        out=home / "other",
        cpu=True,
    )
    assert (other.folder / "model.safetensors").read_bytes() != model
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("method", ["asl", "bce"])
def test_the_baselines_go_the_same_way(home, method):
    recipe = home / f"{method}.yaml"
    recipe.write_text((home / "tiny.yaml").read_text().replace("name: kmcl", f"name: {method}"))
    out = home / method
    changes = ["training.epochs=1", "training.accumulation=2"]
    trained = colabel.train(
        recipe, data=str(home / "labels.csv"), changes=changes, out=out, cpu=True
    )
    written = json.loads((out / "metrics-val.json").read_text())
    assert written["mAP"] == trained.report.mean_average_precision
    assert colabel.evaluate(out, cpu=True).report.to_dict()["images"] > 0
    (answer,) = colabel.load(out).predict(home / "images" / "00.png")
    assert answer.variance is None


def test_two_processes_measure_as_one(whole, home):
    one, two = home / "one-process", home / "two-processes"
    for folder in (one, two):
        shutil.copytree(whole, folder)
    colabel.evaluate(one, split="all", cpu=True)
    done = run_program("evaluate", two, "--split", "all", "--cpu", processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written: ") == 1  # the first process alone prints
    first, second = (Predictions.load(folder / "predictions-all.npz") for folder in (one, two))
    assert first.ids == second.ids
    np.testing.assert_allclose(first.logits, second.logits, atol=1e-5)
    first, second = (
        json.loads((folder / "metrics-all.json").read_text()) for folder in (one, two)
    )
    assert first["images"] % 4, "the last batch must be one that two processes fill up"
    assert first == second


def test_two_processes_train(home):
    words = arguments(home, "pair", "--set", "training.epochs=1")
    done = run_program(*words, processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run: ") == 1
    metrics = json.loads((home / "pair" / "metrics-val.json").read_text())
    division = read_split_table(home / "pair" / "split.csv")
    assert metrics["images"] == list(division.values()).count("val")
    copy = home / "pair-alone"
    shutil.copytree(home / "pair", copy)
    colabel.evaluate(copy, split="val", cpu=True)
    assert json.loads((copy / "metrics-val.json").read_text()) == metrics


def test_processes_without_a_gpu_train_as_one_without_being_told(home):
    """Statistics of batch normalisation are those of a process, so they are frozen here."""
    recipe, table = home / "tiny.yaml", home / "labels.csv"
    changes = ("--set", "training.epochs=1", "--set", "encoder.freeze_batch_norm=true")
    epochs = []
    for processes in (1, 2):
        out = home / f"no-gpu-{processes}"
        words = ("train", recipe, "--data", table, "--out", out, *changes)
        done = run_program(*words, processes=processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("run: ") == 1
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        (epoch,) = [line for line in log if line["kind"] == "epoch"]
        epochs.append((epoch, sum(line["kind"] == "step" for line in log)))
    (one, steps), (two, steps_of_two) = epochs
    assert steps == steps_of_two
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
    assert one["score"] == pytest.approx(two["score"], abs=1e-3)


def test_a_run_in_progress_is_left_alone_and_goes_on_when_killed(home, capsys):
    words = arguments(home, "held", *EPOCHS, "--set", "training.workers=1")
    out = home / "held"
    process = subprocess.Popen(
        program(*words), env=os.environ | ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: (out / "last").is_dir(), process)
        process.send_signal(signal.SIGSTOP)
        before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
        for more in ((), ("--resume",)):
            assert command(*words, *more) == 2
            told = "exists already" if not more else f"another process is training in {out}; wait"
            assert told in capsys.readouterr().err
        after = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
        assert after == before
    finally:
        process.kill()
        process.wait()
    # at once, while a process that read images may still be there
    assert command(*words, "--resume") == 0


def test_predictions_of_a_folder_as_csv(whole, home, capsys):
    assert command("predict", whole, home / "images") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [Path(row["image"]).name for row in rows] == [f"{n:02}.png" for n in range(IMAGES)]
    thresholds = colabel.load(whole).description.operating_point.thresholds
    for row in rows:
        present = [
            name for name, threshold in zip(CLASSES, thresholds, strict=True)
            if float(row[name]) >= threshold - 5e-7  # six digits are written
        ]  # fmt: skip
        assert sorted(filter(None, row["labels"].split(";"))) == present

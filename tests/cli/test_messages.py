"""What the commands say of errors, warnings and interruptions, and with which status they end."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import command, write_recipe, write_tiny_table

import colabel
from colabel import cli
from colabel.errors import ImageError
from colabel.training import History
from colabel.workflows import evaluate as evaluate_workflow
from colabel.workflows import train as train_workflow
from colabel.workflows.train import Trained


def test_an_error_is_one_line_however_long_and_no_trace(capsys):
    name = "a/very/long/path/" * 12 + "labels.csv"
    assert command("train", "shapes-kmcl", "--data", name) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert name in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere"], "error: there is no run folder nowhere."),
        (["predict", "nowhere", "a.png"], "error: there is no run folder nowhere."),
        (["predict", "RUN", "nothing-*.png"], "'nothing-*.png' leads to no image"),
        (["predict", "RUN", "IMAGE", "--device", "gpu"], "the device 'gpu' cannot be used"),
        (["evaluate", "RUN", "--split", "tset"], "has no split 'tset'; did you mean 'test'?"),
        (["evaluate", "RUN", "--data", "nowhere.csv"], "nowhere.csv: no such file"),
        (["recipes", "shapes-kmlc"], "did you mean 'shapes-kmcl'?"),
        (["cost", "resnet5O", "--classes", "3"], "did you mean 'resnet50'?"),
        (["cost", "resnet50"], "resnet50: how many labels? Add --classes N, or give the folder"),
        (["cost", "runs/none"], "error: there is no run folder runs/none."),
        (
            ["cost", "RUN", "--classes", "3"],
            "says itself what its model is; leave out --classes 3",
        ),
        (
            ["cost", "RUN", "--classes", "3", "--covariance", "linear"],
            "leave out --classes 3 and --covariance linear.",
        ),
        (
            ["cost", "RUN", "--head", "linear"],
            "says itself what its model is; leave out --head linear.",
        ),
        (
            ["cost", "resnet50", "--classes", "3", "--head", "kernel"],
            "there is no head 'kernel'; did you mean 'kernel_mixture'?",
        ),
        (
            ["cost", "resnet50", "--classes", "3", "--head", "linear", "--covariance", "diagonal"],
            "the head linear has no covariance; leave out --covariance diagonal.",
        ),
        (["check", "nowhere.csv"], "nowhere.csv: no such file"),
        (["train", "shapes-kmcl", "--option", "size"], "--option: expected NAME=VALUE"),
        (["train", "shapes-kmcl", "--option", "sise=9"], "data.options.sise: shapes has no such"),
        (["ablate", "probmcl-weight", "--option", "size=big"], "data.options.size: input should"),
        (["recipes", "zzz"], "and 1 more. `colabel recipes` describes them."),
    ],
)
def test_wrong_arguments_are_explained(run, tiny_run, capsys, arguments, message):
    image = tiny_run.parent / "images" / "00.png"
    words = [{"RUN": str(run), "IMAGE": str(image)}.get(word, word) for word in arguments]
    assert command(*words) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed


def test_a_run_without_its_recipe_is_named(run, tmp_path, capsys):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert command("evaluate", tmp_path) == 2
    assert "config.yaml; copy the whole run folder" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_image_that_fails_in_a_worker_is_named_without_torchs_trace(tmp_path, capsys):
    table = write_tiny_table(tmp_path)
    (tmp_path / "images" / "07.png").write_bytes(b"no image")
    changes = ("--set", "data.verify=false", "--set", "training.workers=1")
    out = tmp_path / "run"
    recipe = write_recipe(tmp_path)
    assert command("train", recipe, "--data", table, "--out", out, "--cpu", *changes) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error" in one.lower()]
    path = tmp_path / "images" / "07.png"
    assert line.startswith(f"error: {path}: not an image of a known format")


def test_a_message_that_only_mentions_an_error_is_kept():
    assert cli.guard._message(ImageError("a.png: OSError: broken")) == "a.png: OSError: broken"


def test_the_last_warning_of_a_run_is_repeated_below_its_metrics(run, monkeypatch, capsys):
    measured = colabel.evaluate(run, cpu=True).measured

    def trained(*said):
        epochs = tuple({"kind": "epoch", "warning": text} for text in said)
        history = History(epochs, best=None, finished=True, message="")
        return lambda *_, **__: Trained(run, history, measured)

    monkeypatch.setattr(train_workflow, "train", trained("the first", "they have collapsed", None))
    assert command("train", "shapes-probmcl") == 0
    printed = capsys.readouterr()
    assert printed.err == "warning: they have collapsed\n"
    assert "mAP" in printed.out
    monkeypatch.setattr(train_workflow, "train", trained(None))
    assert command("train", "shapes-probmcl") == 0
    assert capsys.readouterr().err == ""


def interrupted(folder, signal=None):
    history = History(epochs=(), best=None, finished=False, message="stopped", signal=signal)
    return lambda *_, **__: Trained(Path(folder), history, None)


def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr(train_workflow, "train", interrupted("runs/mine"))
    assert command("train", "shapes-kmcl") == 130
    assert "--resume --out runs/mine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), (None, 130)]
)
def test_an_interrupted_run_ends_with_the_status_of_its_signal(name, status, monkeypatch, capsys):
    monkeypatch.setattr(train_workflow, "train", interrupted("runs/mine", name))
    assert command("train", "shapes-kmcl") == status
    capsys.readouterr()


def test_only_the_first_process_prints_results(run, monkeypatch, capsys):
    evaluated = replace(colabel.evaluate(run, cpu=True), notes=("one image was left out",))
    monkeypatch.setattr(evaluate_workflow, "evaluate", lambda *_, **__: evaluated)
    monkeypatch.setattr(train_workflow, "train", interrupted("runs/mine"))
    monkeypatch.setenv("RANK", "1")
    assert command("evaluate", run) == 0
    command("train", "shapes-kmcl")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("RANK", "0")
    assert command("evaluate", run) == 0
    printed = capsys.readouterr()
    assert "mAP" in printed.out
    assert printed.err == "note: one image was left out\n"

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_figures import assert_picture
from fakes import write_image, write_voc
from PIL import Image
from tiny_runs import (
    CLASSES,
    ENVIRONMENT,
    RECIPE,
    command,
    program,
    run_python,
    write_recipe,
    write_tiny_table,
)

import colabel
from colabel import cli
from colabel.errors import ImageError
from colabel.runs.description import load_description
from colabel.training import History
from colabel.workflows import evaluate as evaluate_workflow
from colabel.workflows import output_file
from colabel.workflows import pictures as pictures_workflow
from colabel.workflows import train as train_workflow
from colabel.workflows.pictures import Found
from colabel.workflows.predictions_file import read_csv
from colabel.workflows.train import Trained


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A copy of the finished run that commands may write into."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    folder.mkdir()
    for path in tiny_run.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def mixed(tmp_path):
    """A folder with two images and two files that only look like images."""
    folder = tmp_path / "mixed"
    for name in ("a.png", "d.png"):
        write_image(folder / name)
    (folder / "b.png").write_bytes(b"no image")
    (folder / "c.jpg").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder


def test_help_and_imports_need_neither_torch_nor_anything_slow():
    script = """
import sys
import colabel, colabel.cli
sys.argv = ["colabel", "--help"]
try:
    colabel.cli.main()
except SystemExit as ended:
    assert not ended.code
slow = {"torch", "numpy", "timm", "accelerate", "pydantic", "matplotlib", "PIL"} & set(sys.modules)
assert not slow, slow
"""
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
    for name in (
        "train",
        "evaluate",
        "predict",
        "check",
        "cost",
        "ablate",
        "sweep",
        "figure",
        "recipes",
    ):
        assert name in done.stdout


@pytest.mark.parametrize(
    "name",
    ["train", "evaluate", "predict", "check", "cost", "ablate", "sweep", "figure", "recipes"],
)
def test_every_command_explains_itself(capsys, name):
    assert command(name, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_recipes_are_listed_and_printed(capsys):
    assert command("recipes") == 0
    assert "shapes-kmcl" in capsys.readouterr().out
    assert command("recipes", "shapes-kmcl") == 0
    printed = capsys.readouterr().out
    assert "name: resnet10t" in printed
    assert "temperature: 0.2" in printed


def test_a_printed_recipe_can_be_trained_from(tmp_path, capsys):
    from colabel.config import load_config

    command("recipes", "voc2007-kmcl-tresnet-m")
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_config(path) == load_config("voc2007-kmcl-tresnet-m")


def test_cost_is_a_table_or_json(capsys):
    arguments = ("cost", "test_efficientnet", "--classes", 3, "--image-size", 64)
    assert command(*arguments) == 0
    assert "parameters" in capsys.readouterr().out
    assert command(*arguments, "--json", "--covariance", "linear") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameters"] == 99196 + 257 * 3
    assert answer["head_parameters"] == 257 * 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), 9 * 257),
        (("--head", "kernel_mixture"), 9 * 257),
        (("--head", "kernel_mixture", "--covariance", "diagonal"), (6 * 256 + 3) * 257),
        (("--head", "linear"), 3 * 257),
        (("--head", "linear", "--covariance", "linear"), 3 * 257),
        (("--head", "max"), 3 * 257),
        (("--head", "generalised-mean"), 3 * 257 + 1),
        (("--head", "mixture_density"), 257 * 2048 + 2049 * 128 + 9 * 129),
    ],
)
def test_the_cost_of_a_head_is_counted_apart(capsys, options, expected):
    """Weights, means and variances of three labels on 256 features; two hidden layers before."""
    arguments = ("cost", "test_efficientnet", "--classes", 3, "--image-size", 64, "--json")
    assert command(*arguments, *options) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["head_parameters"] == expected
    assert answer["parameters"] == 99196 + expected


def test_the_cost_of_a_run_needs_no_options(run, capsys):
    assert command("cost", run, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    encoder = ("cost", "test_efficientnet", "--classes", len(CLASSES), "--image-size", 32)
    assert command(*encoder, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert command("cost", run) == 0
    assert f"{answer['paper_parameters'] / 1e6:.2f} M" in capsys.readouterr().out


def test_evaluate_prints_and_writes_the_metrics(run, capsys):
    assert command("evaluate", run, "--classes", "--cpu") == 0
    printed = capsys.readouterr().out
    written = json.loads((run / "metrics-test.json").read_text())
    assert f"{100 * written['mAP']:.1f}" in printed
    assert "noninterpolated" in printed
    assert all(name in printed for name in CLASSES)
    assert f"written: {run / 'metrics-test.json'}\n" in printed
    assert (run / "predictions-test.npz").is_file()
    assert f"picture: {run / 'per-class-test.png'}\n" in printed
    assert_picture(run / "per-class-test.png")


def test_evaluate_says_what_it_left_out_and_where_it_wrote(run, tmp_path, capsys):
    table = write_tiny_table(tmp_path, images=9, classes=("cat", "owl"))
    (tmp_path / "images" / "04.png").write_bytes(b"no image")
    arguments = ("evaluate", run, "--data", table, "--split", "all", "--cpu")
    assert command(*arguments) == 2
    assert "04.png: not an image of a known format" in capsys.readouterr().err
    assert not (run / "metrics-all-labels.json").exists()
    assert command(*arguments, "--on-corrupt", "skip") == 0
    printed = capsys.readouterr()
    assert "data: labels: labels" in printed.err
    assert "note: labels that the data does not have: dog; taken as absent from" in printed.err
    assert "note: 1 of 9 images cannot be decoded and were left out" in printed.err
    assert f"written: {run / 'metrics-all-labels.json'}\n" in printed.out
    assert (run / "per-class-all-labels.png").is_file()
    assert "8 images, 3 classes" in printed.out


def test_a_file_name_that_is_no_text_is_written_out(run, mixed, tmp_path, capsys):
    path = os.fsdecode(os.fsencode(mixed) + b"/\xff.png")
    (mixed / "a.png").rename(path)
    assert command("predict", run, path) == 0
    printed = capsys.readouterr().out
    assert "/\\xff.png," in printed
    assert command("predict", run, path, "--out", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8") == printed
    ((name, _, _),) = read_csv(printed.splitlines(keepends=True))
    assert name == path
    assert command("predict", run, path, "--format", "jsonl") == 0
    assert json.loads(capsys.readouterr().out)["image"] == path


def test_predictions_as_csv(run, mixed, capsys):
    assert command("predict", run, mixed / "a.png", mixed / "d.png") == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["image"] for row in rows] == [str(mixed / "a.png"), str(mixed / "d.png")]
    assert "\r" not in printed.out
    expected = colabel.load(run).predict([mixed / "a.png", mixed / "d.png"])
    for row, prediction in zip(rows, expected, strict=True):
        assert list(row) == ["image", "labels", *CLASSES]
        assert row["labels"] == ";".join(prediction.labels)
        for name in CLASSES:
            assert float(row[name]) == pytest.approx(prediction.probabilities[name], abs=1e-6)
    assert printed.err == "2 predicted\n"


def test_predictions_as_lines_of_json(run, mixed, tmp_path, capsys):
    out = tmp_path / "predictions.jsonl"
    arguments = ("predict", run, mixed / "a.png", "--format", "jsonl", "--out", out)
    assert command(*arguments) == 0
    assert capsys.readouterr().out == ""
    (line,) = map(json.loads, out.read_text("utf-8").splitlines())
    (expected,) = colabel.load(run).predict(mixed / "a.png")
    assert line["image"] == str(mixed / "a.png")
    assert line["labels"] == list(expected.labels)
    assert line["probabilities"] == pytest.approx(expected.probabilities)
    assert line["variance"] == pytest.approx(expected.variance)
    point = load_description(run).operating_point
    assert line["thresholds"] == dict(zip(CLASSES, point.thresholds, strict=True))
    assert line["logits"] == pytest.approx(expected.logits)
    assert line["uncertainty"] == pytest.approx(expected.uncertainty)
    assert {label for label, given in line["decisions"].items() if given} == set(expected.labels)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_images_that_cannot_be_read_are_named_and_skipped(run, mixed, capsys, form):
    assert command("predict", run, mixed, "--format", form, "--batch", 3) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2 + (form == "csv")
    assert f"not read: {mixed / 'b.png'}: not an image" in printed.err
    assert f"not read: {mixed / 'c.jpg'}: " in printed.err
    last = printed.err.splitlines()[-1]
    assert last == f"2 predicted, 2 not read: {mixed / 'b.png'}, {mixed / 'c.jpg'}"


def test_other_files_are_counted_and_no_failure(run, mixed, capsys):
    for name in ("b.png", "c.jpg"):
        (mixed / name).unlink()
    (mixed / "notes.txt").write_text("no image")
    (mixed / ".DS_Store").write_bytes(b"x")
    assert command("predict", run, mixed) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: files that are no pictures, left alone: 1 .txt",
        "note: hidden and system files and folders, left alone: 1",
        "2 predicted",
    ]


def test_predictions_that_cannot_be_written_are_an_error(
    run, mixed, tmp_path, capsys, monkeypatch
):
    assert command("predict", run, mixed / "a.png", "--out", tmp_path / "no" / "where.csv") == 2
    assert "where.csv cannot be written: there is no folder" in capsys.readouterr().err
    for name in ("a.png", "hard.png"):
        if name != "a.png":
            os.link(mixed / "a.png", mixed / name)
        assert command("predict", run, mixed, "--out", mixed / name) == 2
        assert "is one of the images" in capsys.readouterr().err
    assert command("predict", run, mixed, "--out", run / "model.json") == 2
    assert "is a file of the run" in capsys.readouterr().err

    class Full(io.StringIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        assert command("predict", run, mixed / "a.png") == 2
    assert "the output cannot be written: No space left on device" in capsys.readouterr().err


class Ending(list):
    """Images that end a prediction after some of them."""

    def __init__(self, path, error):
        super().__init__([path] * 4)
        self.error = error
        self.looked_at = 0

    def __iter__(self):
        yield from list.__iter__(self)
        self.looked_at += 1
        if self.looked_at > 2:  # the room that they take and their names were looked at before
            self.error()


def stop():
    raise KeyboardInterrupt


def fill():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (stop, 130, "interrupted. "),
        (lambda: signal.raise_signal(signal.SIGTERM), 143, "interrupted. "),
        (fill, 2, "cannot be written: No space left on device"),
    ],
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_prediction_that_ends_early_keeps_what_was_there_and_what_it_has(
    run, mixed, tmp_path, capsys, monkeypatch, error, status, message, existed
):
    out = tmp_path / "out.csv"
    if existed:
        out.write_text("image,labels\nold")
    found = Found(Ending(str(mixed / "a.png"), error))
    monkeypatch.setattr(pictures_workflow, "find_pictures", lambda _: found)
    monkeypatch.setattr(output_file, "check_is_no_input", lambda *_: None)
    handler = signal.getsignal(signal.SIGTERM)
    assert command("predict", run, "any", "--out", out, "--batch", 2) == status
    assert signal.getsignal(signal.SIGTERM) is handler
    printed = capsys.readouterr().err
    assert message in printed
    assert f"the predictions so far are in {out}.partial. To go on: the same" in printed
    assert out.exists() == existed
    assert not existed or out.read_text() == "image,labels\nold"
    rows = (tmp_path / "out.csv.partial").read_text().splitlines()
    assert rows[0].startswith("image,labels,")
    assert all(row.startswith(str(mixed / "a.png")) for row in rows[1:])
    assert len(rows) == 1 + 2
    monkeypatch.undo()
    assert command("predict", run, mixed / "a.png", "--out", out) == 0
    assert len(out.read_text().splitlines()) == 2
    assert not (tmp_path / "out.csv.partial").exists()


@pytest.mark.slow
def test_a_killed_prediction_keeps_what_was_there_and_what_it_has(run, mixed, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("image,labels\nold")
    for number in range(400):
        os.link(mixed / "a.png", mixed / f"{number}.png")
    words = program("predict", run, mixed, "--out", out, "--batch", 1)
    started = subprocess.Popen(words, env=os.environ | ENVIRONMENT, stderr=subprocess.PIPE)
    partial = tmp_path / "out.csv.partial"
    while started.poll() is None and not (partial.exists() and b"0.png" in partial.read_bytes()):
        time.sleep(0.01)
    started.kill()
    started.communicate()
    assert started.returncode == -signal.SIGKILL
    assert out.read_text() == "image,labels\nold"
    assert partial.read_text().endswith("\n")
    words = ("predict", run, mixed, "--batch", 1, "--out")
    assert command(*words, out, "--resume") == command(*words, tmp_path / "undisturbed.csv")
    assert out.read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(run, mixed):
    words = program("predict", run, mixed / "a.png")
    read, write = os.pipe()
    os.close(read)  # nobody reads: the first write finds the pipe broken
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            words,
            env=os.environ | ENVIRONMENT,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_check_reports_and_fails_where_training_would_stop(tmp_path, capsys):
    table = write_tiny_table(tmp_path)
    assert command("check", table) == 0
    assert "cat" in capsys.readouterr().out
    (tmp_path / "images" / "07.png").write_bytes(b"no image")
    assert command("check", table, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["classes"] == list(CLASSES)
    assert "07.png" in json.dumps(report["problems"])
    assert command("check", table, "--no-decode", "--json") == 0
    capsys.readouterr()


def test_check_takes_options_and_sources_without_a_public_test_split(tmp_path, capsys):
    write_voc(tmp_path, "VOC2012")
    command("check", f"voc2012:{tmp_path}", "--option", "difficult=absent", "--json")
    report = json.loads(capsys.readouterr().out)
    assert set(report["splits"]) == {"train", "val"}
    assert command("check", f"voc2012:{tmp_path}", "--option", "dificult=absent") == 2
    assert "did you mean 'difficult'?" in capsys.readouterr().err


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


def test_the_recipe_of_these_tests_is_trained_on_its_own_source(tmp_path, monkeypatch, capsys):
    """A recipe's relative source is found again from any other folder."""
    write_tiny_table(tmp_path, images=12)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        RECIPE.replace("data: {", "data: {source: labels.csv, ").replace("epochs: 2", "epochs: 1")
    )
    monkeypatch.chdir(tmp_path)
    assert command("train", "mine.yaml", "--cpu", "--set", "training.batch_size=4") == 0
    printed = capsys.readouterr().out
    assert "run: runs/mine-1\n" in printed
    assert "next: colabel evaluate runs/mine-1\n" in printed
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert command("evaluate", tmp_path / "runs" / "mine-1", "--cpu") == 0
    with Image.open(tmp_path / "runs" / "mine-1" / "curves.png") as curves:
        assert curves.width > 300

"""``colabel predict``: its output, what it skips, and how it ends early."""

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fakes import write_image
from tiny_runs import CLASSES, ENVIRONMENT, command, program

import colabel
from colabel.runs.description import load_description
from colabel.workflows import output_file
from colabel.workflows import pictures as pictures_workflow
from colabel.workflows.pictures import Found
from colabel.workflows.predictions_file import read_csv


@pytest.fixture
def mixed(tmp_path):
    """A folder with two images and two files that only look like images."""
    folder = tmp_path / "mixed"
    for name in ("a.png", "d.png"):
        write_image(folder / name)
    (folder / "b.png").write_bytes(b"no image")
    (folder / "c.jpg").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder


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

import os
from types import SimpleNamespace

import pytest

from colabel.errors import RunError
from colabel.workflows import output_file
from colabel.workflows.output_file import (
    check_is_no_input,
    check_place,
    check_room,
    what_is_left,
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "last").mkdir(parents=True)
    for name in ("model.json", "log.jsonl", "metrics-val.json", "notes.txt"):
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(
    "name",
    ["model.json", "log.jsonl", "split.csv", "metrics-val.json", "metrics-test-b.json",
     "predictions-test.npz", "per-class-test.png", "last/new.csv", "notes.txt",
     "../run/config.yaml"],
)  # fmt: skip
def test_a_file_of_the_run_is_never_written_over(run, name):
    with pytest.raises(RunError, match="is a file of the run"):
        check_place(run / name, run)


def test_an_output_in_the_run_may_be_made_and_made_again(run):
    path = run / "predictions.csv"
    check_place(path, run)
    path.write_text("image,labels,cat\n")
    check_place(path, run)
    (run / "p.jsonl").write_text('{"image": "a.png"}\n')
    check_place(run / "p.jsonl", run)


def test_a_link_to_a_file_of_the_run_is_one(run, tmp_path):
    (tmp_path / "link.csv").symlink_to(run / "model.json")
    with pytest.raises(RunError, match="is a file of the run"):
        check_place(tmp_path / "link.csv", run)


def test_what_cannot_be_written_is_said(run, tmp_path, monkeypatch):
    with pytest.raises(RunError, match="is a folder; give the name of a file in it"):
        check_place(tmp_path, run)
    with pytest.raises(RunError, match=r"there is no folder .*nowhere; make it"):
        check_place(tmp_path / "nowhere" / "a.csv", run)
    check_place(tmp_path / "a.csv", run)
    check_place(type(tmp_path)("/dev/null"), run)
    closed = {tmp_path}
    monkeypatch.setattr(os, "access", lambda path, _: path not in closed)
    with pytest.raises(RunError, match="no permission to make files in"):
        check_place(tmp_path / "a.csv", run)
    (tmp_path / "a.csv").write_text("kept")
    closed = {tmp_path / "a.csv"}
    with pytest.raises(RunError, match="is read-only"):
        check_place(tmp_path / "a.csv", run)


def test_an_image_is_never_written_over_by_whatever_name(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"pixels")
    os.link(image, tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(image)
    for name in ("a.png", "hard.png", "soft.png"):
        with pytest.raises(RunError, match=r"is one of the images, .*a\.png"):
            check_is_no_input(tmp_path / name, ["gone.png", str(image)])
    (tmp_path / "out.csv.partial").write_bytes(b"pixels")
    with pytest.raises(RunError, match="is one of the images"):
        check_is_no_input(tmp_path / "out.csv", [str(tmp_path / "out.csv.partial")])
    for made in (".partial", ".partial.json"):
        (tmp_path / f"new.csv{made}").write_bytes(b"pixels")
        with pytest.raises(RunError, match="is one of the images"):
            check_is_no_input(tmp_path / "new.csv", [str(tmp_path / f"new.csv{made}")])
    check_is_no_input(tmp_path / "other.csv", [str(image)])


def test_what_is_left_is_said(tmp_path):
    path = tmp_path / "a.csv"
    assert what_is_left(None) == "The output ends early."
    assert what_is_left(path) == f"{path} was not written."
    (tmp_path / "a.csv.partial").write_text("new")
    path.write_text("old")
    said = what_is_left(path)
    assert said == f"{path} is what it was before; the predictions so far are in {path}.partial."
    (tmp_path / "a.csv.partial.json").write_text("{}")
    assert what_is_left(path) == f"{said} To go on: the same command with --resume."


def test_what_only_has_the_name_of_unfinished_predictions_is_kept(run, tmp_path):
    partial = tmp_path / "a.csv.partial"
    for content in ("", "image,labels,cat\n", '{"image": "a.png", '):
        partial.write_text(content)
        check_place(tmp_path / "a.csv", run)
    partial.write_text("a download")
    with pytest.raises(RunError, match=r"a\.csv\.partial is in the way \(not begun by"):
        check_place(tmp_path / "a.csv", run)
    partial.unlink()
    partial.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"is in the way \(a symbolic link"):
        check_place(tmp_path / "a.csv", run)
    partial.unlink()
    os.mkfifo(partial)
    with pytest.raises(RunError, match=r"is in the way \(not a plain file"):
        check_place(tmp_path / "a.csv", run)


@pytest.mark.parametrize(("form", "least"), [("csv", 2 * (5 + 2 + 27)), ("jsonl", 100)])
def test_what_cannot_fit_on_the_disk_is_not_begun(tmp_path, monkeypatch, form, least):
    out, pictures, classes = tmp_path / "a.csv", ["a.png", "b.png"], ["cat", "dog", "owl"]

    def leave(free):
        monkeypatch.setattr(output_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    leave(1000)
    check_room(out, pictures, classes, form=form)
    leave(least // 2)
    with pytest.raises(RunError, match=r"at least \d+ bytes, and the disk has room for \d+; make"):
        check_room(out, pictures, classes, form=form)
    (tmp_path / "a.csv.partial").write_bytes(bytes(1000))  # which is written over
    check_room(out, pictures, classes, form=form)

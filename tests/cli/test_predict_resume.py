"""An interrupted prediction goes on, and makes the file that an undisturbed one makes."""

import fcntl
import os
import shutil

import pytest
from fakes import write_image
from tiny_runs import command

BATCH = 3
NAMES = ["a.png", "b\n.png", "c.png", "d.png", "e [x].png", "f.png", "g.png", "h.png"]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for number, name in enumerate(NAMES):
        write_image(folder / name, size=(40, 36), seed=number)
    (folder / "b\n.png").write_bytes(b"no image")
    (folder / "g.png").write_bytes(b"no image")
    return folder


def predict(run, images, out, form, *more):
    words = ("predict", run, images, "--out", out, "--format", form, "--batch", BATCH)
    return command(*words, *more)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_wherever_it_ended_it_goes_on_to_the_same_bytes(tiny_run, images, tmp_path, capsys, form):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert predict(tiny_run, images, whole, form) == 1
    assert os.listdir(tmp_path).count("whole.partial.json") == 0
    expected = whole.read_bytes()
    summary = capsys.readouterr().err.splitlines()[-1]
    assert summary.startswith("6 predicted, 2 not read: ")
    lines = expected.splitlines(keepends=True)
    for length in (0, len(lines[0]), len(b"".join(lines[:4])) + 9, len(expected)):
        begin(tiny_run, images, out, form, expected[:length])
        assert predict(tiny_run, images, out, form, "--resume") == 1
        printed = capsys.readouterr().err
        assert printed.splitlines()[-1] == summary
        assert printed.count("not read: ") == 1 + 2
        assert ("going on after" in printed) == (length > len(b"".join(lines[:4])))
        assert out.read_bytes() == expected
        out.unlink()
        left = sorted(name for name in os.listdir(tmp_path) if name.startswith("out"))
        assert left == []


def begin(run, images, out, form, content):
    """Leave what a prediction leaves that was killed after so many bytes."""
    from colabel.runs.description import load_description
    from colabel.workflows.pictures import find_pictures
    from colabel.workflows.resumed_predictions import Work

    found, classes = find_pictures([str(images)]), load_description(run).classes
    work = Work.of(
        run, found.pictures, classes,
        form=form, batch=BATCH, device="cpu", max_pixels=None, resume=False,
    )  # fmt: skip
    partial = out.with_name(f"{out.name}.partial")
    partial.touch()
    work.begin(partial)
    partial.write_bytes(content)


def test_what_does_not_fit_is_refused_before_the_model_is_built(
    tiny_run, images, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out.csv"
    monkeypatch.setattr("colabel.workflows.predict.load", None)  # calling it would be a TypeError
    assert predict(tiny_run, images, out, "csv", "--resume") == 2
    assert "there is no interrupted prediction to go on with" in capsys.readouterr().err
    begin(tiny_run, images, out, "csv", b"image,labels,")
    write_image(images / "new.png")
    assert predict(tiny_run, images, out, "csv", "--resume") == 2
    assert "begun with something else: the images are not the same" in capsys.readouterr().err
    assert command("predict", tiny_run, images, "--resume") == 2
    assert "--resume goes on with a file: give its name as --out" in capsys.readouterr().err
    full = shutil._ntuple_diskusage(100, 100, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert predict(tiny_run, images, tmp_path / "x.csv", "csv") == 2
    assert "the disk has room for 10; make room" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["images", "out.csv.partial", "out.csv.partial.json"]


def test_two_predictions_do_not_mix_in_one_file(tiny_run, images, tmp_path, capsys):
    out = tmp_path / "out.csv"
    partial = tmp_path / "out.csv.partial"
    with open(partial, "w") as held:
        held.write("image,labels,")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert predict(tiny_run, images, out, "csv") == 2
        assert f"another process is writing {partial}; wait" in capsys.readouterr().err
    assert partial.read_text() == "image,labels,"
    assert predict(tiny_run, images, out, "csv") == 1
    assert not partial.exists()

"""Commands on a disk that fails at any step: old results stay, or new ones are whole."""

import json
import os
import shutil

import pytest
from faults import Faults, failing
from fuzzing import examples
from tiny_runs import command

from colabel.runs.predictions import Predictions
from colabel.workflows.predictions_file import read_csv

pytestmark = pytest.mark.usefixtures("blank_charts")

MADE_ANEW = ("metrics-test.json", "predictions-test.npz", "per-class-test.png")


def steps_of(*arguments):
    """Return how many steps of writing a command takes."""
    with failing(Faults()) as faults:
        assert command(*arguments) == 0
    return faults.steps


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_an_evaluation_leaves_old_results_or_new_ones(tiny_run, tmp_path, capsys, lasting):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    assert command("evaluate", run, "--cpu") == 0
    whole = content(run)
    steps = steps_of("evaluate", run, "--cpu")
    assert steps > 5
    for at in range(1, steps + 1):
        with failing(Faults(at, lasting=lasting)):
            status = command("evaluate", run, "--cpu")
        assert status in (0, 2), (at, capsys.readouterr().err)
        assert content(run) == whole, at
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_first_evaluation_leaves_whole_files_or_none(tiny_run, tmp_path, lasting):
    assert command("evaluate", tiny_run.parent / "run", "--cpu", "--split", "val") == 0
    for at in range(1, 40, max(1, 4 // examples(1))):
        run = tmp_path / str(at)
        shutil.copytree(tiny_run, run)
        for name in MADE_ANEW:
            (run / name).unlink(missing_ok=True)
        with failing(Faults(at, lasting=lasting)) as faults:
            command("evaluate", run, "--cpu")
        if (run / "metrics-test.json").exists():
            json.loads((run / "metrics-test.json").read_text())
        if (run / "predictions-test.npz").exists():
            Predictions.load(run / "predictions-test.npz")
        assert not list(run.glob("*.new"))
        assert command("evaluate", run, "--cpu") == 0
        if faults.steps < at:
            break


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_prediction_leaves_the_old_file_or_the_new_one(tiny_run, tmp_path, capsys, lasting):
    images, out = tiny_run.parent / "images", tmp_path / "labels.csv"
    arguments = ("predict", tiny_run, images, "--out", out, "--batch", "8")
    steps = steps_of(*arguments)
    whole = out.read_bytes()
    assert len(list(read_csv(out.read_text().splitlines()))) == len(list(images.iterdir()))
    old = b"image,labels,cat\nold.png,cat,1\n"
    for at in range(1, steps + 1, max(1, 8 // examples(1))):
        out.write_bytes(old)
        with failing(Faults(at, lasting=lasting)):
            status = command(*arguments)
        assert out.read_bytes() in (
            (whole,) if not status else (whole, b"image,labels,cat\nold.png,cat,1\n")
        )
        begun = (tmp_path / "labels.csv.partial.json").exists()
        more = ("--resume",) if begun else ()
        assert command(*arguments, *more) == 0, (at, capsys.readouterr().err)
        assert out.read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


@pytest.mark.slow
@pytest.mark.fuzz
def test_a_training_that_met_a_fault_goes_on_to_the_same_model(tiny_run, tmp_path, capsys):
    table, recipe = tiny_run.parent / "labels.csv", tiny_run.parent / "tiny.yaml"

    def train(folder, *more):
        return command("train", recipe, "--data", table, "--out", folder, "--cpu", *more)

    expected = (tiny_run / "model.safetensors").read_bytes()
    steps = 0
    with failing(Faults()) as faults:
        assert train(tmp_path / "whole") == 0
        steps = faults.steps
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == expected
    for at in range(1, steps + 1, max(1, 11 // examples(1))):
        folder = tmp_path / str(at)
        with failing(Faults(at, lasting=True)):
            status = train(folder)
        printed = capsys.readouterr().err
        # the last step flushes a folder whose files are all in place, which not every disk can
        assert status == (0 if at == steps else 2), (at, steps, printed)
        assert "Traceback" not in printed
        begun = (folder / "config.yaml").exists()
        assert train(folder, *(("--resume",) if begun else ())) == 0, (at, capsys.readouterr().err)
        assert (folder / "model.safetensors").read_bytes() == expected, at
        assert command("evaluate", folder, "--cpu") == 0


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_training_killed_before_its_first_state_goes_on_to_the_same_model(
    tiny_run, tmp_path, capsys
):
    table, recipe = tiny_run.parent / "labels.csv", tiny_run.parent / "tiny.yaml"
    expected = (tiny_run / "model.safetensors").read_bytes()
    at, stated = 1, False
    while not stated:
        folder = tmp_path / str(at)
        arguments = ("train", recipe, "--data", table, "--out", folder, "--cpu")
        child = os.fork()
        if child == 0:
            try:
                with failing(Faults(at, kill=True)):
                    command(*arguments)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9
        stated = (folder / "last" / "state.json").exists()
        begun = (folder / "config.yaml").exists()
        assert command(*arguments, *(("--resume",) if begun else ())) == 0, (
            at,
            capsys.readouterr().err,
        )
        assert (folder / "model.safetensors").read_bytes() == expected, at
        at += max(1, 5 // examples(1))

"""``train --find-learning-rate``: a picture, numbers, and a setting to type."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_runs import command, write_recipe, write_tiny_table

from colabel.config import load_config
from colabel.errors import ImageError, RunError
from colabel.training import RangeTest
from colabel.workflows import range_test as workflow
from colabel.workflows.range_test import CHART, NUMBERS, find_learning_rate


@pytest.mark.slow
def test_the_command_writes_a_picture_and_trains_nothing(tmp_path, capsys):
    table, recipe = write_tiny_table(tmp_path), write_recipe(tmp_path)
    out = tmp_path / "rates"
    arguments = ["train", recipe, "--data", table, "--out", out, "--cpu"]
    assert not command(*arguments, "--find-learning-rate")
    assert {path.name for path in out.iterdir()} == {CHART, NUMBERS}
    assert (out / CHART).read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((out / NUMBERS).read_text())
    assert len(numbers["losses"]) == len(numbers["learning_rates"]) >= 10
    captured = capsys.readouterr()
    assert f"--set training.learning_rate={numbers['suggested']:.2g}" in captured.err
    assert str(out / CHART) in captured.out.replace("\n", "")


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
def test_that_the_head_of_the_recipe_has_learned_alone_before_is_told(tmp_path, capsys, epochs):
    table, recipe, out = write_tiny_table(tmp_path), write_recipe(tmp_path), tmp_path / "rates"
    arguments = ["train", recipe, "--data", table, "--out", out, "--cpu", "--find-learning-rate"]
    assert not command(*arguments, "--set", f"training.warm_start.epochs={epochs}")
    said = capsys.readouterr().err.replace("\n", " ")
    assert ("the test begins with an untrained head" in said) == bool(epochs)


def test_both_rates_are_suggested_where_that_of_the_head_is_a_number(tmp_path, capsys):
    table, recipe = write_tiny_table(tmp_path), write_recipe(tmp_path)
    out = tmp_path / "rates"
    arguments = ["train", recipe, "--data", table, "--out", out, "--cpu", "--find-learning-rate"]
    assert not command(*arguments, "--set", "training.head_learning_rate=0.02")
    numbers = json.loads((out / NUMBERS).read_text())
    assert numbers["head_multiple"] == pytest.approx(20)
    rate, head = numbers["suggested"], numbers["suggested_head"]
    assert head == pytest.approx(20 * rate, rel=0.005)
    told = capsys.readouterr().err.replace("\n", " ")
    assert (
        f"--set training.learning_rate={rate:.2g} --set training.head_learning_rate={head:.3g}"
        in told
    )


def test_what_came_of_a_test_without_a_fall_is_told(tmp_path, capsys, monkeypatch):
    losses = tuple(float(step) for step in range(20))
    found = RangeTest("fit", tuple(np.geomspace(1e-7, 1, 20).tolist()), losses, losses, 1.0)
    monkeypatch.setattr(workflow, "find_learning_rate", lambda *_, **__: found)
    assert not command("train", write_recipe(tmp_path), "--find-learning-rate")
    told = capsys.readouterr().err.replace("\n", " ")
    assert "stage fit: the loss did not fall" in told
    assert "nothing is suggested" in told
    assert "--set" not in told


@pytest.mark.slow
def test_corrupt_images_are_left_out_as_in_training(tmp_path):
    table, recipe = write_tiny_table(tmp_path), write_recipe(tmp_path)
    for number in range(0, 36, 4):
        (tmp_path / "images" / f"{number:02}.png").write_bytes(b"no image")
    changes = [f"data.source={table}", "training.batch_size=4"]
    options = {"cpu": True, "steps": 10}
    with pytest.raises(ImageError, match=r"\d\d\.png"):
        find_learning_rate(load_config(recipe, changes), tmp_path / "stopped", **options)
    config = load_config(recipe, [*changes, "data.on_corrupt=skip"])
    notes = []
    display = SimpleNamespace(note=notes.append)
    found = find_learning_rate(config, tmp_path / "rates", display=display, **options)
    assert len(found.losses) == 10
    assert "left out" in "\n".join(notes)


def test_the_recipe_auto_is_refused_with_what_to_do(capsys):
    arguments = ["train", "auto", "--find-learning-rate", "--data", "my labels.csv"]
    for more in ([], ["--budget", "3m"], ["--budget", "3m", "--resume"]):
        assert command(*arguments, *more) == 2
        told = " ".join(capsys.readouterr().err.split())
        assert "--find-learning-rate is not for the recipe auto" in told
        budget = "3m" if more else "20m"
        assert f"--data 'my labels.csv' --budget {budget} --print > mine.yaml`" in told
        assert "`colabel train mine.yaml --find-learning-rate`" in told


def test_resuming_a_range_test_is_refused(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    assert command("train", recipe, "--find-learning-rate", "--resume") == 2
    assert "exclude each other" in capsys.readouterr().err


def test_the_folder_of_a_run_is_refused(tiny_run):
    config = load_config("shapes-bce")
    with pytest.raises(RunError, match="holds a run; choose another folder"):
        find_learning_rate(config, tiny_run)

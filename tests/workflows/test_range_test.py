"""``train --find-learning-rate``: a picture, numbers, and a setting to type."""

import json

import pytest
from tiny_runs import command, write_recipe, write_tiny_table

from colabel.config import load_config
from colabel.errors import RunError
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


def test_resuming_a_range_test_is_refused(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    assert command("train", recipe, "--find-learning-rate", "--resume") == 2
    assert "exclude each other" in capsys.readouterr().err


def test_the_folder_of_a_run_is_refused(tiny_run):
    config = load_config("shapes-bce")
    with pytest.raises(RunError, match="holds a run; choose another folder"):
        find_learning_rate(config, tiny_run)

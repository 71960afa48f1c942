"""Runs of which some cannot be trained."""

import pytest

from colabel.config import load_config
from colabel.errors import ConfigError, DataError
from colabel.workflows.grid import training
from colabel.workflows.grid.planning import Planned
from colabel.workflows.grid.training import train_planned


def start(tmp_path, monkeypatch, errors):
    """Train a run for each entry, which raises it or, where it is none, ends at once."""
    config = load_config("shapes-bce")
    planned = [
        Planned(index, index, 0, config, tmp_path / str(index)) for index in range(len(errors))
    ]
    trained = []

    def train(_, *, out, **__):
        error = errors[int(out.name)]
        if error is not None:
            raise error
        trained.append(out.name)
        return type("Trained", (), {"report": "there"})

    monkeypatch.setattr(training, "train", train)
    problems = {}
    stopped = train_planned(
        planned, lambda one: f"run {one.index}", problems=problems, ended=lambda: None, cpu=True,
        display=None,
    )  # fmt: skip
    assert stopped is None
    return trained, {folder.name: problem for folder, problem in problems.items()}


def test_settings_that_cannot_be_trained_hinder_no_other(tmp_path, monkeypatch):
    errors = [ConfigError("a batch of 16"), None, None]
    assert start(tmp_path, monkeypatch, errors) == (["1", "2"], {"0": "a batch of 16"})


def test_settings_of_which_none_can_be_trained_are_an_error(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="the first"):
        start(tmp_path, monkeypatch, [ConfigError("the first"), ConfigError("the second")])


def test_what_is_wrong_with_the_data_ends_all(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no images"):
        start(tmp_path, monkeypatch, [None, DataError("no images"), None])

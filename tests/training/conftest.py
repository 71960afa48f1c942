"""Runs and clocks that the tests of training share."""

import pytest
from timed_runs import Hands
from training_runs import Run, state_of


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A finished run, its history, and the weights it ended with."""
    run = Run(tmp_path_factory.mktemp("uninterrupted"))
    history = run.fit()
    return run, history, state_of(run.stages[0].model)


@pytest.fixture
def hands(monkeypatch):
    """The clock of a run, which stands still until it is told to move."""
    return Hands(monkeypatch)

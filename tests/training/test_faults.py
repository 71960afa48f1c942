"""Whatever step of writing fails, and however, a run goes on to the same bits."""

import errno
import os

import pytest
from faults import Faults, failing
from fuzzing import examples
from training_runs import Run, same

from colabel.errors import RunError
from colabel.training.checkpoint import load_state

OPTIONS = {"images": 8, "save_minutes": 0, "log_every": 1}


def finish(folder, faults=None, *, resume=False):
    """Train in a folder, to the end or to the fault; return the tensors of the saved state."""
    run = Run(folder, **OPTIONS)
    if faults is None:
        run.fit(resume=resume, seed=11)
    else:
        with failing(faults):
            run.fit(resume=resume, seed=11)
    return load_state(run.folder / "last").tensors


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return what an undisturbed run ends with, and how many steps of writing it takes."""
    faults = Faults()
    state = finish(tmp_path_factory.mktemp("undisturbed"), faults)
    assert faults.steps > 50
    return state, faults.steps


def goes_on(folder, expected):
    resumed = finish(folder, resume=True)
    assert same(resumed, expected)
    assert not list(folder.rglob("*.new"))


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_failed_write_costs_nothing(tmp_path, undisturbed, lasting):
    expected, steps = undisturbed
    stride = max(1, 4 // examples(1))
    for at in range(1 + lasting, steps + 1, stride):
        folder = tmp_path / str(at)
        faults = Faults(at, lasting=lasting)
        said = ""
        try:
            finish(folder, faults)
        except RunError as error:
            said = str(error)
        assert not said or os.strerror(errno.ENOSPC) in said, at
        goes_on(folder, expected)


@pytest.mark.slow
@pytest.mark.fuzz
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_kill_at_any_step_of_writing_costs_nothing(tmp_path, undisturbed):
    expected, steps = undisturbed
    for at in range(1, steps + 1, max(1, 6 // examples(1))):
        folder = tmp_path / str(at)
        child = os.fork()
        if child == 0:
            try:
                finish(folder, Faults(at, kill=True))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 9
        goes_on(folder, expected)

"""A training that was stopped, killed or is complete, and what it goes on with."""

import errno
import signal

import pytest
from stopping import Watcher, interrupt
from training_runs import (
    CLASSES,
    WIDTH,
    Run,
    records_of_log,
    same,
    small_model,
    small_stage,
    state_of,
)

from colabel.errors import RunError, WeightsError
from colabel.models import Classifier, Head, KernelMixtureHead, LinearHead
from colabel.training import checkpoint
from colabel.training.checkpoint import load_state


def test_resuming_a_finished_run_does_nothing_and_says_so(uninterrupted):
    finished, history, _ = uninterrupted
    before = {path: path.read_bytes() for path in finished.folder.rglob("*.json*")}
    run = Run(finished.folder)
    display = Watcher()
    again = run.fit(resume=True, display=display)
    assert again.finished
    assert again.epochs == history.epochs
    assert again.best == history.best
    assert "nothing left to train" in again.message
    assert display.notes == [again.message]
    assert run.kept == []
    assert before == {path: path.read_bytes() for path in finished.folder.rglob("*.json*")}


@pytest.mark.parametrize("step", [1, 2, 3, 4, 8])
def test_a_run_stopped_by_ctrl_c_resumes_to_the_same_bits(tmp_path, uninterrupted, step):
    _, history, expected = uninterrupted
    run = Run(tmp_path)
    stopped = run.fit(display=Watcher(step, interrupt))
    assert not stopped.finished
    assert "SIGINT" in stopped.message
    assert "resume" in stopped.message
    resumed = Run(tmp_path)
    went_on = resumed.fit(resume=True, seed=99)
    assert went_on.finished
    assert same(state_of(resumed.stages[0].model), expected)
    assert same_numbers(went_on.epochs, history.epochs)


def same_numbers(epochs, others):
    timeless = ("loss", "terms", "validation", "score", "best", "step", "learning_rates")
    return [[epoch[key] for key in timeless] for epoch in epochs] == [
        [epoch[key] for key in timeless] for epoch in others
    ]


def test_the_log_of_a_killed_run_is_cut_at_its_saved_state(tmp_path, uninterrupted):
    run = Run(tmp_path)
    run.fit(display=Watcher(4, interrupt))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"kind": "step", "step": 5}\n{"kind": "st')
    Run(tmp_path).fit(resume=True)
    steps = [record["step"] for record in records_of_log(tmp_path, "step")]
    assert steps == [record["step"] for record in records_of_log(uninterrupted[0].folder, "step")]
    assert [record["step"] for record in records_of_log(tmp_path, "resume")] == [4]


def test_a_second_ctrl_c_ends_at_once_and_the_run_can_be_resumed(tmp_path, uninterrupted):
    def impatient():
        interrupt()
        interrupt()

    run = Run(tmp_path, save_minutes=0)
    with pytest.raises(KeyboardInterrupt):
        run.fit(display=Watcher(4, impatient))
    resumed = Run(tmp_path)
    resumed.fit(resume=True)
    assert same(state_of(resumed.stages[0].model), uninterrupted[2])


def test_a_full_disk_ends_the_run_and_keeps_the_last_state(tmp_path, uninterrupted, monkeypatch):
    real, calls = checkpoint.save_file, []

    def save_file(tensors, path):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    with pytest.raises(RunError, match=r"No space left.*saved before is intact.*resume"):
        Run(tmp_path).fit()
    assert load_state(tmp_path / "last").facts["position"]["epoch"] == 1
    resumed = Run(tmp_path)
    resumed.fit(resume=True)
    assert same(state_of(resumed.stages[0].model), uninterrupted[2])


def test_resuming_where_nothing_was_saved_begins(tmp_path, uninterrupted):
    run = Run(tmp_path)
    assert run.fit(resume=True).finished
    assert same(state_of(run.stages[0].model), uninterrupted[2])


def test_a_folder_with_a_run_is_not_overwritten(uninterrupted):
    with pytest.raises(RunError, match="holds the state of a run"):
        Run(uninterrupted[0].folder).fit()


def test_a_run_is_not_resumed_with_other_settings(tmp_path):
    Run(tmp_path).fit(display=Watcher(1, interrupt))
    with pytest.raises(RunError, match=r"stages\.kernels\.epochs was 3, is 4"):
        Run(tmp_path, small_stage(epochs=4)).fit(resume=True)
    with pytest.raises(RunError, match=r"settings\.weight_decay was 0.0001, is 0.5"):
        Run(tmp_path, weight_decay=0.5).fit(resume=True)
    with pytest.raises(RunError, match="batch_size 4, now it is 2"):
        Run(tmp_path, batch=2).fit(resume=True)
    with pytest.raises(RunError, match="images 14, now it is 13"):
        Run(tmp_path, images=13).fit(resume=True)
    assert Run(tmp_path, log_every=1, save_minutes=5).fit(resume=True).finished


def test_a_run_is_not_resumed_with_another_model(tmp_path):
    Run(tmp_path).fit(display=Watcher(1, interrupt))
    other = Classifier(small_model().encoder, Head(KernelMixtureHead(WIDTH, CLASSES + 1)))
    with pytest.raises(WeightsError, match=r"of another shape: head"):
        Run(tmp_path, small_stage(model=other)).fit(resume=True)
    linear = Classifier(small_model().encoder, Head(LinearHead(WIDTH, CLASSES)))
    with pytest.raises(WeightsError, match=r"4 left over: head"):
        Run(tmp_path, small_stage(model=linear)).fit(resume=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_says_what_stopped_it(tmp_path, number):
    stopped = Run(tmp_path).fit(display=Watcher(2, lambda: signal.raise_signal(number)))
    assert not stopped.finished
    assert stopped.signal == number.name

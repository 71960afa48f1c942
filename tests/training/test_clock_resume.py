"""The time of a run that was stopped or killed: what counts of it, and how it is noted."""

import json
import signal
from itertools import pairwise

import pytest
import torch
from timed_runs import Listener, stopping, timed_run, timed_stage
from training_runs import SIZE

from colabel.errors import RunError
from colabel.training import clock
from colabel.training.checkpoint import load_state, save_state
from colabel.training.clock import noted_seconds


def test_an_interruption_does_not_count_and_what_came_before_it_does(tmp_path, hands):
    stage, steps = timed_stage(hands, stopping(at=100, seconds=1.0), epochs=100)
    assert not timed_run(tmp_path, hands, stage, minutes=200 / 60).fit().finished
    hands.now += 10_000
    resumed_stage, more = timed_stage(hands, 1.0, epochs=100)
    resumed = timed_run(tmp_path, hands, resumed_stage, minutes=200 / 60)
    assert resumed.fit(resume=True).finished
    assert 190 <= len(steps) + len(more) <= 202


def test_the_sentence_counts_what_was_left_out_before_an_interruption(tmp_path, hands):
    stage, steps = timed_stage(hands, stopping(at=100, seconds=2.0), epochs=100)
    assert not timed_run(tmp_path, hands, stage, minutes=5).fit().finished
    listener = Listener()
    resumed_stage, more = timed_stage(hands, 2.0, epochs=100)
    resumed = timed_run(tmp_path, hands, resumed_stage, minutes=5)
    assert resumed.fit(resume=True, display=listener).finished
    made = len(steps) + len(more)
    assert f"5 minutes left time for {made} of the 300 steps" in " ".join(listener.said)


def test_a_state_without_the_time_it_took_goes_on(tmp_path, hands):
    """As those that were saved before there were limits."""

    def stop(_):
        signal.raise_signal(signal.SIGTERM)
        return 1.0

    stage, _ = timed_stage(hands, stop)
    run = timed_run(tmp_path, hands, stage)
    assert not run.fit().finished
    saved = load_state(tmp_path / "last")
    facts = {key: value for key, value in saved.facts.items() if key != "spent"}
    save_state(tmp_path / "last", saved.tensors, facts)
    stage, _ = timed_stage(hands, 1.0)
    assert timed_run(tmp_path, hands, stage).fit(resume=True).finished


class Killed(BaseException):
    """What stands for a kill: nothing is saved after it."""


def killed_at(step, seconds=1.0):
    """Return the time of each step, and a kill in one of them."""

    def pass_time(count):
        if count == step:
            raise Killed
        return seconds

    return pass_time


def killed_run(folder, hands, step):
    """Train until the process is killed in a step, and let an hour pass; returns its steps."""
    stage, steps = timed_stage(hands, killed_at(step), epochs=2)
    run = timed_run(folder, hands, stage, images=200, minutes=100 / 60)
    with pytest.raises(Killed):
        run.fit(resume=True)
    hands.now += 3600
    return len(steps)


def resumed_run(folder, hands, seconds=1.0, **options):
    """Go on to the end; returns the history and the steps."""
    stage, steps = timed_stage(hands, seconds, epochs=2)
    run = timed_run(folder, hands, stage, images=200, minutes=100 / 60)
    return run.fit(resume=True, **options), len(steps)


@pytest.mark.parametrize("at", [40, 80], ids=["before a state", "after one"])
def test_the_time_of_a_killed_run_counts_and_that_without_a_process_does_not(tmp_path, hands, at):
    killed = killed_run(tmp_path, hands, at)
    history, steps = resumed_run(tmp_path, hands)
    assert history.finished
    assert 90 <= killed + steps <= 100


def test_every_kill_counts(tmp_path, hands):
    killed = sum(killed_run(tmp_path, hands, 25) for _ in range(3))
    history, steps = resumed_run(tmp_path, hands)
    assert history.finished
    assert 90 <= killed + steps <= 106  # each kill may cost what passed since the last note


def test_a_kill_in_a_validation_counts(tmp_path, hands):
    stage, steps = timed_stage(hands, 1.0, epochs=2)
    run = timed_run(tmp_path, hands, stage, images=200, minutes=100 / 60)

    def validate(_, model):
        for _ in range(30):
            hands.now += 1.0
            model(torch.zeros(2, 3, SIZE, SIZE))
        raise Killed

    run.validate = validate
    with pytest.raises(Killed):
        run.fit()
    assert len(steps) == 50
    history, more = resumed_run(tmp_path, hands)
    assert history.finished
    assert more <= 20


@pytest.mark.parametrize(
    "content",
    [b"", b'{"sec', b"{}", b"[1]", b'{"seconds": null}', b'{"seconds": "1e999"}',
     b'{"seconds": -5}', b'{"seconds": 1' + b"0" * 400 + b"}", b"\xff\x00"],
)  # fmt: skip
def test_a_note_that_is_torn_or_edited_says_nothing(tmp_path, content):
    note = tmp_path / "spent.json"
    note.write_bytes(content)
    assert noted_seconds(note) == 0
    note.unlink()
    assert noted_seconds(note) == 0


def test_without_a_whole_note_a_run_goes_on_with_what_its_state_says(tmp_path, hands):
    killed_run(tmp_path, hands, 80)
    note = tmp_path / "last" / "spent.json"
    assert noted_seconds(note) == pytest.approx(79, abs=2)
    note.write_bytes(b'{"sec')
    history, steps = resumed_run(tmp_path, hands)
    assert history.finished
    assert 40 <= steps <= 50  # the state was saved after 50 seconds


def test_a_time_that_a_kill_has_used_up_leaves_the_model_that_was_kept(tmp_path, hands):
    killed_run(tmp_path, hands, 90)
    listener = Listener()
    history, steps = resumed_run(tmp_path, hands, display=listener, began=hands.now - 10)
    assert (history.finished, steps, history.best["epoch"]) == (True, 0, 1)
    assert "100 seconds left time for 50 of the 100 steps; it was over" in " ".join(listener.said)
    again, steps = resumed_run(tmp_path, hands)
    assert (again.finished, steps, again.best) == (True, 0, history.best)


def test_a_time_that_kills_have_used_up_before_there_was_a_model_gives_one(tmp_path, hands):
    for _ in range(2):
        killed_run(tmp_path, hands, 45)
    history, steps = resumed_run(tmp_path, hands, began=hands.now - 15)
    assert (history.finished, steps, history.best["epoch"]) == (True, 1, 1)


def test_too_little_time_for_another_validation_ends_a_resumed_run(tmp_path, hands):
    killed_run(tmp_path, hands, 60)
    state = tmp_path / "last" / "state.json"
    document = json.loads(state.read_text())
    document["facts"]["best"]["validation_seconds"] = 40.0
    state.write_text(json.dumps(document))
    history, steps = resumed_run(tmp_path, hands)
    assert (history.finished, steps) == (True, 0)


def test_the_time_is_noted_every_other_second(tmp_path, hands, monkeypatch):
    noted = []
    monkeypatch.setattr(clock, "write_json", lambda *_: noted.append(hands.now))
    stage, steps = timed_stage(hands, 0.125, epochs=30)
    timed_run(tmp_path, hands, stage, minutes=5).fit()
    assert len(steps) == 90
    assert {later - before for before, later in pairwise(noted)} == {2.0}


def test_a_disk_that_takes_no_notes_stops_nothing(tmp_path, hands, monkeypatch):
    def refuse(*_):
        raise RunError("full")

    monkeypatch.setattr(clock, "write_json", refuse)
    stage, _ = timed_stage(hands, 1.0)
    assert timed_run(tmp_path, hands, stage, minutes=5).fit().finished


def test_only_a_run_whose_time_is_limited_notes_it(tmp_path, hands):
    for name, minutes in (("free", None), ("limited", 5)):
        stage, _ = timed_stage(hands, 1.0)
        timed_run(tmp_path / name, hands, stage, minutes=minutes).fit()
    assert not (tmp_path / "free" / "last" / "spent.json").exists()
    assert (tmp_path / "limited" / "last" / "spent.json").exists()

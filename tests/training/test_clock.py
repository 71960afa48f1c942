"""A run whose time is limited ends in it, with its schedule at its end."""

import json
import math
import signal
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from stopping import Watcher
from training_runs import (
    SIZE,
    Run,
    kernel_objective,
    records_of_log,
    same,
    small_model,
    small_stage,
    state_of,
)

from colabel.errors import ConfigError, RunError
from colabel.settings import Training
from colabel.training import Objective, Term, check_stages, clock, run_stage
from colabel.training.checkpoint import load_state, save_state
from colabel.training.clock import TO_FINISH, Clock, noted_seconds


class Hands:
    """A clock that moves when it is told to, in place of the machine's."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (clock, run_stage):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self):
        return self.now


@pytest.fixture
def hands(monkeypatch):
    return Hands(monkeypatch)


def timed_stage(hands, seconds, **options):
    """Return a stage each of whose steps takes some time; ``seconds`` may be a function of it."""
    steps = []

    def pass_time(logits, _):
        steps.append(hands.now)
        hands.now += seconds(len(steps)) if callable(seconds) else seconds
        return logits.sum() * 0

    terms = (*kernel_objective().terms, Term("time", pass_time, needs=("logits", "targets")))
    return small_stage(objective=Objective(terms), **options), steps


def timed_run(folder, hands, stage, *, validation=0.0, **settings):
    run = Run(folder, stage, **settings)
    plain = run.validate

    def validate(*given):
        hands.now += validation
        return plain(*given)

    run.validate = validate
    return run


def test_a_run_with_enough_time_is_as_without_a_limit(tmp_path, hands):
    ends = []
    for name, minutes in (("limited", 10), ("free", None)):
        stage, steps = timed_stage(hands, 1.0)
        timed_run(tmp_path / name, hands, stage, minutes=minutes).fit()
        ends.append(state_of(stage.model))
        assert len(steps) == 9
    assert same(*ends)


@pytest.mark.parametrize("factor", [1.3, 2.0, 5.0])
def test_a_run_that_turns_out_slower_ends_in_its_time(tmp_path, hands, factor):
    """Of 300 steps as many as fit, the last with a learning rate near 0."""
    stage, steps = timed_stage(hands, factor, epochs=100)
    validation = 0.2
    limit = 300 + 100 * validation
    run = timed_run(tmp_path, hands, stage, validation=validation, minutes=limit / 60, log_every=1)
    history = run.fit()
    assert history.finished
    assert 0.95 * limit < hands.now + TO_FINISH <= limit + factor
    assert len(steps) == pytest.approx(300 / factor, rel=0.05)
    rates = [record["learning_rates"]["model"] for record in records_of_log(tmp_path, "step")]
    assert rates[-1] < 0.01 * max(rates)
    assert max(rates) == pytest.approx(stage.learning_rate, rel=0.01)


def test_a_machine_that_slows_down_half_way_is_noticed(tmp_path, hands):
    stage, steps = timed_stage(hands, lambda step: 1.0 if step < 150 else 3.0, epochs=100)
    run = timed_run(tmp_path, hands, stage, minutes=5, log_every=1)
    run.fit()
    assert hands.now <= 1.05 * 300
    assert 190 < len(steps) < 210
    rates = [record["learning_rates"]["model"] for record in records_of_log(tmp_path, "step")]
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.parametrize("validation", [0.2, 2.0])
def test_epochs_of_one_batch_end_in_their_time_too(tmp_path, hands, validation):
    stage, steps = timed_stage(hands, 2.0, epochs=100)
    limit = 60.0
    run = timed_run(tmp_path, hands, stage, validation=validation, minutes=1, batch=12)
    assert run.fit().finished
    assert 0.9 * limit < hands.now + TO_FINISH <= limit + 2.0 + validation
    assert len(steps) < 100


def test_what_passes_before_the_first_step_counts(tmp_path, hands):
    stage, steps = timed_stage(hands, 1.0, epochs=100)
    run = timed_run(tmp_path, hands, stage, minutes=200 / 60)
    hands.now = 100.0
    run.fit(began=0.0)
    assert hands.now <= 202
    assert 90 <= len(steps) <= 100


def test_an_interruption_does_not_count_and_what_came_before_it_does(tmp_path, hands):
    def stop_at_100(step):
        if step == 100:
            signal.raise_signal(signal.SIGTERM)
        return 1.0

    stage, steps = timed_stage(hands, stop_at_100, epochs=100)
    assert not timed_run(tmp_path, hands, stage, minutes=200 / 60).fit().finished
    hands.now += 10_000
    resumed_stage, more = timed_stage(hands, 1.0, epochs=100)
    resumed = timed_run(tmp_path, hands, resumed_stage, minutes=200 / 60)
    assert resumed.fit(resume=True).finished
    assert 190 <= len(steps) + len(more) <= 202


def test_a_time_that_is_over_at_once_still_gives_a_model(tmp_path, hands):
    stage, steps = timed_stage(hands, 100.0, epochs=100)
    run = timed_run(tmp_path, hands, stage, minutes=1)
    history = run.fit()
    assert history.finished
    assert len(steps) <= 3
    assert history.best is not None
    assert run.kept


def test_only_a_stage_of_seconds_may_come_before_the_one_that_is_cut_short(tmp_path):
    first, second = small_stage(), small_stage(name="second")
    encoder = first.model.encoder
    frozen = replace(first, frozen=(encoder,), encoder=encoder)
    for stage in (first, frozen):  # what is augmented is encoded in each epoch
        with pytest.raises(ConfigError, match=r"shortens the last stage .* one of the 2 of this"):
            Run(tmp_path, stage, second, minutes=1).fit()
    warm_start = replace(frozen, augmented=False)
    check_stages((warm_start, second), Training(minutes=1), Run(tmp_path).accelerator)


def test_a_stage_estimates_its_validation_until_it_had_one_also_when_it_is_resumed(
    tmp_path, monkeypatch
):
    """That of the warm start before it was of features, which is no measure for it."""
    seen = []
    stride = Clock.stride

    def spy(self, **left):
        seen.append(self.validation_seconds)
        return stride(self, **left)

    def two_stages():
        model = small_model()
        alone = {"frozen": (model.encoder,), "encoder": model.encoder, "augmented": False}
        return small_stage(model=model, name="warm", epochs=1, **alone), small_stage(
            model=model, name="main", epochs=2
        )

    monkeypatch.setattr(Clock, "stride", spy)
    run = Run(tmp_path, *two_stages(), minutes=100, save_minutes=0)
    steps = len(run.loaders(run.stages[0]))
    stop = Watcher(steps + 2, lambda: signal.raise_signal(signal.SIGTERM))
    assert not run.fit(display=stop).finished
    assert seen[-1] is None
    seen.clear()
    assert Run(tmp_path, *two_stages(), minutes=100).fit(resume=True).finished
    assert seen[0] is None
    assert seen[-1] is not None


def test_the_stride_by_hand(hands):
    timer = Clock(100 + TO_FINISH, validation_share=0.5)
    # 40 steps of 2 s; two validations of as many images as half an epoch, at half the price
    assert timer.stride(steps=39, batches=20, seconds_per_step=2.0) == 1.0  # 78 + 2 * 10
    timer.validation_seconds = 20.0
    # 78 + 40 do not fit: 39 steps at 2 + 20 / 20 each, in the 80 before the last validation
    assert timer.stride(steps=39, batches=20, seconds_per_step=2.0) == pytest.approx(117 / 80)
    hands.now = 90.0
    assert math.isinf(timer.stride(steps=40, batches=20, seconds_per_step=2.0))
    hands.now, timer.validation_seconds = 0.0, 9.0
    # after the last step of an epoch its validation is still to come
    assert timer.stride(steps=40, batches=20, seconds_per_step=2.0) > 1  # 80 + 3 * 9


class Listener:
    def __init__(self):
        self.said = []

    def __getattr__(self, _):
        return lambda *given, **__: self.said.extend(each for each in given if type(each) is str)


def test_the_sentence_says_what_was_left_out(tmp_path, hands):
    listener = Listener()
    stage, steps = timed_stage(hands, 2.0, epochs=100)
    timed_run(tmp_path, hands, stage, minutes=5).fit(display=listener)
    told = f"5 minutes left time for {len(steps)} of the 300 steps; the learning rate was brought"
    assert told in " ".join(listener.said)


def test_the_sentence_counts_what_was_left_out_before_an_interruption(tmp_path, hands):
    def stop_at_100(step):
        if step == 100:
            signal.raise_signal(signal.SIGTERM)
        return 2.0

    stage, steps = timed_stage(hands, stop_at_100, epochs=100)
    assert not timed_run(tmp_path, hands, stage, minutes=5).fit().finished
    listener = Listener()
    resumed_stage, more = timed_stage(hands, 2.0, epochs=100)
    resumed = timed_run(tmp_path, hands, resumed_stage, minutes=5)
    assert resumed.fit(resume=True, display=listener).finished
    made = len(steps) + len(more)
    assert f"5 minutes left time for {made} of the 300 steps" in " ".join(listener.said)


def test_a_time_that_was_over_too_early_is_not_called_enough(tmp_path, hands):
    listener = Listener()
    stage, steps = timed_stage(hands, 20.0, epochs=100)
    timed_run(tmp_path, hands, stage, minutes=1).fit(display=listener)
    told = f"60 seconds left time for {len(steps)} of the 300 steps; it was over before the"
    assert told in " ".join(listener.said)


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


def test_a_time_shorter_than_its_steps_is_not_called_enough(tmp_path, hands):
    listener = Listener()
    stage, steps = timed_stage(hands, 0.5)
    timed_run(tmp_path, hands, stage, minutes=0.001).fit(display=listener)
    told = f"0.06 seconds left time for {len(steps)} of the 9 steps; it was over before"
    assert told in " ".join(listener.said)


@pytest.mark.parametrize(
    ("minutes", "out"), [(None, False), (1, False), (0.25, True), (0.1, True)]
)
def test_a_run_is_out_of_time_where_no_epoch_more_would_have_fitted(tmp_path, hands, minutes, out):
    """Three epochs of three seconds, and four that are kept for the end."""
    stage, _ = timed_stage(hands, 1.0)
    run = timed_run(tmp_path, hands, stage, minutes=minutes)
    history = run.fit()
    assert history.is_out_of_time(minutes) == out
    hands.now += 100
    again = run.fit(resume=True)
    assert again.is_out_of_time(minutes) == out

"""A run whose time is limited ends in it, with its schedule at its end."""

import math
import signal
from dataclasses import replace

import pytest
from stopping import Watcher
from timed_runs import Listener, timed_run, timed_stage
from training_runs import Run, records_of_log, same, small_model, small_stage, state_of

from colabel.errors import ConfigError
from colabel.settings import Training
from colabel.training import check_stages
from colabel.training.clock import TO_FINISH, Clock


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


def test_the_sentence_says_what_was_left_out(tmp_path, hands):
    listener = Listener()
    stage, steps = timed_stage(hands, 2.0, epochs=100)
    timed_run(tmp_path, hands, stage, minutes=5).fit(display=listener)
    told = f"5 minutes left time for {len(steps)} of the 300 steps; the learning rate was brought"
    assert told in " ".join(listener.said)


def test_a_time_that_was_over_too_early_is_not_called_enough(tmp_path, hands):
    listener = Listener()
    stage, steps = timed_stage(hands, 20.0, epochs=100)
    timed_run(tmp_path, hands, stage, minutes=1).fit(display=listener)
    told = f"60 seconds left time for {len(steps)} of the 300 steps; it was over before the"
    assert told in " ".join(listener.said)


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

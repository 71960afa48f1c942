"""The range test takes the steps it says, and reads the right rates off a curve."""

import math

import numpy as np
import pytest
import torch
from training_runs import Run, same, small_model, small_stage, square_objective, state_of

from colabel.errors import ConfigError, NonFiniteLossError
from colabel.training import Objective, RangeTest, Term, range_test


def find(tmp_path, stage=None, settings=(), **options):
    run = Run(tmp_path, stage or small_stage(), **dict(settings))
    stage = run.stages[0]
    torch.manual_seed(0)  # of dropout
    return range_test(
        stage,
        run.loaders(stage),
        accelerator=run.accelerator,
        settings=run.settings,
        **options,
    )


def test_rates_grow_by_one_factor_and_every_loss_is_kept(tmp_path):
    told = []
    found = find(
        tmp_path, lowest=1e-6, highest=1e-3, steps=31, told=lambda *done: told.append(done)
    )
    rates = np.asarray(found.learning_rates)
    assert len(rates) == len(found.losses) == len(found.smoothed) == 31
    assert np.allclose(rates[1:] / rates[:-1], 10 ** (3 / 30))
    assert told == [(step, 31) for step in range(1, 32)]


def test_the_smoothed_loss_is_the_weighted_mean_of_the_losses_so_far(tmp_path):
    found = find(tmp_path, steps=12, highest=1e-4)
    for step in range(12):
        weights = [0.95 ** (step - before) for before in range(step + 1)]
        mean = sum(w * loss for w, loss in zip(weights, found.losses, strict=False)) / sum(weights)
        assert math.isclose(found.smoothed[step], mean, rel_tol=1e-9)


def test_the_optimiser_takes_the_steps_at_the_rates(tmp_path):
    """On the first step Adam moves every parameter by its learning rate, whatever the gradient."""
    stage = small_stage(objective=square_objective(), learning_rate=1e-2, head_learning_rate=1e-1)
    before = {name: value.clone() for name, value in stage.model.named_parameters()}
    found = find(tmp_path, stage, lowest=1e-5, highest=1.0001e-5, steps=10)
    assert found.head_multiple == pytest.approx(10)
    moved = {
        name: (value.detach() - before[name]).abs().max().item()
        for name, value in stage.model.named_parameters()
    }
    encoder = max(value for name, value in moved.items() if not name.startswith("head"))
    head = max(value for name, value in moved.items() if name.startswith("head"))
    assert 1e-5 < encoder < 1.2e-4  # ten steps of 1e-5 at most, and a little of Adam
    assert 1e-4 < head < 1.2e-3


def test_a_frozen_encoder_stays_as_it_is_and_is_not_named(tmp_path):
    model = small_model()
    stage = small_stage(
        model=model,
        objective=square_objective(),
        learning_rate=1e-3,
        head_learning_rate=3e-2,
        frozen=(model.encoder,),
    )
    encoder, head = state_of(model.encoder), state_of(model.head)
    found = find(tmp_path, stage, lowest=1e-3, highest=1e-2, steps=10)
    assert same(state_of(model.encoder), encoder)
    assert not same(state_of(model.head), head)
    assert (found.trained, found.head_multiple) == (("head",), pytest.approx(30))


@pytest.mark.parametrize(("given", "number"), [("x15", False), (0.003, True)])
def test_a_rate_of_the_head_that_is_a_number_is_known(tmp_path, given, number):
    stage = small_stage(learning_rate=2e-4, head_learning_rate=3e-3)
    found = find(tmp_path, stage, {"head_learning_rate": given}, highest=1e-4, steps=10)
    assert found.head_rate_is_number == number
    assert (found.trained, found.complete) == (("encoder", "head"), True)


def test_the_test_ends_where_the_loss_explodes(tmp_path):
    stage = small_stage(objective=square_objective(), head_learning_rate=1.0)
    found = find(tmp_path, stage, lowest=1e-6, highest=1e4, steps=60)
    assert 10 <= len(found.losses) < 60
    assert not found.complete
    assert found.smoothed[-1] > min(found.smoothed)


def test_a_loss_that_is_never_finite_is_an_error(tmp_path):
    objective = Objective((Term("bad", lambda logits, _: logits.sum() * torch.inf, 1.0, "sum"),))
    with pytest.raises(NonFiniteLossError, match="after 0 steps"):
        find(tmp_path, small_stage(objective=objective))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 0.0}, "0 < lowest < highest"),
        ({"lowest": 1.0, "highest": 0.1}, "0 < lowest < highest"),
        ({"highest": math.inf}, "0 < lowest < highest"),
        ({"steps": 9}, "at least 10 steps"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        find(tmp_path, **options)


def curve(function, count=101, multiple=1.0, **facts):
    rates = np.geomspace(1e-7, 1, count)
    losses = tuple(float(function(math.log10(rate))) for rate in rates)
    return RangeTest("fit", tuple(rates.tolist()), losses, losses, multiple, **facts)


def fall_and_wall(place):
    """A logistic fall around 1e-4, and a wall beyond 1e-2."""
    return 1 / (1 + math.exp(3 * (place + 4))) + 10 * max(place + 2, 0) ** 2


def fall(place):
    """A logistic fall around 1e-2, to the end of the range."""
    return 1 / (1 + math.exp(3 * (place + 2)))


def test_the_rates_are_read_off_a_known_curve():
    found = curve(fall_and_wall)
    assert found.steepest == pytest.approx(1e-4, rel=0.2)
    assert found.lowest == pytest.approx(1e-2, rel=0.25)
    assert found.suggested == pytest.approx(math.sqrt(1e-4 * found.lowest / 10), rel=0.05)
    assert found.changes == (f"training.learning_rate={found.suggested:.2g}",)
    assert found.finding == (
        f"the loss falls fastest at {found.steepest:.2g} and is lowest at {found.lowest:.2g}"
    )


def test_where_the_loss_falls_to_the_end_no_minimum_is_told_and_the_steepest_fall_suggests():
    found = curve(fall)
    assert found.lowest is None
    assert found.steepest == pytest.approx(1e-2, rel=0.2)
    assert found.suggested == float(f"{found.steepest:.2g}")
    assert found.finding == (
        f"the loss falls fastest at {found.steepest:.2g} and was still falling at the end of the "
        "range, 1"
    )


def test_what_falls_until_it_is_not_finite_any_more_has_its_minimum_there():
    found = curve(fall, complete=False)
    assert found.lowest == 1
    assert found.suggested == pytest.approx(math.sqrt(found.steepest / 10), rel=0.05)


@pytest.mark.parametrize(
    "function",
    [
        lambda place: place + 7,
        lambda _: 1.0,
        lambda place: (place + 6.9) ** 2,  # what falls before the running mean knows enough
    ],
)
def test_a_loss_that_does_not_fall_suggests_nothing(function):
    found = curve(function, head_rate_is_number=True)
    assert (found.lowest, found.steepest, found.suggested, found.changes) == (None, None, None, ())
    assert found.finding == "the loss did not fall at any rate from 1e-07 to 1"


def test_a_first_batch_of_little_loss_is_no_minimum():
    found = curve(lambda place: fall_and_wall(place) if place > -6.95 else 0.0)
    assert found.lowest == pytest.approx(1e-2, rel=0.25)


def test_a_rate_of_the_head_that_is_a_number_is_suggested_with_the_ratio_that_was_tested():
    found = curve(fall_and_wall, multiple=15.0, head_rate_is_number=True)
    rate, head = (float(change.partition("=")[2]) for change in found.changes)
    assert [change.partition("=")[0] for change in found.changes] == [
        "training.learning_rate", "training.head_learning_rate",
    ]  # fmt: skip
    assert (rate, head) == (found.suggested, found.suggested_head)
    assert head / rate == pytest.approx(15, rel=0.005)
    assert curve(fall_and_wall, multiple=15.0).suggested_head is None

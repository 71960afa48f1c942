"""The range test takes the steps it says, and reads the right rates off a curve."""

import math

import numpy as np
import pytest
import torch
from training_runs import Run, small_stage, square_objective

from colabel.errors import ConfigError, NonFiniteLossError
from colabel.training import Objective, RangeTest, Term, range_test


def find(tmp_path, stage=None, **options):
    run = Run(tmp_path, stage or small_stage())
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


def test_the_test_ends_where_the_loss_explodes(tmp_path):
    stage = small_stage(objective=square_objective(), head_learning_rate=1.0)
    found = find(tmp_path, stage, lowest=1e-6, highest=1e4, steps=60)
    assert 10 <= len(found.losses) < 60
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


def curve(function, count=101):
    rates = np.geomspace(1e-7, 1, count)
    losses = tuple(float(function(math.log10(rate))) for rate in rates)
    return RangeTest("fit", tuple(rates.tolist()), losses, losses, 1.0)


def test_the_rates_are_read_off_a_known_curve():
    """A logistic fall around 1e-4, and a wall beyond 1e-2."""
    found = curve(lambda place: 1 / (1 + math.exp(3 * (place + 4))) + 10 * max(place + 2, 0) ** 2)
    assert found.steepest == pytest.approx(1e-4, rel=0.2)
    assert found.lowest == pytest.approx(1e-2, rel=0.25)
    assert found.suggested == pytest.approx(math.sqrt(1e-4 * found.lowest / 10), rel=0.05)


def test_a_loss_that_only_rises_suggests_the_smallest_rates():
    found = curve(lambda place: place + 7)
    assert found.lowest == 1e-7
    assert found.suggested <= 1e-6

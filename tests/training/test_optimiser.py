import math

import pytest
import torch
from torch import nn

from colabel.training.optimiser import ParameterGroup, build_optimiser, build_schedule


def optimiser_of(model, *, learning_rate=0.1, weight_decay=0.0):
    group = ParameterGroup("model", (model,), learning_rate)
    return build_optimiser([group], weight_decay=weight_decay)


def test_decay_is_added_to_the_gradient_of_matrices_only():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))
    values = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    rate, decay = 0.01, 0.5
    optimiser = optimiser_of(model, learning_rate=rate, weight_decay=decay)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    optimiser.step()
    for name, parameter in model.named_parameters():
        gradient = 0.1 + (decay * values[name] if parameter.ndim > 1 else torch.zeros(()))
        # Adam's first step from the formula: both corrected moments are those of one gradient
        expected = values[name] - rate * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-7)


def test_frozen_parameters_are_left_out():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimiser = optimiser_of(model, weight_decay=0.1)
    assert [group["params"] for group in optimiser.param_groups] == [[model.weight]]


def cycle(steps, value, warm_up=0.2, peak=0.3):
    """Return a value of the optimiser at every step of the schedule."""
    optimiser = optimiser_of(nn.Linear(1, 1), learning_rate=peak)
    schedule = build_schedule(optimiser, steps=steps, warm_up=warm_up)
    seen = []
    for _ in range(steps):
        seen.append(value(optimiser.param_groups[0]))
        optimiser.step()
        schedule.step()
    return seen


def rates(steps, warm_up=0.2, peak=0.3):
    return cycle(steps, lambda group: group["lr"], warm_up, peak)


def cosine(start, stop, part):
    return stop + (start - stop) * (1 + math.cos(math.pi * part)) / 2


def test_the_schedule_is_two_half_cosines():
    steps, peak = 40, 0.3
    top, end = 0.2 * steps - 1, steps - 1
    for step, rate in enumerate(rates(steps, peak=peak)):
        expected = (
            cosine(peak / 25, peak, step / top)
            if step <= top
            else cosine(peak, peak / 25 / 1e4, (step - top) / (end - top))
        )
        assert math.isclose(rate, expected, rel_tol=1e-9)


def test_the_first_beta_cycles_between_0_95_and_0_85():
    steps = 40
    top, end = 0.2 * steps - 1, steps - 1
    for step, (first, second) in enumerate(cycle(steps, lambda group: group["betas"])):
        expected = (
            cosine(0.95, 0.85, step / top)
            if step <= top
            else cosine(0.85, 0.95, (step - top) / (end - top))
        )
        assert math.isclose(first, expected, rel_tol=1e-9)
        assert second == 0.999


@pytest.mark.parametrize("warm_up", [0.2, 0.25, 0.5])
@pytest.mark.parametrize("steps", range(1, 12))
def test_short_stages_have_a_schedule_too(steps, warm_up):
    assert all(0 < rate <= 0.3 + 1e-9 for rate in rates(steps, warm_up))

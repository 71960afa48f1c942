import math

import pytest
import torch
from stopping import Watcher, interrupt
from torch import nn
from training_runs import (
    Run,
    records_of_log,
    same,
    small_model,
    small_stage,
    square_objective,
    state_of,
)

from colabel.errors import RunError
from colabel.models import build_encoder
from colabel.training.optimiser import (
    ParameterGroup,
    build_optimiser,
    build_schedule,
    parameter_groups,
)


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


# --- groups


def first_step(model, optimiser, gradient=0.1):
    """Take Adam's first step with equal gradients; return the values before it."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    optimiser.step()
    return before


def test_encoder_and_head_step_with_their_own_learning_rates():
    """Adam's first step is the rate, in the direction of the gradient with its decay."""
    model, decay = small_model(), 0.5
    stage = small_stage(model=model, learning_rate=0.01, head_learning_rate=0.2)
    groups = parameter_groups(stage)
    assert [(group.name, group.learning_rate) for group in groups] == [
        ("encoder", 0.01),
        ("head", 0.2),
    ]
    before = first_step(model, build_optimiser(groups, weight_decay=decay))
    assert {name.split(".")[0] for name in before} == {"encoder", "head"}
    for name, parameter in model.named_parameters():
        rate = 0.2 if name.startswith("head.") else 0.01
        gradient = 0.1 + (decay * before[name] if parameter.ndim > 1 else torch.zeros(()))
        expected = before[name] - rate * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-6)


def test_with_one_rate_the_model_is_one_group():
    model = small_model()
    (group,) = parameter_groups(small_stage(model=model, learning_rate=0.3))
    assert (group.name, group.modules, group.learning_rate) == ("model", (model,), 0.3)


def test_of_a_frozen_encoder_only_the_head_is_left():
    model = small_model()
    model.encoder.requires_grad_(False)
    stage = small_stage(model=model, head_learning_rate=0.2)
    optimiser = build_optimiser(parameter_groups(stage), weight_decay=0.1)
    assert {group["name"] for group in optimiser.param_groups} == {"head"}
    trained = {id(each) for group in optimiser.param_groups for each in group["params"]}
    assert trained == {id(parameter) for parameter in model.head.parameters()}


def decayed(model, optimiser):
    """Names of the parameters that move without a gradient: by their decay alone."""
    before = first_step(model, optimiser, gradient=0.0)
    return {
        name
        for name, parameter in model.named_parameters()
        if not torch.equal(parameter.detach(), before[name])
    }


def test_what_a_backbone_keeps_from_decay_is_kept():
    """A transformer's embedding of positions and its class token, as timm lists them."""
    encoder = build_encoder("test_vit", options={"img_size": 32})
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(1.0)
    moved = decayed(encoder, optimiser_of(encoder, weight_decay=0.5))
    matrices = {name for name, each in encoder.named_parameters() if each.ndim >= 2}
    assert matrices - moved == {"backbone.pos_embed", "backbone.cls_token"}
    assert moved < matrices


class Table(nn.Module):
    """A matrix that decays and one that asks not to."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.ones(2, 2))
        self.second = nn.Parameter(torch.ones(2, 2))

    def no_weight_decay(self):
        return {"second", "there is none of this name"}


def test_a_module_within_another_may_keep_parameters_from_decay():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Table()))
    assert decayed(model, optimiser_of(model, weight_decay=0.5)) == {"0.weight", "1.0.first"}


def test_without_decay_nothing_moves_by_itself():
    model = nn.Sequential(nn.Linear(2, 2), Table())
    assert decayed(model, optimiser_of(model, weight_decay=0)) == set()


def test_every_group_cycles_to_its_own_peak():
    peaks, steps = {"encoder": 0.01, "head": 0.4}, 20
    stage = small_stage(learning_rate=peaks["encoder"], head_learning_rate=peaks["head"])
    optimiser = build_optimiser(parameter_groups(stage), weight_decay=0.1)
    schedule = build_schedule(optimiser, steps=steps, warm_up=0.2)
    expected = rates(steps, peak=1.0)
    for step in range(steps):
        assert len(optimiser.param_groups) == 4
        for group in optimiser.param_groups:
            rate = peaks[group["name"]] * expected[step]
            assert math.isclose(group["lr"], rate, rel_tol=1e-9)
        optimiser.step()
        schedule.step()
    assert max(expected) == 1.0


# --- groups in a run


def stage_of(**options):
    return small_stage(**({"learning_rate": 1e-3, "head_learning_rate": 5e-2} | options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("whole"), stage_of())
    run.fit()
    return run.folder, state_of(run.stages[0].model)


def learning_rates(folder):
    kinds = ("step", "epoch")
    return [record["learning_rates"] for kind in kinds for record in records_of_log(folder, kind)]


@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_a_resumed_run_goes_on_with_both_rates_to_the_same_bits(tmp_path, whole, step):
    folder, expected = whole
    assert not Run(tmp_path, stage_of()).fit(display=Watcher(step, interrupt)).finished
    resumed = Run(tmp_path, stage_of())
    assert resumed.fit(resume=True, seed=99).finished
    assert same(state_of(resumed.stages[0].model), expected)
    assert learning_rates(tmp_path) == learning_rates(folder)


def test_the_log_has_the_rate_of_every_group(whole):
    found = learning_rates(whole[0])
    assert all(each.keys() == {"encoder", "head"} for each in found)
    for each in found:
        assert math.isclose(each["head"], 50 * each["encoder"], rel_tol=1e-9)
    steps = [record["learning_rates"] for record in records_of_log(whole[0], "step")]
    assert math.isclose(steps[0]["encoder"], rates(9, peak=1e-3)[0], rel_tol=1e-9)
    assert math.isclose(steps[1]["encoder"], rates(9, peak=1e-3)[1], rel_tol=1e-9)


def test_the_rate_of_the_head_changes_the_result(tmp_path, whole):
    run = Run(tmp_path, stage_of(head_learning_rate=1e-3))
    run.fit()
    equal = Run(tmp_path / "equal", stage_of(head_learning_rate=None))
    equal.fit()
    assert not same(state_of(run.stages[0].model), whole[1])
    for name, tensor in state_of(equal.stages[0].model).items():
        torch.testing.assert_close(run.stages[0].model.state_dict()[name], tensor)


def test_a_run_is_not_resumed_with_another_rate_of_the_head(tmp_path):
    stage = stage_of(objective=square_objective())
    Run(tmp_path, stage).fit(display=Watcher(1, interrupt))
    with pytest.raises(RunError, match=r"head_learning_rate was 0\.05, is 0\.06"):
        Run(tmp_path, stage_of(head_learning_rate=0.06, objective=square_objective())).fit(
            resume=True
        )


@pytest.mark.parametrize("warm_up", [0.1, 0.2, 0.3])
def test_a_stage_of_one_or_two_steps_learns_something(warm_up):
    assert rates(1, warm_up)[0] > 0.3 / 2
    first, second = rates(2, warm_up)
    assert first > second > 0.3 / 10

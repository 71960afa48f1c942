"""Timing a step moves nothing, and costs what a step does."""

import torch
from training_runs import SIZE, same, small_stage, state_of

from colabel.settings import Training
from colabel.training import make_accelerator
from colabel.training.timing import REPEATS, measure_step


def test_the_weights_stay_and_every_step_is_a_whole_one():
    stage = small_stage(views=2)
    seen = []
    stage.model.register_forward_hook(
        lambda model, given, _: seen.append((model.training, tuple(given[0].shape)))
    )
    parameters = {name: value.clone() for name, value in stage.model.named_parameters()}
    taken = measure_step(
        stage,
        image_size=SIZE,
        accelerator=make_accelerator(mixed_precision="no", cpu=True),
        settings=Training(batch_size=4),
    )
    assert taken.step > 0
    assert taken.score > 0
    assert same(parameters, dict(stage.model.named_parameters()))
    assert all(parameter.grad is None for parameter in stage.model.parameters())
    trained = [shape for training, shape in seen if training]
    assert trained == [(8, 3, SIZE, SIZE)] * (REPEATS + 1)
    assert state_of(stage.model)
    assert torch.is_grad_enabled()

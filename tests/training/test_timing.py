"""Timing a step moves nothing, and costs what a step does."""

from dataclasses import replace

import pytest
import torch
from training_runs import SIZE, same, small_stage, state_of

from colabel.models import Classifier, Head, LinearHead, build_encoder
from colabel.settings import Training
from colabel.training import Objective, Term, make_accelerator, timing
from colabel.training.ema import Average
from colabel.training.timing import (
    HEAD_REPEATS,
    REPEATS,
    measure_head,
    measure_score,
    measure_step,
)


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


def test_smaller_batches_are_timed_and_scaled_where_time_is_short(monkeypatch):
    stage = small_stage(views=2)
    seen = []
    stage.model.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    now = [0.0]
    stage.model.register_forward_hook(  # a second for each image
        lambda _, given, __: now.__setitem__(0, now[0] + len(given[0]))
    )
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    options = {
        "image_size": SIZE,
        "accelerator": make_accelerator(mixed_precision="no", cpu=True),
        "settings": Training(batch_size=8),
    }
    whole = measure_step(stage, **options)
    assert max(seen) == 16
    seen.clear()
    limited = measure_step(stage, **options, limit=100)
    assert max(seen) == 4
    assert limited == whole  # as this machine takes nothing but time for images
    seen.clear()
    measure_step(stage, **options, limit=-1)
    assert set(seen) == {2}


def test_steps_are_taken_in_the_precision_of_training_one_after_the_other():
    stage, found = small_stage(), set()
    stage.model.encoder.register_forward_hook(
        lambda model, *_: found.add((model.training, torch.is_autocast_enabled("cpu")))
    )
    for precision in ("no", "bf16", "no", "bf16"):
        found.clear()
        measure_step(
            stage,
            image_size=SIZE,
            accelerator=make_accelerator(mixed_precision=precision, cpu=True),
            settings=Training(batch_size=4),
        )
        assert {in_half for training, in_half in found if training} == {precision == "bf16"}
    found.clear()
    stage.model(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8))
    assert {in_half for _, in_half in found} == {False}  # as it was before


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_what_follows_the_frozen_stages_is_timed_alone(precision):
    encoder = build_encoder("test_efficientnet", freeze_stages=3)
    encoder.find_halfway(64)
    stage, seen = small_stage(model=Classifier(encoder, Head(LinearHead(encoder.width, 3)))), []
    stage = replace(stage, objective=Objective((Term("size", lambda logits, _: logits.sum()),)))
    for part in (encoder.backbone.conv_stem, encoder.backbone.conv_head):
        part.register_forward_hook(
            lambda part, given, _: seen.append((part.training, part.stride[0], len(given[0])))
        )
    taken = measure_step(
        stage,
        image_size=64,
        accelerator=make_accelerator(mixed_precision=precision, cpu=True),
        settings=Training(batch_size=4),
        halfway=True,
    )
    assert taken.step > 0
    trained = [(stride, images) for training, stride, images in seen if training]
    assert trained.count((1, 4)) == REPEATS + 1
    assert all(images == 1 for stride, images in trained if stride == 2)


@pytest.mark.parametrize("decay", [0, 0.9])
def test_a_step_has_the_average_of_the_run(decay, monkeypatch):
    updated = []
    monkeypatch.setattr(Average, "update", lambda *_: updated.append(1))
    measure_step(
        small_stage(),
        image_size=SIZE,
        accelerator=make_accelerator(mixed_precision="no", cpu=True),
        settings=Training(batch_size=4, ema_decay=decay),
    )
    assert len(updated) == (REPEATS + 1 if decay else 0)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_head_is_timed_on_what_its_encoder_gave_once(precision):
    encoder = build_encoder("test_efficientnet")
    model, seen = Classifier(encoder, Head(LinearHead(encoder.width, 3))), []
    encoder.register_forward_hook(
        lambda encoder, given, _: seen.append((encoder.training, len(given[0])))
    )
    stage = replace(
        small_stage(model=model),
        objective=Objective((Term("size", lambda logits, _: logits.sum()),)),
        frozen=(encoder,),
        encoder=encoder,
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps = []
    model.head.register_forward_hook(lambda head, *_: steps.append(head.training))
    taken = measure_head(
        stage,
        image_size=64,
        accelerator=make_accelerator(mixed_precision=precision, cpu=True),
        settings=Training(batch_size=4),
    )
    assert taken > 0
    assert seen == [(False, 4)]
    assert sum(steps) == HEAD_REPEATS + 1
    assert same(before, dict(model.state_dict()))


def test_scoring_has_the_precision_of_training():
    stage, found = small_stage(), []
    stage.model.register_forward_hook(lambda *_: found.append(torch.is_autocast_enabled("cpu")))
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    for precision in ("no", "bf16"):
        accelerator = make_accelerator(mixed_precision=precision, cpu=True)
        assert measure_score(stage.model, images, accelerator) > 0
    assert found == [False] * REPEATS + [True] * REPEATS

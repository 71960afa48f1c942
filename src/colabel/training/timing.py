"""The time of a training step and of scoring an image, measured on made-up images."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import median

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from colabel.models import Classifier, Encoder, Features
from colabel.settings import Training
from colabel.training.distributed import prepare_model, release_model
from colabel.training.ema import build_average
from colabel.training.memory import TO_TRAIN, explained_memory
from colabel.training.optimiser import build_optimiser, parameter_groups
from colabel.training.stage import Stage
from colabel.training.step import compute_gradients

REPEATS = 4
"""Steps that are timed after a first one, of which the median counts."""
HEAD_REPEATS = 20
"""The same of a head alone, whose steps take milliseconds."""
_TRAINING_PASSES = 3
"""What a step takes, in times of scoring its images."""


@dataclass(frozen=True)
class StepTime:
    """What a model takes on this machine.

    Args:
        step: seconds of a training step.
        score: seconds in which an image is scored, in a batch.
    """

    step: float
    score: float


def measure_step(
    stage: Stage,
    *,
    image_size: int,
    accelerator: Accelerator,
    settings: Training,
    limit: float = math.inf,
    halfway: bool = False,
) -> StepTime:
    """Take some steps with random images and no learning, and time them.

    Args:
        stage: whose model is on the device and stays as it is.
        image_size: side of the images, in pixels.
        accelerator: from :func:`colabel.training.make_accelerator`.
        settings: of them the size of a batch, weight decay, the average of the weights,
            accumulation and clipping.
        limit: seconds that this may take. Where whole batches would take longer, smaller ones
            are timed and scaled; two images are always timed.
        halfway: time what follows the frozen first stages alone, which
            :meth:`colabel.models.Encoder.find_halfway` has found.

    Returns:
        Seconds.
    """
    model, device = stage.model, accelerator.device
    whole = settings.batch_size * stage.views
    shape = (whole, 3, image_size, image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    began = time.perf_counter()
    score = measure_score(model, _given(model, images[:2], accelerator, halfway), accelerator)
    passes = REPEATS + _TRAINING_PASSES * (REPEATS + 1)
    affordable = (limit - (time.perf_counter() - began)) / (passes * score)
    rows = int(min(max(affordable, 2), whole))
    rows = max(rows // stage.views, 1) * stage.views
    given = _given(model, images[:rows], accelerator, halfway)
    step = _median_step(stage, given, accelerator, settings, REPEATS) * whole / rows
    return StepTime(step, measure_score(model, given, accelerator))


def measure_head(
    stage: Stage, *, image_size: int, accelerator: Accelerator, settings: Training
) -> float:
    """Take some steps of a head alone, on what its encoder gave before, and time them.

    Args:
        stage: whose encoder is frozen; its model is on the device and stays as it is.
        image_size: side of the images, in pixels.
        accelerator: from :func:`colabel.training.make_accelerator`.
        settings: as for :func:`measure_step`.

    Returns:
        Seconds of a step.
    """
    assert stage.encoder is not None
    shape = (settings.batch_size, 3, image_size, image_size)
    images = torch.zeros(shape, dtype=torch.uint8, device=accelerator.device)
    stage.model.eval()
    with torch.no_grad(), accelerator.autocast():
        features = stage.encoder(images)
    return _median_step(stage, features, accelerator, settings, HEAD_REPEATS)


def _median_step(
    stage: Stage,
    given: Tensor | Features,
    accelerator: Accelerator,
    settings: Training,
    repeats: int,
) -> float:
    """Return the seconds of a step that learns nothing."""
    model, rows = stage.model, len(given)
    model.eval()
    with torch.inference_mode(), accelerator.autocast():
        classes = model(given.chunk(max(rows // 2, 1))[0]).logits.shape[1]
    targets = torch.zeros(rows, classes, dtype=torch.int8, device=accelerator.device)
    targets[:, 0] = 1
    optimiser = build_optimiser(parameter_groups(stage), weight_decay=settings.weight_decay)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    average = build_average(model, settings.ema_decay, frozen=stage.frozen)
    prepared = accelerator.prepare_optimizer(optimiser)
    trained = prepare_model(model, accelerator)  # whose forward pass has the precision
    steps = []
    with explained_memory(TO_TRAIN, lambda: "nothing was trained yet"):
        model.train()
        for _ in range(repeats + 1):
            began = time.perf_counter()
            compute_gradients(  # what it returns is on the processor, so a device has finished
                trained,
                stage.objective,
                given,
                targets,
                accelerator=accelerator,
                optimiser=prepared,
                parts=min(settings.accumulation, rows),
                clip=settings.clip_gradient,
            )
            prepared.step()
            prepared.zero_grad()
            if average is not None:
                average.update(model)
            steps.append(time.perf_counter() - began)
    release_model(trained, accelerator)
    return median(steps[1:])


def _given(
    model: nn.Module, images: Tensor, accelerator: Accelerator, halfway: bool
) -> Tensor | Features:
    """Return what the model is given of images: themselves, or what its frozen stages give."""
    if not halfway:
        return images
    assert isinstance(model, Classifier)
    assert isinstance(model.encoder, Encoder)
    model.eval()
    with torch.no_grad(), accelerator.autocast():
        return model.encoder.encode_halfway(images)


def measure_score(model: nn.Module, images: Tensor | Features, accelerator: Accelerator) -> float:
    """Return the seconds in which an image is scored, in a batch of these.

    Args:
        model: on the device; left in evaluation mode.
        images: shape (batch, 3, height, width), on the device, or what an encoder gave for them.
        accelerator: whose precision counts.
    """
    model.eval()
    taken = []
    with torch.inference_mode(), accelerator.autocast():
        for _ in range(REPEATS):
            began = time.perf_counter()
            model(images).logits.sum().item()
            taken.append((time.perf_counter() - began) / len(images))
    return median(taken[1:])

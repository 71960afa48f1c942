"""What runs cost: what their folders say of it, and how fast they are if that is asked for."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from colabel.models import Cost
from colabel.runs.description import Description
from colabel.runs.folder import RunFolder
from colabel.training import make_accelerator
from colabel.training.log import read_log
from colabel.workflows.cost import cost
from colabel.workflows.predict import load_predictor

_BATCH, _PASSES = 32, 5


def costs_of(folders: Sequence[Path], descriptions: Sequence[Description]) -> list[Cost]:
    """Count parameters and operations of each model, once for models that are built alike."""
    counted: dict[str, Cost] = {}
    answer = []
    for folder, description in zip(folders, descriptions, strict=True):
        built = description.model_dump(mode="json", include={"head", "encoder", "image_size"})
        key = json.dumps([built, len(description.classes)], sort_keys=True)
        if key not in counted:
            counted[key] = cost(str(folder.absolute()))
        answer.append(counted[key])
    return answer


def timings_of(folder: Path) -> dict[str, float | None]:
    """Return seconds of training, validation included, and the peak of the memory in MB.

    ``None`` where the log does not say.
    """
    path = RunFolder(folder).log
    epochs = [
        line for line in (read_log(path) if path.is_file() else ()) if line.get("kind") == "epoch"
    ]
    seconds = [line.get(key) for line in epochs for key in ("seconds", "validation_seconds")]
    peaks = [peak for line in epochs if (peak := line.get("peak_memory_mb")) is not None]
    return {
        "training_seconds": sum(filter(None, seconds)) if epochs else None,
        "peak_memory_mb": max(peaks, default=None),
    }


def images_per_second(folder: Path, *, cpu: bool) -> float:
    """Measure a run's model on batches of 32 images that are in memory already.

    Args:
        folder: of the run.
        cpu: do not use an accelerator.

    Returns:
        The median of five passes, after one that does not count.
    """
    device = make_accelerator(cpu=cpu).device
    predictor = load_predictor(folder, device)
    size = predictor.description.image_size
    images = torch.randint(
        256, (_BATCH, 3, size, size), dtype=torch.uint8, generator=torch.Generator()
    ).to(device)
    seconds = []
    with torch.inference_mode():
        for _ in range(_PASSES + 1):
            began = time.perf_counter()
            logits = predictor.model(images).logits
            logits.sum().item()  # waits for the device
            seconds.append(time.perf_counter() - began)
    return _BATCH / statistics.median(seconds[1:])


def describe_cost(cost: Cost) -> dict[str, Any]:
    """Return the counts that a comparison shows."""
    return {"parameters": cost.parameters, "macs": cost.macs}

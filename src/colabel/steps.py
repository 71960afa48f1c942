"""Steps that training and evaluation share: decodable records in, scored predictions out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from colabel.config import Config
from colabel.data import Records
from colabel.data.check import verify_images
from colabel.data.dataset import without_corrupt
from colabel.metrics import Report
from colabel.predictions import Predictions, score_predictions, write_metrics
from colabel.training import Collected, Display


def absolute_source(source: str) -> str:
    """Make the path of a source absolute, so that the run finds it from any folder."""
    name, colon, folder = source.partition(":")
    if colon and not Path(source).exists():
        return f"{name}:{Path(folder).expanduser().absolute()}"
    return source if source == "shapes" else str(Path(source).expanduser().absolute())


def with_source(config: Config, source: str | None) -> Config:
    """Return the configuration with its source, or another one, as absolute path."""
    path = absolute_source(config.data.source if source is None else source)
    return config.model_copy(update={"data": config.data.model_copy(update={"source": path})})


def decodable(
    records: Records,
    split: str,
    config: Config,
    accelerator: Accelerator,
    display: Display | None,
) -> Records:
    """Decode every image once on the main process, and stop or leave out as the user asked."""
    corrupt: list[list[tuple[int, str]]] = [[]]
    if config.data.verify and accelerator.is_main_process:
        if display is not None:
            display.note(f"{split}: decoding {len(records)} images once")
        corrupt = [verify_images(records)]
    if accelerator.num_processes > 1:
        broadcast_object_list(corrupt)
    return without_corrupt(records, corrupt[0], on_corrupt=config.data.on_corrupt)


def reading_processes(config: Config, accelerator: Accelerator) -> int:
    """Return the processes that read images for this process."""
    if config.training.workers is not None:
        return config.training.workers
    cores: int | None = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    processes: int = accelerator.num_processes
    return max(0, min(8, (cores or 1) // processes - 1))


def name_predictions(collected: Collected, records: Records, split: str) -> Predictions:
    """Name the rows that came back from the model."""
    extra = {} if collected.variance is None else {"variance": collected.variance}
    return Predictions(
        ids=tuple(records.ids[index] for index in collected.indices),
        classes=records.classes,
        logits=np.asarray(collected.logits, dtype=np.float32),
        targets=collected.targets,
        split=split,
        extra=extra,
    )


def write_results(predictions: Predictions, folder: Path, config: Config, *, main: bool) -> Report:
    """Score predictions and write both into the run."""
    report = score_predictions(
        predictions,
        thresholds=config.evaluation.threshold,
        protocol=config.evaluation.protocol,
    )
    if main:
        predictions.save(folder / f"predictions-{predictions.split}.npz")
        write_metrics(report, folder / f"metrics-{predictions.split}.json")
    return report

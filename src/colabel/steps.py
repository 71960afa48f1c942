"""Steps that training and evaluation share: decodable records in, scored predictions out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from colabel.build import PRETRAINED
from colabel.config import Config
from colabel.data import UNKNOWN, Records
from colabel.data.check import verify_images
from colabel.data.dataset import without_corrupt
from colabel.errors import DataError
from colabel.metrics import Report
from colabel.predictions import Predictions, write_metrics
from colabel.training import Collected, Display


def absolute_source(source: str) -> str:
    """Make the path of a source absolute, so that the run finds it from any folder."""
    name, colon, folder = source.partition(":")
    if colon and not Path(source).exists():
        return f"{name}:{Path(folder).expanduser().absolute()}"
    return source if source == "shapes" else str(Path(source).expanduser().absolute())


def with_absolute_paths(config: Config, source: str | None) -> Config:
    """Return the configuration with its source, or another one, and all paths absolute."""
    data, encoder = config.data, config.encoder
    options = {
        key: str(Path(value).expanduser().absolute())
        if key in ("images", "splits") and isinstance(value, str)
        else value
        for key, value in data.options.items()
    }
    path = absolute_source(data.source if source is None else source)
    weights = encoder.weights
    if weights is not None and weights != PRETRAINED:
        weights = str(Path(weights).expanduser().absolute())
    return config.model_copy(
        update={
            "data": data.model_copy(update={"source": path, "options": options}),
            "encoder": encoder.model_copy(update={"weights": weights}),
        }
    )


def decodable(
    records: Records,
    split: str,
    config: Config,
    accelerator: Accelerator,
    display: Display | None,
    *,
    on_corrupt: Literal["stop", "skip"] | None = None,
) -> Records:
    """Decode every image once on the main process, and stop or leave out as the user asked."""
    corrupt: list[list[tuple[int, str]]] = [[]]
    if (config.data.verify or on_corrupt == "skip") and accelerator.is_main_process:
        if display is not None:
            display.note(f"{split}: decoding {len(records)} images once")
        corrupt = [verify_images(records)]
    if accelerator.num_processes > 1:
        broadcast_object_list(corrupt)
    return without_corrupt(records, corrupt[0], on_corrupt=on_corrupt or config.data.on_corrupt)


def with_classes(records: Records, classes: Sequence[str], source: str) -> Records:
    """Return records with the labels of a model, in its order.

    Args:
        records: images and labels.
        classes: what the model knows.
        source: for messages.

    Returns:
        The records; a label they do not have is unknown (-1), which a note says.

    Raises:
        DataError: if they have a label that the model does not know.
    """
    strangers = [name for name in records.classes if name not in classes]
    if strangers:
        raise DataError(
            f"{source} has labels that the model does not know: {', '.join(strangers)}; it knows "
            f"{', '.join(classes)}. Rename or remove them."
        )
    missing = [name for name in classes if name not in records.classes]
    targets = np.full((len(records), len(classes)), UNKNOWN, dtype=np.int8)
    for column, name in enumerate(records.classes):
        targets[:, classes.index(name)] = records.targets[:, column]
    notes = records.notes
    if missing:
        notes = (
            *notes,
            f"labels that the data does not have, taken as unknown: {', '.join(missing)}",
        )
    return replace(records, targets=targets, classes=tuple(classes), notes=notes)


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


def describe_data(config: Config, records: Records) -> dict[str, Any]:
    """Return what metrics say of the images they were measured on."""
    return {
        "source": config.data.source,
        "fingerprint": records.fingerprint(),
        "notes": list(records.notes),
    }


def write_results(
    predictions: Predictions,
    report: Report,
    folder: Path,
    data: Mapping[str, Any],
    *,
    suffix: str = "",
) -> Path:
    """Write predictions and their metrics into a run, and return the path of the metrics."""
    name = f"{predictions.split}{suffix}"
    predictions.save(folder / f"predictions-{name}.npz")
    path = folder / f"metrics-{name}.json"
    write_metrics(report, path, {"split": predictions.split, "data": data})
    return path

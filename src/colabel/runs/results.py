"""Predictions and metrics of a split, written into a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from colabel.config import Config
from colabel.data import Records
from colabel.metrics import Report
from colabel.runs.predictions import Predictions, write_metrics
from colabel.training import Collected


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

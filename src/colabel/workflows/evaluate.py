"""Measure a run's model on a split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from colabel.figures import per_class_chart
from colabel.metrics import Report
from colabel.runs.folder import RunFolder
from colabel.runs.measured import Measured, measure
from colabel.runs.results import describe_data
from colabel.workflows.predicted_split import predict_split


@dataclass(frozen=True)
class Evaluated:
    """A model measured on a split.

    Args:
        measured: every metric, by the papers' protocol and at the operating point.
        path: of the metrics in the run; the predictions lie beside them.
        chart: picture of the metrics per class, in the run too.
        notes: what happened to the data on the way, such as images left out.
        reading: how a table was read that the model was not trained on, a line each.
    """

    measured: Measured
    path: Path
    chart: Path
    notes: tuple[str, ...]
    reading: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        """Every metric by the papers' protocol: the sigmoid of the logits, one threshold."""
        return self.measured.report


def evaluate(
    folder: Path | str,
    *,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    missing_labels: Literal["absent", "unknown"] | None = None,
    split: str = "test",
    cpu: bool = False,
    workers: int | None = None,
    on_corrupt: Literal["stop", "skip"] | None = None,
    max_pixels: int | None = None,
) -> Evaluated:
    """Measure a run's model on a split; write predictions, metrics and a picture into the run.

    Args:
        folder: of the run.
        data: source of the images; default: the one it was trained on. Labels are matched by name.
        options: of the source's reader, by name. Those of training are used for the source of
            training; for another one, only those that say what labels mean, which a note says.
        missing_labels: what a label of the model is that the source does not have: "unknown",
            which leaves it out of every metric, or "absent" from every image. ``None`` goes by
            the source: absent where each image has a list of its labels, since a list is
            complete; unknown where labels have columns and this one has none.
        split: ``test``, ``val`` or another split of the source.
        cpu: do not use an accelerator.
        workers: processes that read images; default: the run's setting.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.
        max_pixels: width times height above which no image is decoded; default: the run's setting.

    Returns:
        The metrics and where they are: ``metrics-<split>.json``, and ``per-class-<split>.png``,
        with the name of the data added if it is not the run's own.

    Raises:
        RunError: if the folder holds no usable model.
        ConfigError: if an option is unknown or of another type.
        DataError: if the split does not exist or has labels that the model does not know.
    """
    predicted = predict_split(
        folder,
        data=data,
        options=options,
        missing_labels=missing_labels,
        split=split,
        cpu=cpu,
        workers=workers,
        on_corrupt=on_corrupt,
        max_pixels=max_pixels,
    )
    run, config, records = RunFolder(Path(folder)), predicted.config, predicted.records
    measured = measure(
        predicted.predictions,
        predicted.description.operating_point,
        threshold=config.evaluation.threshold,
        protocol=config.evaluation.protocol,
    )
    path = run.metrics_file(split, predicted.suffix)
    chart = run.chart_file(split, predicted.suffix)
    if predicted.is_main:
        facts = describe_data(config, records)
        run.write_measured(predicted.predictions, measured, facts, suffix=predicted.suffix)
        per_class_chart(measured.at_point, chart)
    return Evaluated(measured, path, chart, records.notes, predicted.reading)

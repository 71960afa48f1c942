"""What the command line does, as functions: train, evaluate, load, cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from colabel import run as runs
from colabel.build import build_described, load_predictor, open_source, open_training_data
from colabel.config import Config, load_config
from colabel.data import Records
from colabel.data.dataset import EvaluationImages
from colabel.data.loader import evaluation_loader
from colabel.errors import ConfigError, DataError, RunError, nearest
from colabel.metrics import Report
from colabel.models import Cost, cost_of_model, list_encoders
from colabel.models import cost as cost_of_encoder
from colabel.models.heads import Covariance
from colabel.predict import Predictor
from colabel.predictions import score_predictions
from colabel.steps import (
    absolute_source,
    decodable,
    describe_data,
    name_predictions,
    reading_processes,
    with_absolute_paths,
    with_classes,
    write_results,
)
from colabel.training import collect_logits, make_accelerator, prepare_evaluation
from colabel.training_run import Trained, train

__all__ = ["Evaluated", "Trained", "cost", "evaluate", "load", "open_for_check", "train"]


@dataclass(frozen=True)
class Evaluated:
    """A model measured on a split.

    Args:
        report: every metric.
        path: of the metrics in the run; the predictions lie beside them.
        notes: what happened to the data on the way, such as images left out.
    """

    report: Report
    path: Path
    notes: tuple[str, ...]


def evaluate(
    folder: Path | str,
    *,
    data: str | None = None,
    split: str = "test",
    cpu: bool = False,
    workers: int | None = None,
    on_corrupt: Literal["stop", "skip"] | None = None,
) -> Evaluated:
    """Measure a run's model on a split, and write predictions and metrics into the run.

    Args:
        folder: of the run.
        data: source of the images; default: the one it was trained on. Labels are matched by name.
        split: ``test``, ``val`` or another split of the source.
        cpu: do not use an accelerator.
        workers: processes that read images; default: the run's setting.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.

    Returns:
        The metrics and where they are: ``metrics-<split>.json``, with the name of the data added
        if it is not the run's own.

    Raises:
        RunError: if the folder holds no usable model.
        DataError: if the split does not exist or has labels that the model does not know.
    """
    folder = Path(folder)
    predictor = load_predictor(folder)
    description = predictor.description
    if not (folder / runs.CONFIG).is_file():
        raise RunError(f"{folder} holds no {runs.CONFIG}; copy the whole run folder.")
    trained = load_config(folder / runs.CONFIG)
    config = with_absolute_paths(trained, data)
    try:
        records = _records_of(config, folder, split)
    except DataError as error:
        if data is None:
            raise DataError(f"{error} If the data has moved, say where to with --data.") from error
        raise
    records = with_classes(records, description.classes, config.data.source)
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    records = decodable(records, split, config, accelerator, None, on_corrupt=on_corrupt)
    loader = prepare_evaluation(
        evaluation_loader(
            EvaluationImages(records, size=description.image_size),
            batch_size=config.evaluation.batch_size,
            workers=reading_processes(config, accelerator) if workers is None else workers,
        ),
        accelerator,
    )
    model = predictor.model.to(accelerator.device)
    predictions = name_predictions(collect_logits(model, loader, accelerator), records, split)
    report = score_predictions(
        predictions, thresholds=list(description.thresholds), protocol=config.evaluation.protocol
    )
    own = config.data.source == trained.data.source
    suffix = "" if own else f"-{Path(config.data.source.split(':')[-1]).stem}"
    path = folder / f"metrics-{split}{suffix}.json"
    if accelerator.is_main_process:
        facts = describe_data(config, records)
        path = write_results(predictions, report, folder, facts, suffix=suffix)
    return Evaluated(report, path, records.notes)


def load(folder: Path | str, *, device: str = "cpu") -> Predictor:
    """Load the model of a run, to be used without the data it was trained on.

    Args:
        folder: of the run.
        device: where it is to run: "cpu", "cuda", ...

    Returns:
        A predictor: ``predictor.predict(images)``.

    Raises:
        RunError: if the folder holds no usable model.
    """
    return load_predictor(Path(folder), device)


def cost(
    model: str,
    *,
    classes: int | None = None,
    image_size: int | None = None,
    covariance: Covariance | Literal["linear"] | None = None,
) -> Cost:
    """Count parameters and multiply-accumulates of a run's model, or of one with an encoder.

    Args:
        model: folder of a run, or the name of a backbone in timm.
        classes: number of labels; needed with a backbone, known of a run.
        image_size: side of the square images, in pixels; default: the run's, 224 with a backbone.
        covariance: form of the kernels' covariance, ``"isotropic"`` by default, or ``"linear"``
            for a plain classifier; known of a run.

    Returns:
        Plain numbers, also as the papers count. A run costs what is left of it at inference.

    Raises:
        ConfigError: if something is missing, or given although the run says it.
        RunError: if the folder holds no usable model.
    """
    if not _is_run(model):
        if classes is None:
            raise ConfigError(
                f"{model}: how many labels? Add --classes N, or give the folder of a run, which "
                "knows its own."
            )
        return cost_of_encoder(
            model,
            image_size=224 if image_size is None else image_size,
            classes=classes,
            covariance=covariance or "isotropic",
        )
    given = [
        f"--{name} {value}"
        for name, value in (("classes", classes), ("covariance", covariance))
        if value is not None
    ]
    if given:
        raise ConfigError(
            f"{model} is the folder of a run, which says itself what its model is; leave out "
            f"{' and '.join(given)}."
        )
    description = runs.load_description(Path(model))
    with torch.random.fork_rng(devices=[]):  # counting must not shift a caller's random numbers
        classifier = build_described(description)
    return cost_of_model(
        classifier, image_size=description.image_size if image_size is None else image_size
    )


def _is_run(model: str) -> bool:
    """Tell a run's folder from the name of a backbone, which may be that of a folder too."""
    folder = Path(model)
    return (
        len(folder.parts) > 1
        or (folder / runs.DESCRIPTION).is_file()
        or (folder.is_dir() and not list_encoders(model))
    )


def open_for_check(source: str, options: Iterable[str] = ()) -> dict[str, Records]:
    """Read every split of a source, also where training would stop.

    Args:
        source: as for :func:`train`.
        options: of the reader, ``name=value``.

    Returns:
        Records by split name.

    Raises:
        ColabelError: if the source cannot be read at all.
    """
    changes = [f"data.options.{option}" for option in options]
    config = load_config("shapes-kmcl", changes, data__source=absolute_source(source))
    return open_source(config.data)


def _records_of(config: Config, folder: Path, split: str) -> Records:
    """Return a split of the source; validation, and a made division, as training had them."""
    division = folder / runs.SPLIT
    if split == "val":
        return open_training_data(config.data, seed=config.training.seed, split_file=division)[
            "val"
        ]
    name = config.data.test if split == "test" else split
    opened = open_source(config.data, (name,))
    if "all" in opened and name != "all" and division.is_file():
        opened = open_training_data(config.data, seed=config.training.seed, split_file=division)
    if name not in opened:
        raise DataError(f"{config.data.source} has no split {name!r}; {nearest(name, opened)}")
    return opened[name]

"""What the command line does, as functions: train, evaluate, load."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from colabel import run as runs
from colabel.build import load_predictor, open_source, open_training_data
from colabel.config import Config, load_config
from colabel.data import Records
from colabel.data.dataset import EvaluationImages
from colabel.data.loader import evaluation_loader
from colabel.errors import DataError, RunError, nearest
from colabel.metrics import Report
from colabel.predict import Predictor
from colabel.steps import (
    absolute_source,
    decodable,
    name_predictions,
    reading_processes,
    with_source,
    write_results,
)
from colabel.training import collect_logits, make_accelerator, prepare_evaluation
from colabel.training_run import Trained, train

__all__ = ["Trained", "evaluate", "load", "open_for_check", "train"]


def evaluate(
    folder: Path | str,
    *,
    data: str | None = None,
    split: str = "test",
    cpu: bool = False,
    workers: int | None = None,
) -> Report:
    """Measure a run's model on a split, and write predictions and metrics into the run.

    Args:
        folder: of the run.
        data: source of the images; default: the one it was trained on.
        split: ``test``, ``val`` or another split of the source.
        cpu: do not use an accelerator.
        workers: processes that read images; default: the run's setting.

    Returns:
        Every metric; also written as ``metrics-<split>.json``, with ``predictions-<split>.npz``.

    Raises:
        RunError: if the folder holds no usable model.
        DataError: if the split does not exist or its classes are not the model's.
    """
    folder = Path(folder)
    predictor = load_predictor(folder)
    if not (folder / runs.CONFIG).is_file():
        raise RunError(f"{folder} holds no {runs.CONFIG}; copy the whole run folder.")
    config = with_source(load_config(folder / runs.CONFIG), data)
    records = _records_of(config, folder, split)
    classes = predictor.classes
    if records.classes != classes:
        raise DataError(
            f"{config.data.source} has the classes {', '.join(records.classes)}; the model in "
            f"{folder} knows {', '.join(classes)}. Expected the same classes in the same order."
        )
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    records = decodable(records, split, config, accelerator, None)
    loader = prepare_evaluation(
        evaluation_loader(
            EvaluationImages(records, size=config.data.image_size),
            batch_size=config.evaluation.batch_size,
            workers=reading_processes(config, accelerator) if workers is None else workers,
        ),
        accelerator,
    )
    model = predictor.model.to(accelerator.device)
    predictions = name_predictions(collect_logits(model, loader, accelerator), records, split)
    return write_results(predictions, folder, config, main=accelerator.is_main_process)


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

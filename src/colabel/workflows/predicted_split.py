"""What a run's model says of a split, and the images it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator

from colabel.build.batches import reading_processes
from colabel.build.division import open_training_data
from colabel.build.options import options_of_another
from colabel.build.records import decodable, with_classes
from colabel.build.source import open_source, options_of_source
from colabel.config import Config
from colabel.config.paths import absolute_source, is_own_source, with_absolute_paths
from colabel.data import Records
from colabel.data.dataset import EvaluationImages
from colabel.data.images import read_with
from colabel.data.loader import evaluation_loader
from colabel.errors import DataError, UnusedOptionError, nearest
from colabel.models import Classifier
from colabel.runs.description import Description
from colabel.runs.folder import RunFolder
from colabel.runs.identity import weights_fingerprint
from colabel.runs.predictions import Predictions
from colabel.runs.results import name_predictions, suffix_of_source
from colabel.training import (
    Collected,
    collect_logits,
    make_accelerator,
    prepare_evaluation,
)
from colabel.workflows.predict import load_predictor


@dataclass(frozen=True)
class PredictedSplit:
    """What a run's model says of a split.

    Args:
        predictions: with targets.
        collected: the same, with features and kernels if everything was asked for.
        records: the images.
        config: of the run, with the source of these images.
        description: of the model.
        suffix: what the run's files of these images have after the split; empty for the source
            of training.
        model: what made them, on the accelerator.
        accelerator: that runs it.
    """

    predictions: Predictions
    collected: Collected
    records: Records
    config: Config
    description: Description
    suffix: str
    model: Classifier
    accelerator: Accelerator

    @property
    def is_main(self) -> bool:
        """Whether this process writes for all."""
        return bool(self.accelerator.is_main_process)

    @property
    def reading(self) -> tuple[str, ...]:
        """How a table was read that the model was not trained on, a line each."""
        reading = self.records.reading
        return tuple(reading.lines()) if self.suffix and reading is not None else ()


def predict_split(
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
    everything: bool = False,
) -> PredictedSplit:
    """Run a run's model on a split of labelled images.

    Args:
        folder: of the run.
        data: source of the images; default: the one it was trained on. Labels are matched by name.
        options: of the source's reader, by name; see :func:`colabel.evaluate`.
        missing_labels: what a label of the model is that the source does not have.
        split: ``test``, ``val`` or another split of the source.
        cpu: do not use an accelerator.
        workers: processes that read images; default: the run's setting.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.
        max_pixels: width times height above which no image is decoded; default: the run's setting.
        everything: whether features and kernels are kept, too.

    Raises:
        RunError: if the folder holds no usable model.
        ConfigError: if an option is unknown or of another type.
        DataError: if the split does not exist or has labels that the model does not know.
    """
    run = RunFolder(Path(folder))
    predictor = load_predictor(run.path, max_pixels=max_pixels)
    description = predictor.description
    trained = run.config()
    config, notes = _with_source(trained, data, options or {})
    try:
        records, config, unused = _records_without_unused(config, run, split, options or {})
        notes = tuple(note for note in notes if not _is_about(note, unused))
    except DataError as error:
        if data is None:
            told = f"{error}" if str(error).endswith((".", "?")) else f"{error}."
            raise DataError(f"{told} If the data has moved, say where to with --data.") from error
        raise
    if split == "test" and config.data.test != "test":
        notes = (*notes, f"the split test is {config.data.test} in this source (data.test)")
    left_out = [f"option {name} of training has no effect here and is left out" for name in unused]
    records = replace(records, notes=(*notes, *left_out, *records.notes))
    records = read_with(records, description.pixels)
    records = with_classes(
        records, description.classes, config.data.source, missing_labels=missing_labels
    )
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    records = decodable(records, split, config, accelerator, None, on_corrupt=on_corrupt)
    model = predictor.model.to(accelerator.device)
    if workers is not None:
        training = config.training.model_copy(update={"workers": workers})
        config = config.model_copy(update={"training": training})
    size = description.image_size
    collected = _collect(model, records, config, accelerator, size=size, everything=everything)
    own = with_absolute_paths(trained, None).data
    is_own = (config.data.source, config.data.options) == (own.source, own.options)
    named = name_predictions(collected, records, split, weights_fingerprint(run.path))
    said = {"missing labels": missing_labels, "corrupt": on_corrupt, "pixels": max_pixels}
    reading = ", ".join(f"{key}: {value}" for key, value in said.items() if value is not None)
    return PredictedSplit(
        replace(named, reading=reading),
        collected,
        records,
        config,
        description,
        "" if is_own else suffix_of_source(run, split, config.data.source),
        model,
        accelerator,
    )


def run_on(predicted: PredictedSplit, records: Records) -> Collected:
    """Run the same model on other images, keeping features and kernels.

    Args:
        predicted: what it says of a split.
        records: the other images, with the labels of the model.
    """
    return _collect(
        predicted.model,
        records,
        predicted.config,
        predicted.accelerator,
        size=predicted.description.image_size,
        everything=True,
    )


def readable(
    predicted: PredictedSplit,
    records: Records,
    name: str,
    *,
    on_corrupt: Literal["stop", "skip"] | None,
) -> Records:
    """Decode other images once, as those of the split were.

    Args:
        predicted: what a model says of a split.
        records: the other images.
        name: of them, for messages.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.

    Raises:
        ImageError: naming those that cannot be decoded, if they are not to be left out.
    """
    return decodable(
        records, name, predicted.config, predicted.accelerator, None, on_corrupt=on_corrupt
    )


def _collect(
    model: Classifier,
    records: Records,
    config: Config,
    accelerator: Accelerator,
    *,
    size: int,
    everything: bool,
) -> Collected:
    loader = prepare_evaluation(
        evaluation_loader(
            EvaluationImages(records, size=size),
            batch_size=config.evaluation.batch_size,
            workers=reading_processes(config, accelerator),
        ),
        accelerator,
    )
    return collect_logits(model, loader, accelerator, everything=everything)


def _with_source(
    trained: Config, source: str | None, given: Mapping[str, Any]
) -> tuple[Config, tuple[str, ...]]:
    """Return the configuration for a source with the options that belong to it, and notes."""
    data = trained.data
    if source is None or is_own_source(trained, source):
        options: dict[str, Any] = {**data.options, **given}
        notes: tuple[str, ...] = ()
    else:
        known = options_of_source(absolute_source(source))
        options, notes = options_of_another(data.options, known, given)
        data = data.model_copy(update={"train_options": {}})
    data = data.model_copy(update={"options": options})
    return with_absolute_paths(trained.model_copy(update={"data": data}), source), notes


def _records_without_unused(
    config: Config, run: RunFolder, split: str, given: Mapping[str, Any]
) -> tuple[Records, Config, tuple[str, ...]]:
    """Return a split, the configuration that reads it, and the options that were left out.

    An option of training that has no effect here is left out: only one that was given for this
    source is an error.
    """
    unused: list[str] = []
    while True:
        try:
            return _records_of(config, run, split), config, tuple(unused)
        except UnusedOptionError as error:
            options = dict(config.data.options)
            if error.option in given or options.pop(error.option, None) is None:
                raise
            unused.append(error.option)
            data = config.data.model_copy(update={"options": options})
            config = config.model_copy(update={"data": data})


def _is_about(note: str, options: Iterable[str]) -> bool:
    return any(note.startswith(f"option {name}=") for name in options)


def _records_of(config: Config, run: RunFolder, split: str) -> Records:
    """Return a split of the source; what training saw and what chose are as training had them."""
    division = run.division
    name = config.data.name_of(split)
    as_trained = split in ("train", "val")
    opened = {} if as_trained else open_source(config.data, (name,))
    if as_trained or ("all" in opened and name != "all" and division.is_file()):
        opened = open_training_data(
            config.data, seed=config.training.seed, split_file=division
        ).records
    if name not in opened:
        raise DataError(f"{config.data.source} has no split {name!r}; {nearest(name, opened)}")
    return opened[name]

"""A training run from a recipe to a folder with the model that validation chose."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from colabel.build.batches import Batches, build_caches
from colabel.build.division import open_training_data, take_fraction
from colabel.build.records import decodable
from colabel.build.shared import Shared
from colabel.build.source import pixel_options
from colabel.build.stages import build_model, build_stages
from colabel.build.told import news
from colabel.config import Config, change_config, load_config
from colabel.config.paths import with_absolute_paths
from colabel.data import Records
from colabel.data.split import write_split_table
from colabel.errors import ConfigError
from colabel.figures import training_curves
from colabel.metrics import Report
from colabel.models import as_deployed
from colabel.runs.choosing import choose_operating_point
from colabel.runs.claim import claimed_run
from colabel.runs.description import (
    DescribedEncoder,
    Description,
    Selection,
    load_description,
)
from colabel.runs.folder import LAST, RunFolder
from colabel.runs.identity import weights_fingerprint
from colabel.runs.measured import Measured, measure
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.predictions import Predictions, score_predictions
from colabel.runs.results import describe_data, name_predictions
from colabel.runs.resuming import (
    check_data,
    check_settings,
    is_started,
    without_weights,
    write_data,
)
from colabel.runs.weights import load_weights, save_model
from colabel.settings.target import parse_target
from colabel.training import (
    Display,
    History,
    Stage,
    check_stages,
    collect_logits,
    fit,
    make_accelerator,
    verdict,
)
from colabel.training.clock import SPENT, noted_seconds
from colabel.training.peak_memory import begin_peak_memory
from colabel.version import VERSION
from colabel.workflows.enough_images import (
    check_batch,
    check_labels,
    told_of_epochs,
    told_of_labels,
)
from colabel.workflows.memory import check_memory
from colabel.workflows.validation_size import told_uncertainty, too_small_to_choose_by

_LATE = 0.5
"""Share of a limited time after which a resumed run does not pass all images through the frozen
stages once more before it goes on; it computes them in its steps, to the same bytes."""


@dataclass(frozen=True)
class Trained:
    """A training run that ended, complete or interrupted.

    Args:
        folder: of the run.
        history: what happened.
        measured: the weights that were kept on the validation split, by the papers' protocol and
            at the operating point; ``None`` if the run was interrupted.
        verdict: whether the run was too short or too long, in a sentence or two; may be empty.
    """

    folder: Path
    history: History
    measured: Measured | None
    verdict: str = ""

    @property
    def report(self) -> Report | None:
        """Metrics on the validation split by the papers' protocol."""
        return None if self.measured is None else self.measured.report


def train(
    recipe: str | Path | Config,
    *,
    data: str | None = None,
    changes: Iterable[str] = (),
    name: str | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    cpu: bool = False,
    display: Display | None = None,
    began: float | None = None,
    shared: Shared | None = None,
) -> Trained:
    """Train a model by a recipe and keep the weights that validation chose.

    Args:
        recipe: name of a recipe, a YAML file, or a configuration.
        data: source of the images, instead of the recipe's.
        changes: ``key.path=value`` for any setting of the recipe.
        name: of the run; default: that of the recipe, ``run`` for a configuration.
        out: folder of the run; default: the first free ``runs/<name>-<number>``.
        resume: go on with the run in ``out``.
        cpu: do not use an accelerator.
        display: what the user sees meanwhile; ``None`` for nothing.
        began: reading of :func:`time.monotonic` from which on ``training.minutes`` count; ``None``
            for now.
        shared: what the runs of one command have in common; ``None`` for a run of its own.

    Returns:
        The run's folder, its history and its metrics on the validation split.

    Raises:
        ColabelError: with what to do about it; whatever was saved before is kept.
    """
    began = time.monotonic() if began is None else began
    if isinstance(recipe, Config):
        config = change_config(recipe, changes)
    else:
        config = load_config(recipe, changes)
        name = name or Path(recipe).stem
    config = with_absolute_paths(config, data)
    if resume and out is None:
        raise ConfigError("--resume needs the folder of the run to go on with: add --out FOLDER.")
    accelerator = make_accelerator(mixed_precision=config.training.precision, cpu=cpu)
    with ExitStack() as stack:
        chosen = ["", True]
        if accelerator.is_main_process:
            folder = None if out is None else Path(out)
            claim = claimed_run(folder, name=name or "run", resume=resume)
            place = stack.enter_context(claim)
            chosen = [str(place), is_started(RunFolder(place))]
        if accelerator.num_processes > 1:
            broadcast_object_list(chosen)
        run, started = RunFolder(Path(str(chosen[0]))), bool(chosen[1])
        if resume:
            check_settings(run, config)
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        torch.manual_seed(config.training.seed)
        try:
            return _train(
                config, run, accelerator, resume=resume and started, display=display, began=began,
                shared=shared or Shared(),
            )  # fmt: skip
        except KeyboardInterrupt:
            if display is not None and accelerator.is_main_process and run.has_state:
                display.note(f"what was saved before is in {run.path}: resume the run to go on.")
            raise


def _train(
    config: Config,
    run: RunFolder,
    accelerator: Accelerator,
    *,
    resume: bool,
    display: Display | None,
    began: float,
    shared: Shared,
) -> Trained:
    """Train, with the random generators seeded."""
    main = accelerator.is_main_process
    begin_peak_memory(accelerator.device)
    seed = config.training.seed
    division = run.division if resume else None
    opened = open_training_data(config.data, seed=seed, split_file=division)
    records = take_fraction(opened.records, config.data, seed=seed)
    said = shared.said
    if main and display is not None:
        for sentence in news(records, said):
            display.note(sentence)
        if opened.divided and opened.divided not in said:
            said.add(opened.divided)
            display.note(opened.divided)
    start = without_weights(run, config) if resume else config
    model = build_model(start, len(records["train"].classes), train=records["train"])
    planned = config.for_images(len(records["train"]))
    stages = build_stages(model, planned, train=records["train"])
    check_stages(stages, config.training, accelerator)
    check_labels(records["train"], records["val"])
    check_batch(config, accelerator, model, len(records["train"]))
    if main and display is not None:
        for sentence in told_of_epochs(config, planned, len(records["train"])):
            display.note(sentence)
        for sentence in told_of_labels(records["train"]):
            if sentence not in said:
                said.add(sentence)
                display.note(sentence)
    check_memory(stages, config, accelerator)
    caches = build_caches(config, {split: records[split] for split in ("train", "val")})
    train_records, validation_records = (
        decodable(records[split], split, config, accelerator, display, cache=cache)
        for split, cache in caches.items()
    )
    check_labels(train_records, validation_records)  # again: some may have been left out
    seen = {"train": train_records, "val": validation_records}
    if main and display is not None:
        for sentence in news(seen, said):
            display.note(sentence)
        for sentence in too_small_to_choose_by(validation_records.targets):
            display.note(sentence)
    if resume:
        check_data(run, seen)
    # The same start everywhere; what is drawn while training (dropout) differs by process.
    torch.manual_seed(seed + accelerator.process_index)
    if main and not resume:
        run.write_config(config)
        _keep_split(run, opened.records)
        write_data(run, seen)
    accelerator.wait_for_everyone()

    minutes = config.training.minutes
    late = minutes is not None and noted_seconds(run.path / LAST / SPENT) > _LATE * 60 * minutes
    batches = Batches(
        planned, accelerator, train_records, validation_records, display, caches, shared.encoded,
        keep=not (resume and late),
    )  # fmt: skip

    def predict(network: nn.Module, stage: Stage | None = None) -> Predictions:
        collected = collect_logits(network, batches.validation(stage), accelerator)
        return name_predictions(collected, validation_records, "val")

    last: list[Predictions] = []

    def validate(stage: Stage, network: nn.Module) -> Mapping[str, float]:
        last[:] = [predict(network, stage)]
        classes = len(last[0].classes)
        report = score_predictions(
            last[0],
            OperatingPoint.plain(classes, config.evaluation.threshold),
            protocol=config.evaluation.protocol,
        )
        return {
            name: value
            for name, value in report.to_dict().items()
            if name in ("mAP", "mAUC", "CF1", "OF1") and math.isfinite(value)
        }

    def keep(network: nn.Module, record: Mapping[str, Any]) -> None:
        described = _describe(config, train_records, record, last[0])
        fingerprint = save_model(run.path, as_deployed(network), described)
        replace(last[0], model=fingerprint).save(run.predictions_file("val"))

    history = fit(
        stages,
        loaders=batches.training,
        validate=validate,
        on_best=keep,
        folder=run.path,
        accelerator=accelerator,
        settings=config.training,
        resume=resume,
        display=display,
        began=began,
        validation_share=len(validation_records) / len(train_records),
    )
    if not history.finished:
        return Trained(run.path, history, None)
    described = load_description(run.path)
    if stages[-1].encoder is None and not resume:  # those of the weights that were kept
        predictions = Predictions.load(run.predictions_file("val"))
    else:  # made of features that were encoded once, or perhaps of weights before a kill
        load_weights(run.path, model, described)
        model.to(accelerator.device)
        predictions = replace(predict(model), model=weights_fingerprint(run.path))
    measured = measure(
        predictions,
        described.operating_point,
        threshold=config.evaluation.threshold,
        protocol=config.evaluation.protocol,
    )
    told = verdict(
        history.epochs,
        uncertainty=told_uncertainty(validation_records.targets),
        out_of_time=history.is_out_of_time(config.training.minutes),
        frozen=config.training.freeze_encoder,
    )
    if stages[-1].name not in {line["stage"] for line in history.epochs}:
        told = f"there was no time for {stages[-1].name}: the classifier alone was trained."
    if main:
        run.write_measured(predictions, measured, describe_data(config, validation_records))
        training_curves(run.log, run.curves)
        run.write_result(
            measured,
            {"best": history.best, "warnings": list(history.warnings), "verdict": told},
        )
    accelerator.wait_for_everyone()
    return Trained(run.path, history, measured, told)


def _describe(
    config: Config, records: Records, record: Mapping[str, Any], validation: Predictions
) -> Description:
    """Return what ``model.json`` says."""
    encoder = config.encoder
    target = parse_target(config.operating_point)
    if target.kind == "none":
        point = OperatingPoint.plain(len(records.classes), config.evaluation.threshold)
    else:
        point = choose_operating_point(
            validation, target, source=config.data.source, epochs=config.stages()[-1].epochs
        )
    return Description(
        colabel=VERSION,
        classes=records.classes,
        method=config.method.name,
        head=config.stages()[-1].head,
        encoder=DescribedEncoder(
            name=encoder.name,
            options=encoder.options,
            freeze_batch_norm=encoder.freeze_batch_norm,
        ),
        image_size=config.data.image_size,
        pixels=pixel_options(config.data),
        operating_point=point,
        data={
            "source": config.data.source,
            "images": len(records),
            "fingerprint": records.fingerprint(),
        },
        selection=Selection(
            stage=record["stage"],
            epoch=record["epoch"],
            metric=record["monitor"],
            value=record["score"],
        ),
    )


def _keep_split(run: RunFolder, records: Mapping[str, Records]) -> None:
    """Save which images are trained on and which choose; what was divided here is used again."""
    rows = [(name, split) for split, part in records.items() for name in part.ids]
    write_split_table(run.division, [name for name, _ in rows], [split for _, split in rows])

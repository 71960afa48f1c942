"""Another operating point for a model that is trained: no retraining, no change of its weights.

Importing it imports nothing that is slow; torch only comes where predictions have to be made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from colabel.choices import CalibrationKind
from colabel.config.paths import is_own_source
from colabel.errors import ConfigError, DataError, RunError
from colabel.runs.claim import claimed_run
from colabel.runs.description import load_description, save_description
from colabel.runs.folder import DESCRIPTION, RunFolder
from colabel.runs.operating_point import OperatingPoint
from colabel.settings.target import Target
from colabel.workflows.kept_predictions import predictions_of

if TYPE_CHECKING:
    from colabel.metrics.decisions import Decisions
    from colabel.runs.predictions import Predictions


@dataclass(frozen=True)
class Calibrated:
    """A new operating point.

    Args:
        classes: labels of the model.
        positives: how many of the images are known to have each.
        known: of how many images it is known whether they have it.
        images: how many there were.
        split: of their source.
        point: the operating point that was written.
        before: precision, recall and F1 on the same images at the one before it.
        after: the same at this one.
        path: of the file it is in.
        notes: what happened on the way.
    """

    classes: tuple[str, ...]
    positives: tuple[int, ...]
    known: tuple[int, ...]
    images: int
    split: str
    point: OperatingPoint
    before: Decisions
    after: Decisions
    path: Path
    notes: tuple[str, ...]


def calibrate(
    folder: Path | str,
    target: Target,
    *,
    confidence: float | None = None,
    kind: CalibrationKind = "platt",
    labels: Collection[str] | None = None,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    missing_labels: Literal["absent", "unknown"] | None = None,
    split: str = "val",
    cpu: bool = False,
    on_corrupt: Literal["stop", "skip"] | None = None,
    max_pixels: int | None = None,
) -> Calibrated:
    """Find an operating point on labelled images and write it into the run, in one step.

    Predictions that the run has of these images are used if they are of its present weights and
    not older than the table of labels, and nothing is said of how to read the images; otherwise
    they are made.

    Args:
        folder: of the run.
        target: of the thresholds.
        confidence: of what is guaranteed; ``None``: recall on average, precision with 0.9.
        kind: of the calibration.
        labels: whose thresholds are set; ``None`` for all.
        data: source of the images; default: the one it was trained on.
        options: of the source's reader, by name; see :func:`colabel.evaluate`.
        missing_labels: what a label of the model is that the source does not have.
        split: of the source.
        cpu: do not use an accelerator.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.
        max_pixels: width times height above which no image is decoded; default: the run's setting.

    Raises:
        RunError: if the folder holds no usable model, or is being trained in.
        ConfigError: if a label is unknown, the target does not go with the other arguments, or a
            guarantee is asked of images that the model has learned.
        DataError: if the images have no labels, or a guarantee is asked for and can be given for
            no label. The run keeps its operating point.
    """
    run = RunFolder(Path(folder))
    load_description(run.path)
    own = data is None or is_own_source(run.config(), data)
    if own and split == "train" and target.is_guarantee:
        raise ConfigError(
            f"{target} cannot be guaranteed by the split train: the model has learned these "
            "images; take others with --split or --data."
        )
    with claimed_run(run.path, name="", resume=True):
        predictions, source, notes = predictions_of(
            run,
            tell_when=True,
            data=data,
            options=options,
            missing_labels=missing_labels,
            split=split,
            cpu=cpu,
            on_corrupt=on_corrupt,
            max_pixels=max_pixels,
        )
        epochs = _epochs_compared(run, predictions, target, own=own)
        description = load_description(run.path)
        if predictions.classes != description.classes:
            raise RunError(
                f"{run.predictions_file(split)} has other labels than the model; make it again "
                f"with: colabel evaluate {run.path} --split {split}"
            )
        from colabel.runs.choosing import choose_operating_point

        former = description.operating_point
        point = choose_operating_point(
            predictions,
            target,
            source=source,
            epochs=epochs,
            confidence=confidence,
            kind=kind,
            labels=labels,
            former=former,
        )
        _check_some_guaranteed(point, target, description.classes, labels)
        save_description(run.path, description.model_copy(update={"operating_point": point}))
    assert predictions.targets is not None
    if not run.is_finished:
        notes = (
            *notes,
            f"training in {run.path} is not complete: if it goes on, a better epoch gets the "
            "operating point of the recipe again",
        )
    return Calibrated(
        description.classes,
        tuple((predictions.targets == 1).sum(axis=0).tolist()),
        tuple((predictions.targets >= 0).sum(axis=0).tolist()),
        len(predictions.targets),
        predictions.split,
        point,
        _decisions(predictions, former),
        _decisions(predictions, point),
        run.path / DESCRIPTION,
        notes,
    )


def _epochs_compared(
    run: RunFolder, predictions: Predictions, target: Target, *, own: bool
) -> int:
    """Return how many epochs were compared on these images, known by their names; 0 if none.

    Raises:
        ConfigError: if a guarantee is asked of images that the model has learned.
    """
    split_of = run.read_division()
    roles = Counter(split_of.get(name) for name in predictions.ids)
    if roles["train"] and target.is_guarantee:
        named = "are" if own else "have the names of"
        raise ConfigError(
            f"{target} cannot be guaranteed by these images: {roles['train']:,} of "
            f"{len(predictions.ids):,} {named} images that the model has learned. Take others "
            "with --split or --data; if they are others, put them into a folder of another name."
        )
    chose = roles["val"] > 0 or (own and predictions.split == "val")
    return run.config().stages()[-1].epochs if chose else 0


def _check_some_guaranteed(
    point: OperatingPoint,
    target: Target,
    classes: tuple[str, ...],
    labels: Collection[str] | None,
) -> None:
    """Refuse an operating point that keeps its promise for no label at all."""
    if not target.is_guarantee:
        return
    rules = {
        name: rule
        for name, rule in zip(classes, point.rules, strict=True)
        if labels is None or name in labels
    }
    if any(rule.guaranteed for rule in rules.values()):
        return
    reasons = [f"{name}: {rule.failure}" for name, rule in list(rules.items())[:3]]
    more = f", and {len(rules) - 3} more" if len(rules) > 3 else ""
    raise DataError(
        f"{target} can be guaranteed for no label ({'; '.join(reasons)}{more}); take more images "
        "with labels, or ask for less. The run keeps its operating point."
    )


def _decisions(predictions: Predictions, point: OperatingPoint) -> Decisions:
    from colabel.metrics.decisions import measure

    assert predictions.targets is not None
    given = point.decide(point.probabilities(predictions.logits))
    return measure(given, predictions.targets)

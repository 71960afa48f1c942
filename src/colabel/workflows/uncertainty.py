"""What the uncertainty of a run is worth: risk and coverage, outside images, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colabel.errors import ConfigError
from colabel.figures.uncertainty import uncertainty_chart
from colabel.files import write_json
from colabel.metrics.decisions import UNKNOWN
from colabel.models.dropout import active_dropout, dropout_layers
from colabel.runs.choosing import fingerprint_of
from colabel.runs.folder import RunFolder
from colabel.runs.operating_point import OperatingPoint
from colabel.runs.results import describe_data
from colabel.training import Collected
from colabel.uncertainty import (
    SCORES,
    FeatureCentres,
    Outputs,
    Prototypes,
    augrc,
    aurc,
    brier,
    compute_score,
    expected_calibration_error,
    feature_centres,
    image_errors,
    kernel_prototypes,
    out_of_distribution,
    pair_errors,
    why_unavailable,
)
from colabel.workflows.outside_images import outside_records
from colabel.workflows.predicted_split import PredictedSplit, predict_split, run_on

BASELINE = "entropy"
"""The score per pair that costs nothing and that others have to beat; for images, its sum."""


@dataclass(frozen=True)
class ScoreReport:
    """What one score of uncertainty is worth.

    Args:
        name: of the score.
        per: "pair" of image and label, or "image".
        says: what it is.
        aurc: area under its risk-coverage curve; the risk is the share of wrong labels.
        augrc: area under its generalised risk-coverage curve.
        outside: by the name of a set of images: AUROC and FPR95 of telling it from the inside.
    """

    name: str
    per: Literal["pair", "image"]
    says: str
    aurc: float
    augrc: float
    outside: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class UncertaintyReport:
    """The uncertainty of a run, measured on a split.

    Args:
        split: that was measured.
        images: how many.
        risk: share of wrong labels if all are decided: the area of a score that tells nothing.
        image_risk: the mean over images of their share of wrong labels: the same of an image.
        scores: what each score is worth.
        unavailable: why other scores could not be computed, a sentence each.
        calibration: mean over the classes of calibration error and Brier score, "before" and
            "after" the operating point's calibration.
        outside: how many images each outside set has.
        path: of the JSON in the run.
        chart: of the picture.
        notes: what happened to the data on the way.
    """

    split: str
    images: int
    risk: float
    image_risk: float
    scores: tuple[ScoreReport, ...]
    unavailable: tuple[str, ...]
    calibration: Mapping[str, Mapping[str, float]]
    outside: Mapping[str, int]
    path: Path
    chart: Path
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "split": self.split,
            "images": self.images,
            "risk": self.risk,
            "image_risk": self.image_risk,
            "scores": [
                {
                    "name": score.name,
                    "per": score.per,
                    "says": score.says,
                    "aurc": score.aurc,
                    "augrc": score.augrc,
                    "outside": {
                        name: {"auroc": auroc, "fpr95": fpr95}
                        for name, (auroc, fpr95) in score.outside.items()
                    },
                }
                for score in self.scores
            ],
            "unavailable": list(self.unavailable),
            "calibration": self.calibration,
            "outside": dict(self.outside),
            "notes": list(self.notes),
        }


def measure_uncertainty(
    folder: Path | str,
    *,
    split: str = "test",
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
    missing_labels: Literal["absent", "unknown"] | None = None,
    against: Sequence[str] = (),
    members: Sequence[Path | str] = (),
    passes: int = 0,
    cpu: bool = False,
    on_corrupt: Literal["stop", "skip"] | None = None,
    max_pixels: int | None = None,
) -> UncertaintyReport:
    """Measure what the scores of uncertainty of a run are worth; write a table and a picture.

    What a score is compared with, such as the mean kernel of a label, comes from the images of
    the validation split.

    Args:
        folder: of the run.
        split: with the images inside; labels must be known.
        data: their source; default: the one the run was trained on.
        options: of the source's reader, by name; see :func:`colabel.evaluate`.
        missing_labels: what a label of the model is that the source does not have.
        against: images outside, each a folder, a pattern, a table or another source; or one of
            ``blur``, ``noise``, ``jpeg``, ``occlusion``: the images inside, damaged.
        members: other runs with the same labels, which make an ensemble with this one.
        passes: how often the images pass the model with dropout, instead; 0 for not at all.
        cpu: do not use an accelerator.
        on_corrupt: what an image that cannot be decoded does; default: the run's setting.
        max_pixels: width times height above which no image is decoded; default: the run's setting.

    Raises:
        RunError: if a folder holds no usable model.
        ConfigError: if an ensemble has other labels.
        DataError: if images cannot be read or have no labels.
    """
    given: dict[str, Any] = {"cpu": cpu, "on_corrupt": on_corrupt, "max_pixels": max_pixels}
    about: dict[str, Any] = {
        "data": data,
        "options": options,
        "missing_labels": missing_labels,
        "split": split,
    }
    inside = predict_split(folder, everything=True, **about, **given)
    reference = (
        inside
        if split == "val" and data is None
        else predict_split(folder, everything=True, split="val", **given)
    )
    others = [predict_split(member, **about, **given) for member in members]
    for member, other in zip(members, others, strict=True):
        _check_alike(member, inside, other)
    point = inside.description.operating_point
    compared = references(reference.collected)
    outputs = outputs_of(inside.collected, point, *compared)
    if others:
        outputs = replace(outputs, samples=_samples(inside, others))
    elif passes:
        outputs = replace(outputs, samples=_dropped_samples(inside, passes))
    outside = {}
    notes = list(inside.records.notes)
    fingerprint = fingerprint_of(inside.predictions)
    if any(images.fingerprint == fingerprint for images in point.all_fitted_on):
        notes.append(
            "the operating point was found on these very images: on others, calibration and "
            "decisions are a little worse"
        )
    for name, records in outside_records(against, inside, on_corrupt=on_corrupt).items():
        outside[name] = outputs_of(run_on(inside, records), point, *compared)
        notes.extend(f"{name}: {note}" for note in records.notes)
    run = RunFolder(Path(folder))
    path = run.path / f"uncertainty-{split}{inside.suffix}.json"
    report, curves = _report(inside, outputs, outside, path=path, notes=tuple(notes))
    if inside.is_main:
        facts = {"data": describe_data(inside.config, inside.records), **report.to_dict()}
        write_json(path, facts)
        uncertainty_chart(
            curves,
            {"pair": report.risk, "image": report.image_risk},
            uncalibrated=inside.predictions.probabilities,
            calibrated=outputs.probabilities,
            targets=_targets(inside),
            png=report.chart,
        )
    return report


def _check_alike(member: Path | str, inside: PredictedSplit, other: PredictedSplit) -> None:
    """Refuse an ensemble whose members answer other questions."""
    if other.predictions.classes != inside.predictions.classes:
        raise ConfigError(
            f"--with {member}: it has other labels than the run; an ensemble needs the same ones."
        )
    if other.predictions.ids != inside.predictions.ids:
        raise ConfigError(
            f"--with {member}: it was asked about other images; train it on the same data, or "
            "give --data."
        )


def _samples(inside: PredictedSplit, others: Sequence[PredictedSplit]) -> npt.NDArray[np.float64]:
    """Return the calibrated probabilities of every member, shape (members, images, classes)."""
    return np.stack(
        [
            each.description.operating_point.probabilities(each.predictions.logits)
            for each in (inside, *others)
        ]
    )


def _dropped_samples(inside: PredictedSplit, passes: int) -> npt.NDArray[np.float64]:
    """Return the calibrated probabilities of passes with dropout, shape (passes, images, classes).

    Raises:
        ConfigError: if there is no dropout in the model.
    """
    if not dropout_layers(inside.model):
        raise ConfigError(
            "--passes: the model has no dropout layer; train one with encoder.options={drop_rate: "
            "0.1} where the backbone has them, or give other runs with --with."
        )
    point = inside.description.operating_point
    with active_dropout(inside.model):
        return np.stack(
            [point.probabilities(run_on(inside, inside.records).logits) for _ in range(passes)]
        )


def references(known: Collected) -> tuple[Prototypes | None, FeatureCentres | None]:
    """Return the mean kernel and the mean features of every label, where there are any.

    Args:
        known: everything a model says of images whose labels are known.
    """
    prototypes = centres = None
    if known.kernel_mean is not None and known.variance is not None and known.features is not None:
        prototypes = kernel_prototypes(
            known.kernel_mean, known.variance, known.targets, dim=known.features.shape[1]
        )
    if known.features is not None:
        centres = feature_centres(known.features, known.targets)
    return prototypes, centres


def outputs_of(
    answers: Collected,
    point: OperatingPoint,
    prototypes: Prototypes | None,
    centres: FeatureCentres | None,
) -> Outputs:
    """Return the answers of a model with what scores compare them with.

    Args:
        answers: everything the model says of some images.
        point: its operating point.
        prototypes: from :func:`references`.
        centres: likewise.
    """
    return Outputs(
        answers.logits,
        point.probabilities(answers.logits),
        np.array(point.thresholds),
        kernel_mean=answers.kernel_mean,
        kernel_variance=answers.variance,
        log_weights=answers.log_weights,
        features=answers.features,
        prototypes=prototypes,
        centres=centres,
    )


def _targets(inside: PredictedSplit) -> npt.NDArray[np.int8]:
    assert inside.predictions.targets is not None
    return inside.predictions.targets


def _report(
    inside: PredictedSplit,
    outputs: Outputs,
    outside: Mapping[str, Outputs],
    *,
    path: Path,
    notes: tuple[str, ...],
) -> tuple[UncertaintyReport, dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]]:
    """Return the report, and the scores and errors that curves are drawn of, by name."""
    targets = _targets(inside)
    of_pairs, of_images = pair_errors(outputs.given, targets), image_errors(outputs.given, targets)
    known, judged = targets != UNKNOWN, ~np.isnan(of_images)
    reports, missing, curves = [], [], {}
    for name, score in SCORES.items():
        reason = why_unavailable(name, outputs)
        if reason is not None:
            missing.append(reason)
            continue
        values = compute_score(name, outputs)
        chosen = (values[known], of_pairs[known]) if score.per == "pair" else (
            values[judged], of_images[judged]
        )  # fmt: skip
        curves[name] = chosen
        reports.append(
            ScoreReport(
                name,
                score.per,
                score.says,
                aurc(*chosen),
                augrc(*chosen),
                _against(name, values, outside) if score.per == "image" else {},
            )
        )
    calibrated = outputs.probabilities
    before = inside.predictions.probabilities
    report = UncertaintyReport(
        split=inside.predictions.split,
        images=len(targets),
        risk=float(of_pairs[known].mean()),
        image_risk=float(of_images[judged].mean()),
        scores=tuple(reports),
        unavailable=tuple(missing),
        calibration={
            when: {
                "calibration_error": float(
                    np.nanmean(expected_calibration_error(probabilities, targets))
                ),
                "brier": float(np.nanmean(brier(probabilities, targets))),
            }
            for when, probabilities in (("before", before), ("after", calibrated))
        },
        outside={name: len(images.logits) for name, images in outside.items()},
        path=path,
        chart=path.with_suffix(".png"),
        notes=notes,
    )
    return report, curves


def _against(
    name: str, values: npt.NDArray[Any], outside: Mapping[str, Outputs]
) -> dict[str, tuple[float, float]]:
    """Return how well a score of images tells each outside set from the images inside."""
    told = {}
    for other, outputs in outside.items():
        if why_unavailable(name, outputs) is None:
            found = out_of_distribution(values, compute_score(name, outputs))
            told[other] = (found.auroc, found.fpr95)
    return told

"""Finding an operating point on images whose labels are known."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from colabel.calibration import (
    Thresholds,
    fit_calibration,
    missed_label_threshold,
    recall_thresholds,
)
from colabel.calibration.f1 import f1_of
from colabel.calibration.groups import one_of_each_group
from colabel.calibration.guarantees import precision_of
from colabel.calibration.thresholds import descend
from colabel.choices import CalibrationKind
from colabel.errors import ConfigError, DataError, nearest
from colabel.runs.operating_point import CORNERS, FittedOn, OperatingPoint, Rule, Selectivity
from colabel.runs.predictions import Predictions
from colabel.settings.target import Target
from colabel.uncertainty import image_errors, risk_coverage
from colabel.uncertainty.pair_scores import error_probability

F1 = Target("f1")

EXPECTATION = 100
"""Positives that what calibrated probabilities let expect is worth, when F1 is to be highest: it
halves the spread between seeds on other images (docs/decisions.md)."""

ROUNDING = 1e-6
"""Share, of the probability or of what it lacks to 1, by which a threshold lies below the image
that gave it: it is still given the label where batches of another size round its logit."""

CONFIDENCE = 0.9
"""Of a guaranteed precision, unless another is asked for: there is none on average."""


def choose_operating_point(
    predictions: Predictions,
    target: Target,
    *,
    source: str,
    epochs: int,
    confidence: float | None = None,
    kind: CalibrationKind = "platt",
    labels: Collection[str] | None = None,
    former: OperatingPoint | None = None,
) -> OperatingPoint:
    """Return the operating point that a target asks for.

    Recall and precision go by the order of a label's images, which no calibration changes, so
    calibration and thresholds come from the same images. ``missed`` compares labels with each
    other: half of the images calibrate, the other half give the threshold.

    Of images that belong together (of a patient) a guarantee counts one, so that it is one for
    patients to come; calibration and F1 use all.

    A label for which a guarantee cannot be given gets its threshold for F1 and says so.

    Args:
        predictions: with targets.
        target: of the thresholds.
        source: where the images are from.
        epochs: how many epochs were compared on these images.
        confidence: of the guarantees of recall and precision; ``None``: recall on average,
            precision with 0.9.
        kind: of the calibration.
        labels: whose thresholds are set; the others, and the calibration, stay as they are in
            ``former``. ``None`` for all.
        former: the operating point of the model so far.

    Raises:
        DataError: if the predictions carry no targets, or no image has a label.
        ConfigError: if a label is none of the model's, or the target does not go with others.
    """
    classes = predictions.classes
    if predictions.targets is None:
        raise DataError("an operating point needs images whose labels are known.")
    chosen = _chosen(labels, classes)
    if target.kind in ("missed", "none") and not chosen.all():
        raise ConfigError(
            f"the target {target} is one for all labels together; leave out --labels."
        )
    if target.kind == "none":
        return OperatingPoint.plain(len(classes))
    logits, targets = predictions.logits, predictions.targets
    if former is not None and not chosen.all():
        _check_kept(former, target)
    groups = predictions.groups or None
    if groups is not None and len(set(groups)) == len(groups):
        groups = None
    calibrating = np.ones(len(targets), dtype=np.bool_)
    if target.kind == "missed":
        calibrating = _half_of(groups or predictions.ids)
    if former is not None and not chosen.all():
        calibration = former.calibration
    else:
        calibration = fit_calibration(logits[calibrating], targets[calibrating], kind)
    point = OperatingPoint(calibration=calibration, thresholds=(0.5,) * len(classes))
    probabilities = point.probabilities(logits)
    sure = calibration is not None and calibration.kind != "temperature"
    ranked = descend(probabilities, targets)
    by_f1 = f1_of(ranked, EXPECTATION if sure else 0)
    counted = targets
    if groups is not None and target.is_guarantee:
        ranks = _ranks_of(predictions.ids)
        counted = one_of_each_group(targets, groups, ranks, positives=target.kind == "recall")
    if target.kind == "precision":
        confidence = confidence or CONFIDENCE
        if counted is not targets:
            ranked = descend(probabilities, counted)
        asked = precision_of(ranked, precision=target.value, confidence=confidence)
    else:
        asked = _asked(
            target, probabilities, counted, by_f1, confidence=confidence, reserved=~calibrating
        )
    if counted is not targets:
        asked = replace(asked, unit=f"{asked.unit} of different groups")
    images = FittedOn(
        source=source,
        split=predictions.split,
        images=len(targets),
        fingerprint=fingerprint_of(predictions),
        epochs=epochs,
        groups=None if groups is None else len(set(groups)),
    )
    whole = images
    if former is not None and former.fitted_on is not None and not chosen.all():
        whole = former.fitted_on
    rules, thresholds = _rules(
        target,
        asked,
        by_f1,
        confidence if target.is_guarantee else None,
        own=chosen,
        former=former,
        images=None if images == whole else images,
        room=_room_below(probabilities, by_f1.thresholds, asked.thresholds),
    )
    point = point.model_copy(update={"thresholds": thresholds, "rules": rules})
    return point.model_copy(
        update={
            "fitted_on": whole,
            "selectivity": _selectivity(point, probabilities, targets)
            if images == whole
            else None,
        }
    )


def fingerprint_of(predictions: Predictions) -> str:
    """Return what tells a set of images with their targets from every other, in any order.

    Example:
        >>> logits, targets = np.zeros((2, 1), np.float32), np.array([[1], [0]], np.int8)
        >>> one = Predictions(("a", "b"), ("cat",), logits, targets, "val")
        >>> other = Predictions(("b", "a"), ("cat",), logits, targets[::-1], "test")
        >>> fingerprint_of(one) == fingerprint_of(other)
        True
    """
    assert predictions.targets is not None
    rows = (
        name.encode(errors="surrogateescape") + b"\0" + row.tobytes()
        for name, row in zip(predictions.ids, predictions.targets, strict=True)
    )
    return hashlib.blake2b(b"\0".join(sorted(rows)), digest_size=16).hexdigest()


def _chosen(labels: Collection[str] | None, classes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which labels are set."""
    if labels is not None and not labels:
        raise ConfigError("--labels names no label; leave it out for all.")
    for label in labels or ():
        if label not in classes:
            raise ConfigError(f"the model has no label {label!r}; {nearest(label, classes)}")
    return np.array([labels is None or name in labels for name in classes])


def _check_kept(former: OperatingPoint, target: Target) -> None:
    """Refuse thresholds of some labels that would take the sense from what stays.

    Raises:
        ConfigError: if a promise about all labels would be broken, or a cost would be weighed
            by probabilities that nobody has calibrated.
    """
    if any(rule.target.startswith("missed=") for rule in former.rules):
        raise ConfigError(
            f"the operating point promises {former.target} of all labels together, which new "
            "thresholds for some of them would break; leave out --labels, or set all labels first."
        )
    if target.kind == "cost" and former.calibration is None:
        raise ConfigError(
            f"the target {target} weighs calibrated probabilities and the run has none; calibrate "
            "it first, without --labels."
        )


def _half_of(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which images are of the first half of the names; those of one name stay together."""
    unique = list(dict.fromkeys(names))
    place = {name: index for index, name in enumerate(unique)}
    first = _ranks_of(unique) < len(unique) / 2
    return np.asarray(first[[place[name] for name in names]])


def _ranks_of(names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the rank of each name in an order that depends on the names alone."""
    digests = [hashlib.blake2b(name.encode(errors="surrogateescape")).digest() for name in names]
    ranks = np.empty(len(digests), dtype=np.int64)
    ranks[sorted(range(len(digests)), key=digests.__getitem__)] = np.arange(len(digests))
    return ranks


def _asked(
    target: Target,
    probabilities: npt.NDArray[np.float64],
    targets: npt.NDArray[np.int8],
    by_f1: Thresholds,
    *,
    confidence: float | None,
    reserved: npt.NDArray[np.bool_],
) -> Thresholds:
    """Return the thresholds that any target but a precision gives."""
    if target.kind == "recall":
        return recall_thresholds(
            probabilities, targets, recall=target.value, confidence=confidence
        )
    if target.kind == "missed":
        return missed_label_threshold(
            probabilities[reserved], targets[reserved], risk=target.value
        )
    if target.kind == "cost":
        return Thresholds(
            thresholds=np.full(len(by_f1.found), target.threshold),
            guaranteed=np.zeros(len(by_f1.found), dtype=np.bool_),
            found=by_f1.found,
            needed=np.zeros_like(by_f1.found),
            unit="positives",
        )
    return by_f1


def _rules(
    target: Target,
    asked: Thresholds,
    by_f1: Thresholds,
    confidence: float | None,
    *,
    own: npt.NDArray[np.bool_],
    former: OperatingPoint | None,
    images: FittedOn | None,
    room: npt.NDArray[np.float64],
) -> tuple[tuple[Rule, ...], tuple[float, ...]]:
    """Return how each threshold came about, and the thresholds."""
    rules, thresholds = [], []
    for k, mine in enumerate(own.tolist()):
        if not mine and former is not None:
            plain = Rule(target="none", by="none")
            rules.append(former.rules[k] if former.rules else plain)
            thresholds.append(former.thresholds[k])
            continue
        kept = bool(asked.guaranteed[k]) or not target.is_guarantee
        used = asked if kept else by_f1
        rules.append(
            Rule(
                target=str(target),
                by=str(target if kept else F1),
                guaranteed=bool(asked.guaranteed[k]),
                confidence=confidence,
                found=int(asked.found[k]),
                needed=int(asked.needed[k]),
                unit=asked.unit,
                fitted_on=images,
            )
        )
        threshold = float(used.thresholds[k])
        exact = kept and target.kind == "cost"
        below = room[int(used is asked), k]
        lower = min(ROUNDING * min(threshold, 1 - threshold), below / 2)
        thresholds.append(threshold - (0 if exact else lower))
    return tuple(rules), tuple(thresholds)


def _room_below(
    probabilities: npt.NDArray[np.float64], *thresholds: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how far the next lower image of each label lies below each threshold."""
    room = []
    for each in thresholds:
        lower = np.where(probabilities < each, probabilities, -np.inf).max(axis=0)
        room.append(each - lower)
    return np.asarray(np.nan_to_num(np.stack(room), nan=0.0, posinf=1.0))


def _selectivity(
    point: OperatingPoint,
    probabilities: npt.NDArray[np.float64],
    targets: npt.NDArray[np.int8],
) -> Selectivity:
    """Return what is left of errors at each share of images that is decided."""
    given = point.decide(probabilities)
    errors = image_errors(given, targets)
    judged = ~np.isnan(errors)
    scores = error_probability(probabilities[judged], given[judged]).mean(axis=1)
    risks = risk_coverage(scores, errors[judged]).risk
    ascending = np.sort(scores)
    last = np.ceil(np.linspace(0, 1, CORNERS) * len(risks)).astype(int).clip(1) - 1
    last = np.searchsorted(ascending, ascending[last], side="right") - 1  # equal ones go together
    return Selectivity(scores=tuple(ascending[last].tolist()), risks=tuple(risks[last].tolist()))

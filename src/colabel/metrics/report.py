"""All metrics of saved scores in one report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int8

from colabel.choices import APProtocol
from colabel.errors import ConfigError, DataError, listed, nearest
from colabel.metrics.decisions import (
    UNKNOWN,
    Decisions,
    above_threshold,
    highest,
    mean_of_defined,
    measure,
)
from colabel.metrics.inputs import check_logits, check_scores, check_targets, check_thresholds
from colabel.metrics.ranking import PROTOCOLS, average_precision, in_order, rank, roc_auc


@dataclass(frozen=True)
class ClassReport:
    """Metrics of one class, fractions in [0, 1], NaN where undefined.

    Args:
        name: name of the class.
        average_precision: area under the precision-recall curve by the report's protocol.
        auc: area under the ROC curve.
        precision: share of the given-out labels that are right.
        recall: share of the positives that are given out.
        f1: harmonic mean of precision and recall.
        support: number of images that carry the label.
        negatives: number of images that are known not to carry it.
    """

    name: str
    average_precision: float
    auc: float
    precision: float
    recall: float
    f1: float
    support: int
    negatives: int

    def to_dict(self) -> dict[str, str | float | int]:
        """Return plain values under their customary abbreviations."""
        return {
            "name": self.name,
            "AP": self.average_precision,
            "AUC": self.auc,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "support": self.support,
            "negatives": self.negatives,
        }


@dataclass(frozen=True)
class Report:
    """Every metric of one set of scores, and the choices they depend on.

    Args:
        mean_average_precision: mean AP over the classes with positives (mAP).
        mean_auc: mean AUC over the classes with positives and negatives (mAUC).
        decisions: precision, recall and F1 of the labels at or above their threshold.
        top3: the same for the labels that are also among the three highest of their image.
        per_class: metrics of each class, in the order of the columns.
        protocol: how AP was computed.
        thresholds: one threshold per class.
        images: number of images.
        classes_without_positives: classes that no mean over classes includes.
        classes_without_negatives: classes that the mean AUC leaves out as well.
        unknown_targets: labels that were ignored because nobody has judged them.
    """

    mean_average_precision: float
    mean_auc: float
    decisions: Decisions
    top3: Decisions
    per_class: tuple[ClassReport, ...]
    protocol: APProtocol
    thresholds: tuple[float, ...]
    images: int
    classes_without_positives: int
    classes_without_negatives: int
    unknown_targets: int

    def left_out(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Return the classes that mAP and mAUC do not include, by the reason.

        Returns:
            Under "mAP" and "mAUC", class names under "not judged" (of no image it is known
            whether it carries the label), "no positives" and, for mAUC alone, "no negatives".
            Reasons that apply to no class are left away. The means of precision, recall and F1
            over classes leave out the same classes as mAP.

        Example:
            >>> report = evaluate_scores([[0.9, 0.2]], [[1, -1]], class_names=["cat", "dog"])
            >>> report.left_out()["mAP"]
            {'not judged': ('dog',)}
            >>> report.left_out()["mAUC"]
            {'not judged': ('dog',), 'no negatives': ('cat',)}
        """
        rows = self.per_class
        reasons = {
            "not judged": tuple(r.name for r in rows if not r.support and not r.negatives),
            "no positives": tuple(r.name for r in rows if not r.support and r.negatives),
            "no negatives": tuple(r.name for r in rows if r.support and not r.negatives),
        }
        kept = {reason: names for reason, names in reasons.items() if names}
        without = {reason: names for reason, names in kept.items() if reason != "no negatives"}
        return {"mAP": without, "mAUC": kept}

    def tell_left_out(self) -> list[str]:
        """Return a sentence for each mean that does not include every class."""
        classes = len(self.per_class)
        lines = []
        for metric, left_out in self.left_out().items():
            if left_out:
                reasons = [f"{reason}: {listed(names)}" for reason, names in left_out.items()]
                count = classes - sum(map(len, left_out.values()))
                means = "mAP, CP, CR, CF1" if metric == "mAP" else metric
                lines.append(
                    f"{means}: mean over {count} of {classes} classes; {'; '.join(reasons)}"
                )
        full = self.left_out()["mAUC"].get("no negatives")
        if full:
            lines.append(f"mAP counts 100 for what every image carries: {listed(full)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain values under the abbreviations of the literature.

        Returns:
            ``mAP``, ``CP``, ``CR``, ``CF1``, ``OP``, ``OR``, ``OF1``, ``top3_CP`` to ``top3_OF1``,
            ``mAUC``, all fractions in [0, 1] and NaN where undefined; ``per_class``, a list of
            dicts with ``name``, ``AP``, ``AUC``, ``precision``, ``recall``, ``f1``, ``support``,
            ``negatives``; ``averaged``, which says of mAP and mAUC over how many classes they are
            the mean and which are left out, by reason; and the choices and counts behind them.
        """
        return {
            "mAP": self.mean_average_precision,
            **self.decisions.to_dict(),
            **self.top3.to_dict("top3_"),
            "mAUC": self.mean_auc,
            "protocol": self.protocol,
            "thresholds": list(self.thresholds),
            "images": self.images,
            "classes": len(self.per_class),
            "averaged": {
                name: {
                    "classes": len(self.per_class) - sum(map(len, left_out.values())),
                    "left_out": {reason: list(names) for reason, names in left_out.items()},
                }
                for name, left_out in self.left_out().items()
            },
            "classes_without_positives": self.classes_without_positives,
            "classes_without_negatives": self.classes_without_negatives,
            "unknown_targets": self.unknown_targets,
            "per_class": [row.to_dict() for row in self.per_class],
        }


def evaluate_scores(
    scores: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    thresholds: float | npt.ArrayLike = 0.5,
    class_names: Sequence[str] | None = None,
    protocol: APProtocol = "noninterpolated",
    logits: npt.ArrayLike | None = None,
) -> Report:
    """Measure scores against targets: AP, AUC, and precision, recall and F1 at a threshold.

    Source: mAP, CP, CR, CF1, OP, OR, OF1 and their top-3 forms as reported in the multi-label
    literature; the AUC as reported for ChestX-ray14.

    Deviation: classes without positives are NaN, stay out of every mean over classes and are
    counted in the report. Unknown labels have no influence on any number. A top-3 label must
    also reach its threshold.

    Args:
        scores: probabilities in [0, 1], shape (images, classes). Keep float64 where you have it:
            probabilities near 1 that float32 rounds to the same number become ties.
        targets: 1 present, 0 absent, -1 unknown, the shape of ``scores``.
        thresholds: one number in [0, 1], or one per class; a score equal to it is positive.
        class_names: one name per class; ``None`` numbers them from "class 0".
        protocol: "noninterpolated", "voc11" or "interpolated"; see :func:`average_precision`.
        logits: what the images of a class are ranked by, for AP and AUC, where ``scores`` are a
            rising map of them: far from 0 probabilities become ties. ``None``: the scores.

    Returns:
        The metrics, overall and per class.

    Raises:
        DataError: on scores that are not numbers in [0, 1], targets other than 1, 0, -1, logits
            that are not finite, or shapes that do not fit one another.
        ConfigError: on an unknown protocol, or thresholds outside [0, 1] or of another number.

    Example:
        >>> scores = [[0.9, 0.2], [0.6, 0.7], [0.1, 0.8]]
        >>> report = evaluate_scores(scores, [[1, 0], [0, 1], [0, 0]], class_names=["cat", "dog"])
        >>> report.mean_average_precision, report.decisions.class_recall
        (0.75, 1.0)
        >>> report.to_dict()["per_class"][1]["AP"]
        0.5
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(
            f"there is no average-precision protocol {protocol!r}: {nearest(protocol, PROTOCOLS)}"
        )
    checked_scores = check_scores(scores)
    checked_targets = check_targets(targets, checked_scores.shape)
    classes = checked_scores.shape[1]
    names = [f"class {index}" for index in range(classes)] if class_names is None else class_names
    if len(names) != classes:
        raise DataError(f"{len(names)} class names for {classes} columns of scores.")
    cuts = check_thresholds(thresholds, classes)
    ranked_by = checked_scores if logits is None else in_order(check_logits(logits))
    if ranked_by.shape != checked_scores.shape:
        raise DataError(
            f"logits must have the scores' shape (images, classes) = {checked_scores.shape}, got "
            f"{ranked_by.shape}."
        )
    return _report(checked_scores, checked_targets, cuts, tuple(names), protocol, ranked_by)


def _report(
    scores: Float[np.ndarray, "images classes"],
    targets: Int8[np.ndarray, "images classes"],
    thresholds: Float[np.ndarray, " classes"],
    names: tuple[str, ...],
    protocol: APProtocol,
    ranked_by: Float[np.ndarray, "images classes"],
) -> Report:
    ranking = rank(ranked_by, targets)
    precisions = average_precision(ranking, protocol=protocol)
    areas = roc_auc(ranking)
    support = ranking.total_positives
    given = above_threshold(scores, thresholds)
    decisions = measure(given, targets)
    return Report(
        mean_average_precision=mean_of_defined(precisions),
        mean_auc=mean_of_defined(areas),
        decisions=decisions,
        top3=measure(given & highest(scores, targets), targets),
        per_class=tuple(
            ClassReport(
                name,
                average_precision=float(precisions[index]),
                auc=float(areas[index]),
                precision=float(decisions.precision[index]),
                recall=float(decisions.recall[index]),
                f1=float(decisions.f1[index]),
                support=int(support[index]),
                negatives=int(ranking.total_known[index] - support[index]),
            )
            for index, name in enumerate(names)
        ),
        protocol=protocol,
        thresholds=tuple(thresholds.tolist()),
        images=len(scores),
        classes_without_positives=int(np.count_nonzero(support == 0)),
        classes_without_negatives=int(np.count_nonzero(support == ranking.total_known)),
        unknown_targets=int(np.count_nonzero(targets == UNKNOWN)),
    )

"""What ``colabel calibrate`` shows. Importing it imports nothing that is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from colabel.cli.promises import guaranteed, promises, told_of_epochs
from colabel.cli.tables import percent
from colabel.printing import plain

if TYPE_CHECKING:
    from colabel.workflows.calibrate import Calibrated


def view(done: Calibrated) -> Group:
    """Return a line per label and sentences about what is guaranteed."""
    point = done.point
    table = Table("label", "positives", "threshold", "precision", "recall", "F1", "guaranteed")
    for column in table.columns[1:6]:
        column.justify = "right"
    after = done.after
    for k, name in enumerate(done.classes):
        rule = point.rules[k] if point.rules else None
        table.add_row(
            plain(name),
            str(done.positives[k]),
            f"{point.thresholds[k]:.3f}",
            *(percent(float(part[k])) for part in (after.precision, after.recall, after.f1)),
            guaranteed(rule),
        )
    parts: list[RenderableType] = [table]
    parts.extend(plain(line) for line in sentences(done))
    return Group(*parts)


def sentences(done: Calibrated) -> list[str]:
    """Return what has to be known about an operating point, a sentence each."""
    before, after = done.before, done.after
    lines = []
    if done.point.rules:
        lines.append(
            f"found on {done.images:,} images ({done.split}); on these very images CF1 "
            f"{percent(before.class_f1)} -> {percent(after.class_f1)}, OF1 "
            f"{percent(before.overall_f1)} -> {percent(after.overall_f1)}; on others a little less"
        )
    lines.extend(_never_given_out(done))
    return [*lines, *promises(done.classes, done.point)]


def _never_given_out(done: Calibrated) -> list[str]:
    """Return which labels no image tells anything about."""
    names = [
        name
        for name, known, threshold in zip(
            done.classes, done.known, done.point.thresholds, strict=True
        )
        if not known and threshold == 1
    ]
    return [f"known of no image, so never given out: {', '.join(names)}"] if names else []


def to_dict(done: Calibrated) -> dict[str, Any]:
    """Return plain values for other programs."""
    point = done.point
    return {
        "target": point.target,
        "calibration": None if point.calibration is None else point.calibration.kind,
        "fitted_on": None if point.fitted_on is None else point.fitted_on.model_dump(mode="json"),
        "labels": [
            {
                "label": name,
                "threshold": point.thresholds[k],
                "precision": float(done.after.precision[k]),
                "recall": float(done.after.recall[k]),
                "f1": float(done.after.f1[k]),
                **(point.rules[k].model_dump(mode="json") if point.rules else {}),
                "reason": point.rules[k].failure if point.rules else "",
            }
            for k, name in enumerate(done.classes)
        ],
        "before": done.before.to_dict(),
        "after": done.after.to_dict(),
        "notes": [*done.notes, *told_of_epochs(done.classes, point)],
    }

"""What ``colabel calibrate`` shows. Importing it imports nothing that is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from colabel.cli.tables import percent
from colabel.printing import plain
from colabel.settings.target import parse_target

if TYPE_CHECKING:
    from colabel.runs.operating_point import OperatingPoint, Rule
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
            _guaranteed(rule),
        )
    parts: list[RenderableType] = [table]
    parts.extend(plain(line) for line in sentences(done))
    return Group(*parts)


def _guaranteed(rule: Rule | None) -> str:
    if rule is None or not parse_target(rule.target).is_guarantee:
        return "-"
    return "yes" if rule.guaranteed else "no"


def sentences(done: Calibrated) -> list[str]:
    """Return what has to be known about an operating point, a sentence each."""
    before, after = done.before, done.after
    lines = []
    if done.point.fitted_on is not None:
        fitted = done.point.fitted_on
        lines.append(
            f"found on {fitted.images:,} images ({fitted.split}); on these very images CF1 "
            f"{percent(before.class_f1)} -> {percent(after.class_f1)}, OF1 "
            f"{percent(before.overall_f1)} -> {percent(after.overall_f1)}; on others a little less"
        )
    lines.extend(_promises(done))
    lines.extend(told_of_epochs(done.point))
    return lines


def told_of_epochs(point: OperatingPoint) -> list[str]:
    """Return what it costs that the images have chosen the epoch, too."""
    fitted = point.fitted_on
    promised = [rule for rule in point.rules if rule.guaranteed]
    if fitted is None or fitted.epochs < 2 or not promised:
        return []
    line = (
        f"note: these images also chose the best of {fitted.epochs} epochs, and a guarantee is "
        "for images that were used for nothing else; "
    )
    confidences = {rule.confidence for rule in promised} - {None}
    if confidences:
        worst = max(0.0, 1 - fitted.epochs * (1 - min(filter(None, confidences))))
        line += f"at worst its confidence is {worst:.0%}; "
    return [line + "for the full one give others with --data or --split"]


def _promises(done: Calibrated) -> list[str]:
    """Return what is guaranteed, of how many labels, and of which it is not."""
    rules: dict[tuple[str, float | None], list[tuple[str, Rule]]] = {}
    for name, rule in zip(done.classes, done.point.rules, strict=False):
        if parse_target(rule.target).is_guarantee:
            rules.setdefault((rule.target, rule.confidence), []).append((name, rule))
    lines = []
    for (target, confidence), those in rules.items():
        kept = sum(rule.guaranteed for _, rule in those)
        how = "on average" if confidence is None else f"with a confidence of {confidence:.0%}"
        what = parse_target(target)
        promise = {
            "recall": f"a recall of at least {what.value:.1%}",
            "precision": f"a precision of at least {what.value:.1%}",
            "missed": f"at most {what.value:.1%} of an image's labels missed",
        }[what.kind]
        if what.kind == "missed":
            lines.append(f"guaranteed: {promise} {how}, for images like these")
        else:
            lines.append(
                f"guaranteed for {kept} of {len(those)} labels: {promise} {how}, each label on "
                "its own, for images like these"
            )
        failed: dict[str, list[str]] = {}
        for name, rule in those:
            if rule.failure:
                failed.setdefault(rule.failure, []).append(name)
        lines.extend(
            f"not guaranteed, {reason}: {', '.join(names)}" for reason, names in failed.items()
        )
        if failed:
            lines.append("what is not guaranteed has its threshold for F1")
    return lines


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
        "notes": [*done.notes, *told_of_epochs(point)],
    }

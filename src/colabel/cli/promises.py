"""What an operating point promises, in sentences. Importing it imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from colabel.errors import listed

if TYPE_CHECKING:
    from colabel.runs.operating_point import FittedOn, OperatingPoint, Rule
    from colabel.settings.target import Target

_Named = tuple[str, "Rule"]


def guaranteed(rule: Rule | None) -> str:
    """Return whether what was asked for is guaranteed of a label: yes, no, - where nothing was.

    What is promised of all labels together is promised of none alone.
    """
    if rule is None or not _target_of(rule).is_guarantee:
        return "-"
    if not rule.guaranteed:
        return "no"
    return "together" if _target_of(rule).kind == "missed" else "yes"


def _target_of(rule: Rule) -> Target:
    from colabel.settings.target import parse_target  # needs pydantic, which --help does not

    return parse_target(rule.target)


def heading(point: OperatingPoint) -> str:
    """Return what the thresholds are for, and of how many labels a promise is kept."""
    promised = [rule for rule in point.rules if _target_of(rule).is_guarantee]
    if not promised or all(rule.guaranteed for rule in promised):
        return point.target
    kept = sum(rule.guaranteed for rule in promised)
    return f"{point.target}, kept for {kept} of {len(promised)} labels"


def promises(classes: Sequence[str], point: OperatingPoint) -> list[str]:
    """Return what is guaranteed, of how many labels, and of which it is not.

    Args:
        classes: names of the labels.
        point: of their model.
    """
    rules: dict[tuple[str, float | None, FittedOn | None], list[_Named]] = {}
    for name, rule in zip(classes, point.rules, strict=False):
        if _target_of(rule).is_guarantee:
            images = rule.fitted_on or point.fitted_on
            rules.setdefault((rule.target, rule.confidence, images), []).append((name, rule))
    lines = []
    for (_, confidence, images), those in rules.items():
        kept = sum(rule.guaranteed for _, rule in those)
        how = "on average" if confidence is None else f"with a confidence of {confidence:.0%}"
        what = _target_of(those[0][1])
        promise = {
            "recall": f"a recall of at least {what.value:.1%}",
            "precision": f"a precision of at least {what.value:.1%}",
            "missed": f"at most {what.value:.1%} of an image's labels missed",
        }[what.kind]
        like = _like_which(images)
        if what.kind == "missed" and kept:
            lines.append(f"guaranteed: {promise} {how}, {like}")
        elif what.kind != "missed":
            lines.append(
                f"guaranteed for {kept} of {len(those)} labels: {promise} {how}, each label on "
                f"its own, {like}"
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
    return [*lines, *told_of_epochs(classes, point)]


def _like_which(images: FittedOn | None) -> str:
    """Return which images to come a promise is for."""
    if images is None:
        return "for images like those it was found on"
    known = f"the {images.images:,} ({images.split}) of {images.source}"
    if images.groups is None:
        return f"for images like {known}"
    return f"for images like one of each of {images.groups:,} groups in {known}"


def told_of_epochs(classes: Sequence[str], point: OperatingPoint) -> list[str]:
    """Return what it costs that images have chosen the epoch, too, a line for each set of them.

    Args:
        classes: names of the labels.
        point: of their model.
    """
    promised: dict[FittedOn, list[_Named]] = {}
    for name, rule in zip(classes, point.rules, strict=False):
        images = rule.fitted_on or point.fitted_on
        if rule.guaranteed and images is not None and images.epochs > 1:
            promised.setdefault(images, []).append((name, rule))
    return [
        _about_epochs(images, those, everything=len(those) == len(classes))
        for images, those in promised.items()
    ]


def _about_epochs(images: FittedOn, those: Iterable[_Named], *, everything: bool) -> str:
    """Return the sentence about one set of images."""
    those = list(those)
    which = "" if everything else f" of {listed([name for name, _ in those])}"
    line = (
        f"note: the {images.images:,} images ({images.split}){which} also chose the best of "
        f"{images.epochs} epochs, and a guarantee is for images that were used for nothing else; "
    )
    confidences = [rule.confidence for _, rule in those if rule.confidence is not None]
    if confidences:
        worst = max(0.0, 1 - images.epochs * (1 - min(confidences)))
        line += f"at worst its confidence is {worst:.0%}; "
    return line + "for the full one: colabel calibrate, with others by --data or --split"

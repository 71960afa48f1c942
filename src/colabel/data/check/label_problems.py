"""What can be wrong with the labels of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from colabel.data.check.problems import FEW_POSITIVES, Problem, counted, problem
from colabel.data.class_names import odd_names
from colabel.data.records import UNKNOWN

Targets = npt.NDArray[np.int8]


def label_problems(classes: Sequence[str], targets: Mapping[str, Targets]) -> Iterator[Problem]:
    """Yield what is wrong with the labels, the worst first.

    Args:
        classes: class names.
        targets: of each split that has images, the columns in the order of ``classes``.
    """
    positives = {name: (rows == 1).sum(axis=0) for name, rows in targets.items()}
    negatives = {name: (rows == 0).sum(axis=0) for name, rows in targets.items()}
    yield from _odd_names(classes, positives)
    for name in targets:
        yield from _one_sided(name, classes, positives[name], negatives[name])
    yield from _same_columns(classes, targets)
    if "train" in targets:
        for name in targets:
            if name != "train":
                yield from _shifted(name, classes, targets["train"], targets[name])
    yield from _without_labels(targets)
    yield from _unknown(classes, targets)


def _odd_names(
    classes: Sequence[str], positives: Mapping[str, npt.NDArray[np.int_]]
) -> Iterator[Problem]:
    """Yield classes whose names look as if the labels were not read as meant."""
    counts = sum(positives.values(), np.zeros(len(classes), dtype=np.int_))
    for what, names in odd_names(classes, counts).items():
        yield problem(
            "warning",
            f"{counted(len(names), 'class', 'classes')} with {what}.",
            "If labels were torn apart or left in one piece, the model learns classes that do "
            "not exist.",
            "Compare these names with the table; the options delimiter, labels and each_label "
            "say how to read it.",
            names,
        )


def _one_sided(
    split: str,
    classes: Sequence[str],
    positives: npt.NDArray[np.int_],
    negatives: npt.NDArray[np.int_],
) -> Iterator[Problem]:
    """Yield classes with too few images that have them, or that do not."""
    learns = split.startswith("train")
    absent = [name for name, count in zip(classes, positives, strict=True) if count == 0]
    if absent:
        yield problem(
            "warning",
            f"{counted(len(absent), 'class', 'classes')} without a positive image in {split}.",
            "Such a class cannot be learned."
            if learns
            else "Such a class has no average precision; the mean over classes leaves it out "
            "and so does not tell how well the model finds it.",
            "Add images that show it, or leave the class out."
            if learns
            else f"Move some images that show it to {split}.",
            absent,
        )
    always = [
        name
        for name, has, has_not in zip(classes, positives, negatives, strict=True)
        if has and not has_not
    ]
    if always:
        yield problem(
            "warning",
            f"{counted(len(always), 'class', 'classes')} without a negative image in {split}.",
            "The model learns to answer yes to everything."
            if learns
            else "Every model scores 100 % on such a class.",
            "Add images without it, and write 0 where an image was judged not to show it; -1 "
            "means unknown.",
            always,
        )
    few = [
        f"{name}: {counted(int(count), 'image')}"
        for name, count in zip(classes, positives, strict=True)
        if 0 < count < FEW_POSITIVES
    ]
    if few:
        yield problem(
            "warning" if learns else "note",
            f"{counted(len(few), 'class', 'classes')} with fewer than {FEW_POSITIVES} positive "
            f"images in {split}.",
            "Such a class will hardly be learned."
            if learns
            else "The score of such a class rests on a handful of images: one more or less "
            "changes it by several points.",
            "Add images that show it; until then do not rely on the answers for it."
            if learns
            else "Do not judge or compare models by it.",
            few,
        )


def _same_columns(classes: Sequence[str], targets: Mapping[str, Targets]) -> Iterator[Problem]:
    """Yield classes that are always labelled together."""
    columns = np.concatenate(list(targets.values())).T if targets else np.empty((0, 0), np.int8)
    by_content: dict[bytes, list[str]] = {}
    for name, column in zip(classes, columns, strict=False):
        if (column == 1).any():
            by_content.setdefault(np.ascontiguousarray(column).tobytes(), []).append(name)
    same = [" = ".join(names) for names in by_content.values() if len(names) > 1]
    if same:
        yield problem(
            "warning",
            f"{counted(len(same), 'set')} of classes that are labelled alike in every image.",
            "The model cannot learn to tell them apart.",
            "Keep one of them, or check that a column was not filled in twice.",
            same,
        )


def _shifted(
    split: str, classes: Sequence[str], train: Targets, other: Targets
) -> Iterator[Problem]:
    """Yield classes whose frequency differs from training by more than chance and by half."""
    lines = []
    for column, name in enumerate(classes):
        known = [rows[:, column][rows[:, column] != UNKNOWN] for rows in (train, other)]
        if not all(len(values) for values in known):
            continue
        here, there = (float((values == 1).mean()) for values in known)
        pooled = float((np.concatenate(known) == 1).mean())
        spread = (pooled * (1 - pooled) * sum(1 / len(values) for values in known)) ** 0.5
        if abs(here - there) > 4 * spread and max(here, there) > 1.5 * min(here, there):
            lines.append(f"{name}: {here:.1%} in train, {there:.1%} in {split}")
    if lines:
        yield problem(
            "note",
            f"{counted(len(lines), 'class', 'classes')} more or less frequent in {split} than in "
            "train.",
            "Probabilities come out too high or too low there; the ranking of images suffers "
            "less.",
            f"Find out whether {split} comes from another source; set decision thresholds on "
            "images like those the model will see.",
            lines,
        )


def _without_labels(targets: Mapping[str, Targets]) -> Iterator[Problem]:
    """Yield how many images carry no label."""
    empty = {name: int((~(rows == 1).any(axis=1)).sum()) for name, rows in targets.items()}
    total = sum(empty.values())
    if total:
        images = sum(map(len, targets.values()))
        yield problem(
            "note",
            f"{counted(total, 'image')} of {images:,} without any label.",
            "None, if nothing is to be seen on them: they teach what normal looks like. If "
            "nobody has labelled them yet, they teach the model to overlook.",
            "Remove them, or mark their labels as unknown (-1), if they are not labelled yet.",
            [f"{name}: {counted(count, 'image')}" for name, count in empty.items() if count],
            total,
        )


def _unknown(classes: Sequence[str], targets: Mapping[str, Targets]) -> Iterator[Problem]:
    """Yield how many labels nobody has judged."""
    unknown = sum((rows == UNKNOWN).sum(axis=0) for rows in targets.values())
    total = int(np.sum(unknown))
    if total:
        images = sum(map(len, targets.values()))
        yield problem(
            "note",
            f"{counted(total, 'label')} unknown ({total / (images * len(classes)):.1%}).",
            "They are left out of training and of the scores.",
            "Nothing to do; if they mean absent, write 0.",
            [
                f"{name}: {counted(int(count), 'image')}"
                for name, count in zip(classes, np.atleast_1d(unknown), strict=True)
                if count
            ],
            total,
        )

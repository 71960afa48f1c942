"""What is in a data set and what is wrong with it, before anything is trained."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from colabel.data.check import problems as found
from colabel.data.check.label_problems import label_problems
from colabel.data.check.problems import Place, Problem, Severity
from colabel.data.check.scan import (
    MOST_PAIRS,
    THUMBNAIL,
    Failure,
    Picture,
    Progress,
    for_each,
    look,
    look_alikes,
    same_bytes,
    standardised,
    stat_files,
    verify_images,
)
from colabel.data.reading import Reading
from colabel.data.records import UNKNOWN, Records
from colabel.errors import DataError

__all__ = [
    "CheckReport",
    "ImageSummary",
    "Problem",
    "Severity",
    "SplitSummary",
    "check_records",
    "verify_images",
]


@dataclass(frozen=True)
class SplitSummary:
    """Numbers of one split.

    Args:
        name: of the split.
        images: how many.
        groups: how many patients or slides, ``None`` where none are given.
        labels_per_image: at position n the number of images with n labels.
        positives: per class, images that have it.
        judged: per class, images of which it is known.
        notes: what the reader decided.
    """

    name: str
    images: int
    groups: int | None
    labels_per_image: tuple[int, ...]
    positives: tuple[int, ...]
    judged: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def labels(self) -> int:
        """Return the number of positive labels."""
        return sum(self.positives)

    @property
    def mean_labels(self) -> float:
        """Return labels per image."""
        return self.labels / self.images if self.images else 0.0


@dataclass(frozen=True)
class ImageSummary:
    """What the images that could be decoded look like.

    Args:
        images: how many.
        widths: smallest, median and largest, in pixels, upright.
        heights: likewise.
        modes: images per way of storing pixels, in Pillow's words, the most common first.
        formats: images per file format, the most common first.
    """

    images: int
    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    modes: Mapping[str, int]
    formats: Mapping[str, int]


@dataclass(frozen=True)
class CheckReport:
    """The result of :func:`check_records`.

    Args:
        classes: of all splits, in the order of the first.
        splits: one summary each.
        co_occurrence: shape (classes, classes), images of all splits with both labels; on the
            diagonal, images with the label.
        pictures: ``None`` if no image was decoded.
        problems: the worst first.
        reading: how the table was read, ``None`` for other sources.
    """

    classes: tuple[str, ...]
    splits: tuple[SplitSummary, ...]
    co_occurrence: npt.NDArray[np.int64]
    pictures: ImageSummary | None
    problems: tuple[Problem, ...]
    reading: Reading | None = None

    def of(self, severity: Severity) -> tuple[Problem, ...]:
        """Return the problems of this severity."""
        return tuple(problem for problem in self.problems if problem.severity == severity)

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "classes": list(self.classes),
            "splits": {
                split.name: {
                    "images": split.images,
                    "groups": split.groups,
                    "labels": split.labels,
                    "labels_per_image": list(split.labels_per_image),
                    "mean_labels": split.mean_labels,
                    "positives": dict(zip(self.classes, split.positives, strict=True)),
                    "judged": dict(zip(self.classes, split.judged, strict=True)),
                    "notes": list(split.notes),
                }
                for split in self.splits
            },
            "co_occurrence": self.co_occurrence.tolist(),
            "pictures": None
            if self.pictures is None
            else {
                "images": self.pictures.images,
                "widths": list(self.pictures.widths),
                "heights": list(self.pictures.heights),
                "modes": dict(self.pictures.modes),
                "formats": dict(self.pictures.formats),
            },
            "problems": [problem.to_dict() for problem in self.problems],
            "columns": None if self.reading is None else dict(self.reading.columns),
            "separator": None if self.reading is None else self.reading.separator,
            "rows_left_out": {} if self.reading is None else dict(self.reading.left_out),
            "reading": None if self.reading is None else self.reading.to_dict(),
        }


def check_records(
    splits: Mapping[str, Records],
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Look through a data set and report what is in it and what is wrong with it.

    Without decoding, files are still looked for, and identical files still found; corrupt images
    and images that merely look the same are not.

    Args:
        splits: records by the name of their split; "train" is compared with the others.
        decode: read every image completely.
        workers: threads; ``None`` for one per processor, at most 8.
        progress: called with the number of images done and of all.

    Raises:
        DataError: if there is no split at all.

    Example:
        >>> from colabel.data.readers.shapes import read_shapes
        >>> report = check_records({"train": read_shapes("train", images={"train": 300})})
        >>> report.splits[0].images, len(report.of("error"))
        (300, 0)
    """
    if not splits:
        raise DataError("there is nothing to check: expected at least one split of images.")
    classes = tuple(dict.fromkeys(name for part in splits.values() for name in part.classes))
    targets = {name: aligned(records, classes) for name, records in splits.items()}
    places = [(name, index) for name, records in splits.items() for index in range(len(records))]

    def examine(position: int) -> tuple[int, Picture | None] | Failure:
        name, index = places[position]
        size = stat_files(splits[name], index)
        if isinstance(size, Failure) or not decode:
            return size if isinstance(size, Failure) else (size, None)
        seen = look(splits[name], index)
        return seen if isinstance(seen, Failure) else (size, seen)

    failures: dict[str, list[Failure]] = {name: [] for name in splits}
    pictures: dict[str, list[Picture | None]] = {name: [] for name in splits}
    sizes: list[int] = []
    results = for_each(len(places), examine, workers=workers, progress=progress)
    for (name, _), result in zip(places, results, strict=True):
        if isinstance(result, Failure):
            failures[name].append(result)
        size, picture = (0, None) if isinstance(result, Failure) else result
        sizes.append(size)
        pictures[name].append(picture)
    paths = [splits[name].images.locate(index) for name, index in places]
    copies = [[places[position] for position in group] for group in same_bytes(sizes, paths)]
    filled = {name: rows for name, rows in targets.items() if len(rows)}
    everything = [
        *found.name_problems(splits),
        *found.file_problems(splits, failures),
        *found.copy_problems(splits, copies, _across(splits, pictures, copies)),
        *label_problems(classes, filled),
        *found.picture_problems(splits, pictures),
    ]
    order = ("error", "warning", "note")
    return CheckReport(
        classes=classes,
        splits=tuple(_summary(name, splits[name], targets[name]) for name in splits),
        co_occurrence=_together(list(targets.values()), len(classes)),
        pictures=_picture_summary([one for part in pictures.values() for one in part if one]),
        problems=tuple(sorted(everything, key=lambda problem: order.index(problem.severity))),
        reading=next((part.reading for part in splits.values() if part.reading), None),
    )


def aligned(records: Records, classes: Sequence[str]) -> npt.NDArray[np.int8]:
    """Return the targets with the columns of these classes; unknown where there is none."""
    if records.classes == classes:
        return records.targets
    aligned = np.full((len(records), len(classes)), UNKNOWN, dtype=np.int8)
    aligned[:, [classes.index(name) for name in records.classes]] = records.targets
    return aligned


def _summary(name: str, records: Records, targets: npt.NDArray[np.int8]) -> SplitSummary:
    """Count the labels of one split."""
    positive = targets == 1
    return SplitSummary(
        name=name,
        images=len(records),
        groups=None if records.groups is None else len(set(records.groups)),
        labels_per_image=tuple(np.bincount(positive.sum(axis=1)).tolist()),
        positives=tuple(positive.sum(axis=0).tolist()),
        judged=tuple((targets != UNKNOWN).sum(axis=0).tolist()),
        notes=records.notes,
    )


def _together(targets: Sequence[npt.NDArray[np.int8]], classes: int) -> npt.NDArray[np.int64]:
    """Count the images with both labels, for every pair of classes."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    for rows in targets:
        # exact in float32 up to 16 million images, and many times faster than integers
        positive = (rows == 1).astype(np.float32)
        counts += (positive.T @ positive).astype(np.int64)
    return counts


def _picture_summary(pictures: Sequence[Picture]) -> ImageSummary | None:
    """Count sizes, modes and formats."""
    if not pictures:
        return None

    def range_of(values: Sequence[int]) -> tuple[int, int, int]:
        ordered = sorted(values)
        return ordered[0], ordered[len(ordered) // 2], ordered[-1]

    formats = Counter(picture.format for picture in pictures if picture.format is not None)
    return ImageSummary(
        images=len(pictures),
        widths=range_of([picture.width for picture in pictures]),
        heights=range_of([picture.height for picture in pictures]),
        modes=dict(Counter(picture.mode for picture in pictures).most_common()),
        formats=dict(formats.most_common()),
    )


def _across(
    splits: Mapping[str, Records],
    pictures: Mapping[str, Sequence[Picture | None]],
    copies: Sequence[Sequence[Place]],
) -> list[tuple[Place, Place]]:
    """Return pairs of images in different splits that look the same and are not the same file."""
    group_of = {place: number for number, group in enumerate(copies) for place in group}
    stacks: dict[str, tuple[list[int], npt.NDArray[np.float32]]] = {}
    for name, part in pictures.items():
        readable = [(index, one.miniature) for index, one in enumerate(part) if one is not None]
        rows = np.array([row for _, row in readable], dtype=np.uint8).reshape(-1, THUMBNAIL**2)
        stacks[name] = [index for index, _ in readable], standardised(rows)
    pairs: list[tuple[Place, Place]] = []
    for first, second in itertools.combinations(splits, 2):
        (indices, miniatures), (other_indices, other_miniatures) = stacks[first], stacks[second]
        for row, other_row in look_alikes(miniatures, other_miniatures):
            one, other = (first, indices[row]), (second, other_indices[other_row])
            same_file = group_of.get(one, -1) == group_of.get(other, -2)
            same_name = splits[first].ids[one[1]] == splits[second].ids[other[1]]
            if not same_file and not same_name:
                pairs.append((one, other))
    return pairs[:MOST_PAIRS]

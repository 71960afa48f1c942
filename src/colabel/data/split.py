"""Dividing images into training, validation and test, by label and without tearing groups."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from colabel.data.opening import read_lines
from colabel.data.readers.rows import read_rows
from colabel.data.records import Records
from colabel.errors import DataError, listed
from colabel.files import replace_file

SPLITS = ("train", "val", "test")
"""The names of the splits, in the order they are used."""

DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}


def _check_fractions(fractions: Mapping[str, float], items: int) -> None:
    if not fractions or any(not share > 0 for share in fractions.values()):
        raise DataError(f"fractions must be positive, got {dict(fractions)}.")
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise DataError(
            f"fractions must add up to 1, got {dict(fractions)} = {sum(fractions.values()):g}."
        )
    if items < len(fractions):
        raise DataError(
            f"{items} images or groups cannot fill {len(fractions)} splits "
            f"({', '.join(fractions)}); add images or ask for fewer splits."
        )


def number_groups(groups: Sequence[str] | None, images: int) -> npt.NDArray[np.int64]:
    """Return the number of the group of each image, counted in order of first appearance."""
    if groups is None:
        return np.arange(images)
    if len(groups) != images:
        raise DataError(f"{len(groups)} groups for {images} images; expected one per image.")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


class _Desire:
    """How many images, and images of each label, every split still wants."""

    def __init__(
        self, shares: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], images: int
    ) -> None:
        self.images: list[float] = [float(share * images) for share in shares]
        self.labels: list[list[float]] = [
            [float(share * count) for share in shares] for count in labels
        ]
        self.members = [0] * len(shares)

    def place(
        self, sizes: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], label: int | None
    ) -> list[int]:
        """Choose the split of groups, one after the other, and count them there.

        Args:
            sizes: images of each group.
            counts: images of each group with each label, shape (groups, labels).
            label: the label the groups are placed for; ``None`` where they have none.
        """
        images = self.images
        wanted = None if label is None else self.labels[label]
        carried = sizes if label is None else counts[:, label]
        others = range(1, len(images))
        placed = []
        for size, count in zip(sizes.tolist(), carried.tolist(), strict=True):
            chosen = 0
            for split in others:
                if wanted is None or wanted[split] == wanted[chosen]:
                    if images[split] > images[chosen]:
                        chosen = split
                elif wanted[split] > wanted[chosen]:
                    chosen = split
            images[chosen] -= size
            if wanted is not None:
                wanted[chosen] -= count
            self.members[chosen] += 1
            placed.append(chosen)
        if label is not None:
            # what is wanted of the other labels is not asked before all of these are placed
            groups, numbers = np.nonzero(counts)
            told = counts[groups, numbers].tolist()
            for group, number, count in zip(groups.tolist(), numbers.tolist(), told, strict=True):
                if number != label:
                    self.labels[number][placed[group]] -= count
        return placed


def stratified_split(
    targets: npt.NDArray[np.int8],
    *,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> npt.NDArray[np.str_]:
    """Assign every image to a split so that each label is spread as the fractions say.

    Iterative stratification: the label with the fewest unplaced images comes first, since it is
    the hardest to spread; each of its images goes to the split that wants that label most, then
    the one that wants images most. With groups the unit is the group, larger ones first. Unknown
    labels (-1) count as not present.

    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, 2011.

    Deviation: groups; ties are settled by a shuffle of the images, not by a draw at each tie.

    Args:
        targets: int8, shape (images, classes), in {1, 0, -1}.
        fractions: share of the images by split name; positive, adding up to 1.
        groups: one name per image; images of one name stay together.
        seed: non-negative; the same seed gives the same split.

    Returns:
        The name of the split of each image.

    Raises:
        DataError: if the fractions do not add up, or there are fewer groups than splits.

    Example:
        >>> targets = np.eye(4, dtype=np.int8).repeat(5, axis=0)
        >>> names = stratified_split(targets, fractions={"train": 0.8, "test": 0.2})
        >>> targets[names == "test"].sum(axis=0).tolist()
        [1, 1, 1, 1]
    """
    present = targets == 1
    member = number_groups(groups, len(present))
    total = int(member.max()) + 1 if len(member) else 0
    _check_fractions(fractions, total)
    if groups is None:
        counts = present.astype(np.int64)
    else:
        counts = np.zeros((total, present.shape[1]), dtype=np.int64)
        np.add.at(counts, member, present)
    sizes = np.bincount(member, minlength=total)

    shuffled = np.random.default_rng(seed).permutation(total)
    desire = _Desire(np.array(list(fractions.values())), counts.sum(axis=0), len(present))
    placed = np.full(total, -1)
    unplaced = counts.sum(axis=0)  # images of each label in groups without a split

    while (unplaced > 0).any():
        label = int(np.where(unplaced > 0, unplaced, np.iinfo(np.int64).max).argmin())
        waiting = shuffled[(placed[shuffled] < 0) & (counts[shuffled, label] > 0)]
        ordered = waiting[np.argsort(-counts[waiting, label], kind="stable")]
        placed[ordered] = desire.place(sizes[ordered], counts[ordered], label)
        unplaced -= counts[waiting].sum(axis=0)
    waiting = shuffled[placed[shuffled] < 0]
    ordered = waiting[np.argsort(-sizes[waiting], kind="stable")]
    placed[ordered] = desire.place(sizes[ordered], counts[ordered], None)
    _fill_empty(placed, desire, sizes)
    names: npt.NDArray[np.str_] = np.array(list(fractions))[placed[member]]
    return names


def _fill_empty(
    placed: npt.NDArray[np.int64], desire: _Desire, sizes: npt.NDArray[np.int64]
) -> None:
    """Give a split that got nothing the smallest group of the split that has the most."""
    for split, members in enumerate(desire.members):
        if members == 0:
            donor = int(np.argmax(desire.members))
            candidates = np.flatnonzero(placed == donor)
            placed[candidates[np.argmin(sizes[candidates])]] = split
            desire.members[donor] -= 1
            desire.members[split] += 1


def divide(records: Records, names: Sequence[str]) -> dict[str, Records]:
    """Return the records of each split, in the order the images had.

    Args:
        records: images and targets.
        names: the split of each image, as :func:`stratified_split` returns it.
    """
    if len(names) != len(records):
        raise DataError(f"{len(names)} split names for {len(records)} images.")
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        positions.setdefault(str(name), []).append(position)
    known = [name for name in SPLITS if name in positions]
    others = sorted(name for name in positions if name not in SPLITS)
    return {name: records.subset(positions[name]) for name in (*known, *others)}


def hold_out(
    records: Records,
    fraction: float,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Records, Records]:
    """Split off a share of the images, by label and without tearing groups.

    Args:
        records: images and targets, with groups where there are some.
        fraction: share of the images to hold out, between 0 and 1, exclusive.
        groups: one name per image to keep together, instead of those of the records.
        seed: non-negative.

    Returns:
        The rest, and the held-out images, both in the order the images had.

    Raises:
        DataError: if the fraction is out of range or there are too few images.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction to hold out must be between 0 and 1, got {fraction}.")
    names = stratified_split(
        records.targets,
        fractions={"rest": 1 - fraction, "held out": fraction},
        groups=records.groups if groups is None else groups,
        seed=seed,
    )
    parts = divide(records, names.tolist())
    return parts["rest"], parts["held out"]


def write_split_table(path: Path, ids: Sequence[str], names: Sequence[str]) -> None:
    """Write id and split of each image as CSV; the file appears whole or not at all."""
    if len(ids) != len(names):
        raise DataError(f"{len(ids)} ids for {len(names)} split names.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "split"))
    writer.writerows(zip(ids, names, strict=True))
    replace_file(path, lambda file: file.write(text.getvalue().encode()))


def read_split_table(path: Path) -> dict[str, str]:
    """Return the split of each id, from what :func:`write_split_table` wrote or from lists.

    Args:
        path: a CSV file with the columns id and split, or a folder with train.txt, val.txt and
            test.txt (those that exist), one id per line.

    Raises:
        DataError: if the file is not of this form, or an id has two splits.
    """
    if os.path.isdir(path):
        pairs = _read_lists(path)
    else:
        rows = read_rows(path)
        if not {"id", "split"} <= rows.columns.keys():
            raise DataError(
                f"{path}: expected the columns id and split, got {listed(list(rows.columns))}."
            )
        pairs = list(zip(rows.columns["id"], rows.columns["split"], strict=True))
    names: dict[str, str] = {}
    for identifier, name in pairs:
        if names.setdefault(identifier, name) != name:
            raise DataError(
                f"{path}: {identifier!r} is in {names[identifier]} and in {name}; "
                "an image belongs to one split."
            )
    return names


def _read_lists(folder: Path) -> list[tuple[str, str]]:
    files = [(folder / f"{split}.txt", split) for split in SPLITS]
    pairs = [
        (line.strip(), split)
        for path, split in files
        if os.path.isfile(path)
        for line in read_lines(path, expected="one id per line")
        if line.strip()
    ]
    if not pairs:
        raise DataError(f"{folder}: expected train.txt, val.txt or test.txt with one id per line.")
    return pairs

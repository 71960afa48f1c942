"""What can be wrong with a data set, in words: what it is, what it costs, what to do."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from colabel.data.changes import CHANGES
from colabel.data.check.scan import MOST_PAIRS, Failure, Picture
from colabel.data.records import Records

Severity = Literal["error", "warning", "note"]
Place = tuple[str, int]
"""An image: the name of its split and its position there."""

FEW_POSITIVES = 10
"""Fewer positive images than this teach little and measure little."""

MOST_EXAMPLES = 1000
"""Where the list of examples of one problem is cut."""

_TOO_HIGH = "the model is measured on what it has learned from, so its scores come out too high."


@dataclass(frozen=True)
class Problem:
    """One thing about a data set that somebody should know.

    Args:
        severity: "error" stops the training or makes its scores wrong, "warning" may, "note"
            needs nothing.
        what: what was found.
        cost: what happens if it stays.
        remedy: what to do.
        count: how many there are.
        examples: names of the first ones, at most ``MOST_EXAMPLES``.
    """

    severity: Severity
    what: str
    cost: str
    remedy: str
    count: int
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**vars(self), "examples": list(self.examples)}


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "image"), counted(1200, "image"), counted(2, "class", "classes")
        ('1 image', '1,200 images', '2 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def problem(
    severity: Severity, what: str, cost: str, remedy: str, examples: Sequence[str], count: int = 0
) -> Problem:
    """Return a problem whose count is the number of examples unless given."""
    shown = tuple(examples[:MOST_EXAMPLES])
    return Problem(severity, what, cost, remedy, count or len(examples), shown)


def file_problems(
    splits: Mapping[str, Records], failures: Mapping[str, Sequence[Failure]]
) -> Iterator[Problem]:
    """Yield what is wrong with files that are not there or cannot be read."""
    total = sum(len(records) for records in splits.values())
    everything = [(name, failure) for name in splits for failure in failures.get(name, ())]
    skip = "To train without them, set data.on_corrupt: skip."
    stops = "Training stops before the first epoch."
    missing = [(name, failure.index) for name, failure in everything if failure.missing]
    if missing:
        examples = [
            f"{place[0]}: {_where(splits, place, search=number < 5)}"
            for number, place in enumerate(missing[:MOST_EXAMPLES])
        ]
        everywhere = len(missing) == total
        yield problem(
            "error",
            f"None of the {counted(total, 'image file')} is there."
            if everywhere
            else f"{counted(len(missing), 'image file')} of {total:,} cannot be found.",
            stops,
            "Check the folder of the data: the labels and the images do not lie as expected."
            if everywhere
            else "Copy these files to where they are looked for, or correct their names in the "
            f"labels; upper and lower case matter. {skip}",
            examples,
            len(missing),
        )
    broken = [
        f"{_name(splits, (name, failure.index))}: {failure.reason}"
        for name, failure in everything
        if not failure.missing
    ]
    if broken:
        yield problem(
            "error",
            f"{counted(len(broken), 'image file')} cannot be read.",
            stops,
            f"{_what_to_do_with(broken)} {skip}",
            broken,
        )


def _what_to_do_with(broken: Sequence[str]) -> str:
    """Return what helps against files that cannot be read, as far as their reasons say it."""
    settings = sum("--set " in reason for reason in broken)
    again = "Export or copy these files again from where they came."
    if settings == len(broken):
        return "Give the setting that is named below."
    if settings:
        return f"Give the setting that is named below for {settings} of them. {again}"
    return again


def copy_problems(
    splits: Mapping[str, Records],
    copies: Sequence[Sequence[Place]],
    alikes: Sequence[tuple[Place, Place]],
) -> Iterator[Problem]:
    """Yield what is wrong with images that occur more than once."""
    across: list[str] = []
    within: list[str] = []
    disagreeing: list[str] = []
    for every in copies:
        # the same name in two splits is a problem of names, and reported there
        group = list({splits[split].ids[index]: (split, index) for split, index in every}.values())
        if len(group) == 1:
            continue
        names = " = ".join(_name(splits, place) for place in group)
        (across if len({split for split, _ in group}) > 1 else within).append(names)
        rows = [splits[split].targets[index] for split, index in group]
        same_columns = len({splits[split].classes for split, _ in group}) == 1
        if same_columns and any((row != rows[0]).any() for row in rows):
            disagreeing.append(names)
    if across:
        yield problem(
            "error",
            f"{counted(len(across), 'image')} in more than one split, as identical files.",
            _TOO_HIGH.capitalize(),
            "Keep each of them in one split only.",
            across,
        )
    if within:
        yield problem(
            "warning",
            f"{counted(len(within), 'image')} more than once in the same split, as identical "
            "files.",
            "They count more than the others, in training and in the scores.",
            "Keep one of each.",
            within,
        )
    if disagreeing:
        yield problem(
            "warning",
            f"{counted(len(disagreeing), 'image')} with different labels in different rows.",
            "The model is taught both, and at least one is wrong.",
            "Decide which labels are right and keep that row.",
            disagreeing,
        )
    if alikes:
        number = counted(len(alikes), "pair") + (" or more" if len(alikes) >= MOST_PAIRS else "")
        yield problem(
            "warning",
            f"{number} of images in different splits that look the same.",
            f"None, if they merely resemble each other. If they are copies: {_TOO_HIGH}",
            "Look at these pairs; where both show the same picture, keep it in one split only.",
            [" ~ ".join(_name(splits, place) for place in pair) for pair in alikes],
        )


def name_problems(splits: Mapping[str, Records]) -> Iterator[Problem]:
    """Yield what is wrong with names that should belong to one split, or to all of them."""
    empty = [name for name, records in splits.items() if not len(records)]
    if empty:
        yield problem(
            "error",
            f"No images in {_listed(empty)}.",
            "There is nothing to train on or to measure.",
            "Check the split column or the list files of the data.",
            empty,
        )
    first = next(iter(splits))
    differing = [
        f"{name}: {'another order' if not odd else ', '.join(odd)}"
        for name, records in splits.items()
        if records.classes != splits[first].classes
        for odd in [sorted(set(records.classes) ^ set(splits[first].classes))]
    ]
    if differing:
        yield problem(
            "error",
            f"The classes of {first} and of {_listed(line.split(':')[0] for line in differing)} "
            "differ.",
            "A model has one list of classes; training stops before the first epoch.",
            "Give every split the same classes in the same order; a class without positive "
            "images is a column of 0, or of -1 where nobody has judged it.",
            differing,
        )
    ids = _in_more_than_one({name: records.ids for name, records in splits.items()})
    if ids:
        yield problem(
            "error",
            f"{counted(len(ids), 'image name')} in more than one split.",
            _TOO_HIGH.capitalize(),
            "Keep each image in one split only.",
            ids,
        )
    groups = _in_more_than_one({name: records.groups or () for name, records in splits.items()})
    if groups:
        yield problem(
            "error",
            f"{counted(len(groups), 'group')} (patients, slides) with images in more than one "
            "split.",
            "The model can recognise the patient instead of the finding, so its scores come out "
            "too high.",
            "Put all images of a group into the same split; without a split column colabel makes "
            "such a split itself.",
            groups,
        )


def picture_problems(
    splits: Mapping[str, Records], pictures: Mapping[str, Sequence[Picture | None]]
) -> Iterator[Problem]:
    """Yield what is remarkable about the images that can be read."""
    named = [
        (_name(splits, (name, index)), picture)
        for name in splits
        for index, picture in enumerate(pictures.get(name, ()))
        if picture is not None
    ]
    blank = [name for name, picture in named if picture.darkest == picture.brightest]
    if blank:
        yield problem(
            "warning",
            f"{counted(len(blank), 'image')} of one single tone.",
            "There is nothing on them to learn their labels from.",
            "Look at them; remove them if they are failed exports.",
            blank,
        )
    for key, change in CHANGES.items():
        changed = [(name, picture) for name, picture in named if key in picture.changes]
        if changed:
            yield problem(
                change.severity,
                f"{counted(len(changed), 'image')} {change.what}.",
                change.cost,
                _brighter(changed) if key == "dark" else change.remedy,
                [
                    f"{name}: grey values {picture.darkest} to {picture.brightest} of 255, "
                    f"stored as {picture.mode}"
                    for name, picture in changed
                ],
            )
    narrow = [
        f"{name}: {picture.width} x {picture.height}"
        for name, picture in named
        if max(picture.width, picture.height) >= 3 * min(picture.width, picture.height)
    ]
    if narrow:
        yield problem(
            "note",
            f"{counted(len(narrow), 'image')} at least three times as long as wide.",
            "Every image is squeezed into a square; these are distorted most.",
            "Crop them to what matters if the shape of things matters.",
            narrow,
        )
    tiny = [
        f"{name}: {picture.width} x {picture.height}"
        for name, picture in named
        if min(picture.width, picture.height) < 32
    ]
    if tiny:
        yield problem(
            "note",
            f"{counted(len(tiny), 'image')} under 32 pixels high or wide.",
            "Enlarged to the training size they are blurred.",
            "Use the originals if these are previews.",
            tiny,
        )
    turned = [name for name, picture in named if picture.turned]
    if turned:
        yield problem(
            "note",
            f"{counted(len(turned), 'image')} stored lying, with a note to turn them.",
            "None: they are turned before use.",
            "Nothing to do.",
            turned,
        )
    colour = Counter("grey" if picture.mode in _GREY else "colour" for _, picture in named)
    if len(colour) > 1:
        rare = min(colour, key=colour.__getitem__)
        yield problem(
            "note",
            f"{counted(colour['grey'], 'image')} stored as greyscale, "
            f"{colour['colour']:,} in colour.",
            "If one kind comes from another device or hospital, the model may learn the device "
            "instead of the finding.",
            "Check that both kinds occur with and without each label.",
            [name for name, picture in named if (picture.mode in _GREY) == (rare == "grey")],
        )


def _brighter(dark: Sequence[tuple[str, Picture]]) -> str:
    """Say what to do about images that are nearly black, by how high their values reach."""
    peaks = [picture.peak for _, picture in dark if picture.peak is not None]
    export = "export them with the display window applied, or stretched to the full range."
    if not peaks:
        return export.capitalize()
    return (
        f"All but one in a thousand of their values stay below {max(peaks):,.5g}: try "
        f"--set data.scale={max(peaks):.5g}, or {export}"
    )


_GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"})


def _name(splits: Mapping[str, Records], place: Place) -> str:
    """Return the split and the id of an image."""
    return f"{place[0]}: {splits[place[0]].ids[place[1]]}"


def _where(splits: Mapping[str, Records], place: Place, *, search: bool) -> str:
    """Return where a missing file should be and, for a search, what lies there instead."""
    path = splits[place[0]].images.locate(place[1])
    folder, name = os.path.split(path)
    if not search:
        return path
    if not os.path.isdir(folder):
        return f"{path} (there is no such folder)"
    stem = os.path.splitext(name)[0].lower()
    beside = sorted(
        other for other in os.listdir(folder) if os.path.splitext(other)[0].lower() == stem
    )
    return f"{path} (there is {beside[0]})" if beside else path


def _listed(names: Iterable[str]) -> str:
    """Return names joined for a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _in_more_than_one(names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names that occur under more than one key, with these keys."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for split, members in names.items():
        for member in dict.fromkeys(members):
            found[member].append(split)
    return [f"{member}: {_listed(where)}" for member, where in found.items() if len(where) > 1]

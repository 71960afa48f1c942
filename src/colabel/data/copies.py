"""Identical image files, which must not be spread over splits."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from colabel.data.check.problems import counted
from colabel.data.check.scan import same_bytes
from colabel.data.images import FileImages
from colabel.data.records import Records

_FEWEST_GROUPS = 3


def groups_with_copies(records: Records) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return groups that also hold identical files together, and a note where there are some.

    Files of a size that no other has are not read.

    Args:
        records: images, with groups where there are some.

    Returns:
        A name per image as in ``Records.groups``, ``None`` if each image stands alone; notes.
    """
    if not isinstance(records.images, FileImages):
        return records.groups, ()
    paths = [records.images.locate(index) for index in range(len(records))]
    copies = same_bytes([_size(path) for path in paths], paths)
    if not copies:
        return records.groups, ()
    joined = _Joined(list(records.groups or map(str, range(len(records)))))
    for positions in copies:
        joined.join(positions)
    first = records.ids[copies[0][0]], records.ids[copies[0][1]]
    names = joined.names()
    if len(set(names)) < _FEWEST_GROUPS:
        return records.groups, (
            f"only {len(set(names))} different files or groups among {len(records)} images, too "
            "few to divide: copies of one file are in more than one split",
        )
    note = (
        f"{sum(map(len, copies))} images are copies of others, "
        f"{counted(len(copies), 'different file')} in all, first {first[0]} = {first[1]}; "
        "copies are kept in one split"
    )
    return tuple(names), (note,)


def groups_across(parts: Sequence[Records]) -> tuple[str, ...] | None:
    """Return groups of the images of several splits, one split after the other.

    Images of one group, and identical files, are together wherever they are.

    Args:
        parts: the splits.

    Returns:
        A name per image, ``None`` if each image stands alone.
    """
    groups: list[str] = []
    paths: list[str] = []
    for number, part in enumerate(parts):
        own = part.groups
        groups += [
            f"image {number} {index}" if own is None else f"group {own[index]}"
            for index in range(len(part))
        ]
        has_files = isinstance(part.images, FileImages)
        paths += [part.images.locate(index) if has_files else "" for index in range(len(part))]
    copies = same_bytes([_size(path) if path else 0 for path in paths], paths)
    if not copies and len(set(groups)) == len(groups):
        return None
    joined = _Joined(groups)
    for positions in copies:
        joined.join(positions)
    return tuple(joined.names())


def _size(path: str) -> int:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


class _Joined:
    """Groups that grow together where an image is in both."""

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups
        self._above = {group: group for group in groups}

    def _top(self, group: str) -> str:
        while self._above[group] != group:
            self._above[group] = self._above[self._above[group]]
            group = self._above[group]
        return group

    def join(self, positions: list[int]) -> None:
        first = self._top(self._groups[positions[0]])
        for position in positions[1:]:
            self._above[self._top(self._groups[position])] = first

    def names(self) -> list[str]:
        return [self._top(group) for group in self._groups]

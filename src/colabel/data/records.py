"""What every reader returns: which images, which labels, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from colabel.data.reading import Reading
from colabel.errors import DataError
from colabel.names import check_class_names, not_text

UNKNOWN = -1
"""Target of a label nobody has judged: masked in every loss and every metric."""


class ImageSource(Protocol):
    """A sequence of images that can be opened by position."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def open(self, index: int) -> Image.Image:
        """Return image ``index`` upright, as RGB, decoded; raise ImageError if it cannot be."""
        ...

    def locate(self, index: int) -> str:
        """Return the name of image ``index`` for messages: its path where it has one."""
        ...

    def select(self, indices: Sequence[int]) -> ImageSource:
        """Return the source restricted to these positions, in this order."""
        ...


@dataclass(frozen=True)
class Records:
    """Images and their labels in a fixed order.

    Args:
        ids: one unique, stable name per image (its path in the data folder, or an id column).
        images: where the pixels come from, in the order of ``ids``.
        targets: int8, shape (images, classes): 1 present, 0 absent, -1 unknown.
        classes: class names in the order of the columns of ``targets``.
        groups: one name per image that must not be spread over splits (a patient), or ``None``.
        root: folder the paths are relative to, or ``None`` where there are no files.
        notes: what the reader decided that a user should know ("12 images without labels kept").
        reading: how the table they come from was read, ``None`` for other sources.

    Raises:
        DataError: on disagreeing lengths, repeated ids or classes, names of classes that
            :func:`~colabel.names.check_class_names` refuses, or targets not in 1, 0, -1.
    """

    ids: tuple[str, ...]
    images: ImageSource
    targets: npt.NDArray[np.int8]
    classes: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    root: Path | None = None
    notes: tuple[str, ...] = ()
    reading: Reading | None = None

    def __post_init__(self) -> None:
        """Check once, so that nothing downstream has to."""
        if not len(self.ids) == len(self.images) == len(self.targets):
            raise DataError(
                f"{len(self.ids)} ids, {len(self.images)} images and {len(self.targets)} rows of "
                "targets: expected the same number of each."
            )
        if self.groups is not None and len(self.groups) != len(self.ids):
            raise DataError(f"{len(self.groups)} groups for {len(self.ids)} images.")
        if self.targets.ndim != 2 or self.targets.shape[1] != len(self.classes):
            raise DataError(
                f"targets of shape {self.targets.shape} do not fit {len(self.classes)} classes."
            )
        known = (self.targets == 0) | (self.targets == 1) | (self.targets == UNKNOWN)
        if not known.all():  # np.isin would take ten times as long
            raise DataError("targets must be 1 (present), 0 (absent) or -1 (unknown).")
        check_class_names(self.classes)
        for what, of_images in (("id", self.ids), ("group", self.groups or ())):
            half = not_text(of_images)
            if half is not None:
                raise DataError(
                    f"the {what} {ascii(half)[:80]} holds half of a surrogate pair, which no text "
                    "can; rename the file, or correct the list."
                )
        for what, names in (("id", self.ids), ("class", self.classes)):
            if len(set(names)) != len(names):
                seen: set[str] = set()
                twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
                raise DataError(
                    f"the {what} {twice!r} occurs more than once; each must be unique."
                )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def subset(self, indices: Sequence[int]) -> Records:
        """Return these images, in this order."""
        chosen = [int(index) for index in indices]
        return replace(
            self,
            ids=tuple(self.ids[index] for index in chosen),
            images=self.images.select(chosen),
            targets=self.targets[chosen],
            groups=None if self.groups is None else tuple(self.groups[index] for index in chosen),
        )

    def fingerprint(self) -> str:
        """Return a hash of ids, classes and targets, which tells two data sets apart."""
        digest = hashlib.sha256()
        for names in (self.classes, self.ids):
            digest.update("\x1f".join(names).encode())
            digest.update(b"\x1e")
        digest.update(np.ascontiguousarray(self.targets).tobytes())
        return digest.hexdigest()[:16]

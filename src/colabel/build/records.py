"""Records made fit for a model: images that can be decoded, labels in the model's order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from colabel.config import Config
from colabel.data import UNKNOWN, Records
from colabel.data.cache import PixelCache
from colabel.data.check import Verified, describe_changes, verify_images
from colabel.data.dataset import without_corrupt
from colabel.data.decode import is_reduced
from colabel.data.pixels import Decoded
from colabel.data.transforms import squash_pixels
from colabel.errors import DataError
from colabel.training import Display


def decodable(
    records: Records,
    split: str,
    config: Config,
    accelerator: Accelerator,
    display: Display | None,
    *,
    on_corrupt: Literal["stop", "skip"] | None = None,
    cache: PixelCache | None = None,
) -> Records:
    """Decode every image once, and stop or leave out as the user asked.

    Args:
        records: the images.
        split: their name, for the note.
        config: whether images are decoded, and what a corrupt one does.
        accelerator: each process decodes its share; all of them return the same records.
        display: shows on the main process that images are decoded; ``None`` shows nothing.
        on_corrupt: replaces the setting; ``"skip"`` decodes in any case.
        cache: gets the pixels that training and validation will ask for, so that nothing is
            decoded twice; built for these records.

    Raises:
        ImageError: naming the corrupt files, in the order of the records, if they are not to be
            left out or nothing would be left.
    """
    verified = Verified()
    if config.data.verify or on_corrupt == "skip":
        if display is not None and accelerator.is_main_process:
            display.note(f"{split}: decoding {len(records)} images once")
        verified = _verify_together(records, accelerator, cache)
    notes = describe_changes(records, verified.changes)
    return without_corrupt(
        replace(records, notes=(*records.notes, *notes)) if notes else records,
        verified.failures,
        on_corrupt=on_corrupt or config.data.on_corrupt,
    )


def _verify_together(
    records: Records, accelerator: Accelerator, cache: PixelCache | None
) -> Verified:
    """Decode the images in shares and return what came of all of them, in their order.

    The shares are interleaved, so that neighbours of like size are spread over the processes and
    none waits long for another.
    """
    processes: int = accelerator.num_processes
    own = range(accelerator.process_index, len(records), processes)

    def keep(position: int, decoded: Decoded) -> None:
        if cache is None or own[position] >= cache.capacity or is_reduced(decoded, cache.size):
            return
        cache.put(own[position], squash_pixels(np.array(decoded.image), cache.size))

    found = verify_images(records.subset(own), workers=decoding_threads(processes), keep=keep)
    failures = [(own[position], message) for position, message in found.failures]
    changes = [(own[position], key) for position, key in found.changes]
    if processes > 1:
        failures, changes = sorted(gather_object(failures)), sorted(gather_object(changes))
    return Verified(tuple(failures), tuple(changes))


def decoding_threads(processes: int) -> int:
    """Return the threads in which each of some processes decodes its share of the images."""
    return max(1, min(8, (os.cpu_count() or 1) // processes))


def with_classes(
    records: Records,
    classes: Sequence[str],
    source: str,
    *,
    missing_labels: Literal["absent", "unknown"] | None = None,
) -> Records:
    """Return records with the labels of a model, in its order.

    A label is unknown where the data had no place to say it.

    Args:
        records: images and labels.
        classes: what the model knows.
        source: for messages.
        missing_labels: what a label is that the records do not have; ``None`` goes by the data.

    Returns:
        The records. A label they do not have is absent where labels are listed, since a list is
        complete, and unknown (-1) where every label has a column; a note says so.

    Raises:
        DataError: if they have a label that the model does not know.
    """
    strangers = [name for name in records.classes if name not in classes]
    if strangers:
        raise DataError(
            f"{source} has labels that the model does not know: {', '.join(strangers)}; it knows "
            f"{', '.join(classes)}. Rename or remove them."
        )
    missing = [name for name in classes if name not in records.classes]
    complete = records.reading is not None and records.reading.complete
    taken = missing_labels or ("absent" if complete else "unknown")
    fill = {"absent": 0, "unknown": UNKNOWN}[taken]
    targets = np.full((len(records), len(classes)), fill, dtype=np.int8)
    for column, name in enumerate(records.classes):
        targets[:, classes.index(name)] = records.targets[:, column]
    notes = records.notes
    if missing:
        effect = {
            "unknown": "unknown, so left out of all metrics (--missing-labels absent counts them)",
            "absent": "absent from each image (--missing-labels unknown leaves them out)",
        }[taken]
        names = ", ".join(missing)
        notes = (*notes, f"labels that the data does not have: {names}; taken as {effect}")
    return replace(records, targets=targets, classes=tuple(classes), notes=notes)

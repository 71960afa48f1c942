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
from colabel.data.check import verify_images
from colabel.data.dataset import without_corrupt
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
) -> Records:
    """Decode every image once, and stop or leave out as the user asked.

    Args:
        records: the images.
        split: their name, for the note.
        config: whether images are decoded, and what a corrupt one does.
        accelerator: each process decodes its share; all of them return the same records.
        display: shows a note on the main process; ``None`` shows nothing.
        on_corrupt: replaces the setting; ``"skip"`` decodes in any case.

    Raises:
        ImageError: naming the corrupt files, in the order of the records, if they are not to be
            left out or nothing would be left.
    """
    corrupt: list[tuple[int, str]] = []
    if config.data.verify or on_corrupt == "skip":
        if display is not None and accelerator.is_main_process:
            display.note(f"{split}: decoding {len(records)} images once")
        corrupt = _verify_together(records, accelerator)
    return without_corrupt(records, corrupt, on_corrupt=on_corrupt or config.data.on_corrupt)


def _verify_together(records: Records, accelerator: Accelerator) -> list[tuple[int, str]]:
    """Return the corrupt images of all shares, in the order of the records.

    The shares are interleaved, so that neighbours of like size are spread over the processes and
    none waits long for another.
    """
    processes: int = accelerator.num_processes
    own = range(accelerator.process_index, len(records), processes)
    threads = max(1, min(8, (os.cpu_count() or 1) // processes))
    found = [
        (own[position], message)
        for position, message in verify_images(records.subset(own), workers=threads)
    ]
    return found if processes == 1 else sorted(gather_object(found))


def with_classes(
    records: Records,
    classes: Sequence[str],
    source: str,
    *,
    missing_labels: Literal["unknown", "absent"] = "unknown",
) -> Records:
    """Return records with the labels of a model, in its order.

    A label that is nowhere in the data may not have been looked for: it is unknown, whether the
    data has a column per label or lists of labels, unless the caller knows better.

    Args:
        records: images and labels.
        classes: what the model knows.
        source: for messages.
        missing_labels: what a label is that the records do not have.

    Returns:
        The records; a note names the labels that they do not have.

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
    fill = UNKNOWN if missing_labels == "unknown" else 0
    targets = np.full((len(records), len(classes)), fill, dtype=np.int8)
    for column, name in enumerate(records.classes):
        targets[:, classes.index(name)] = records.targets[:, column]
    notes = records.notes
    if missing:
        effect = {
            "unknown": "unknown, so left out of every metric; --missing-labels absent counts them",
            "absent": "absent from every image",
        }[missing_labels]
        names = ", ".join(missing)
        notes = (*notes, f"labels that the data does not have: {names}; taken as {effect}")
    return replace(records, targets=targets, classes=tuple(classes), notes=notes)

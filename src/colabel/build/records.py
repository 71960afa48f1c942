"""Records made fit for a model: images that can be decoded, labels in the model's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

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
    """Decode every image once on the main process, and stop or leave out as the user asked."""
    corrupt: list[list[tuple[int, str]]] = [[]]
    if (config.data.verify or on_corrupt == "skip") and accelerator.is_main_process:
        if display is not None:
            display.note(f"{split}: decoding {len(records)} images once")
        corrupt = [verify_images(records)]
    if accelerator.num_processes > 1:
        broadcast_object_list(corrupt)
    return without_corrupt(records, corrupt[0], on_corrupt=on_corrupt or config.data.on_corrupt)


def with_classes(records: Records, classes: Sequence[str], source: str) -> Records:
    """Return records with the labels of a model, in its order.

    Args:
        records: images and labels.
        classes: what the model knows.
        source: for messages.

    Returns:
        The records; a label they do not have is unknown (-1), which a note says.

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
    targets = np.full((len(records), len(classes)), UNKNOWN, dtype=np.int8)
    for column, name in enumerate(records.classes):
        targets[:, classes.index(name)] = records.targets[:, column]
    notes = records.notes
    if missing:
        notes = (
            *notes,
            f"labels that the data does not have, taken as unknown: {', '.join(missing)}",
        )
    return replace(records, targets=targets, classes=tuple(classes), notes=notes)

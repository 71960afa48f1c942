"""Predictions of a split with their names, and what tells the results of sources apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from colabel.config import Config
from colabel.data import Records
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.training import Collected


def name_predictions(
    collected: Collected, records: Records, split: str, model: str = ""
) -> Predictions:
    """Name the rows that came back from the model, and the model."""
    extra = {} if collected.variance is None else {"variance": collected.variance}
    return Predictions(
        ids=tuple(records.ids[index] for index in collected.indices),
        classes=records.classes,
        logits=np.asarray(collected.logits, dtype=np.float32),
        targets=collected.targets,
        split=split,
        extra=extra,
        model=model,
        groups=()
        if records.groups is None
        else tuple(records.groups[i] for i in collected.indices),
    )


def describe_data(config: Config, records: Records) -> dict[str, Any]:
    """Return what metrics say of the images they were measured on."""
    return {
        "source": config.data.source,
        "options": config.data.model_dump(mode="json")["options"],
        "fingerprint": records.fingerprint(),
        "notes": list(records.notes),
    }


def suffix_of_source(run: RunFolder, split: str, source: str) -> str:
    """Return what tells the results of a source from those of every other one in the run.

    Args:
        run: its folder.
        split: that is measured.
        source: other than the one the run was trained on; its path absolute.

    Returns:
        The name of the source after a hyphen, with those of the folders above it in front as far
        as results of another source have that name already.

    Example:
        >>> suffix_of_source(RunFolder(Path("no/such/run")), "test", "/data/siteB/labels.csv")
        '-labels'
    """
    for name in _names_of_source(source):
        path = run.metrics_file(split, f"-{name}")
        if not path.exists() or _measured_source(path) == source:
            break
    return f"-{name}"


def _names_of_source(source: str) -> Iterator[str]:
    """Yield names of a source, each longer than the one before, the last like no other's."""
    reader, colon, place = source.rpartition(":")
    path = Path(place)
    parts = [path.stem, *(part for part in reversed(path.parts[:-1]) if part != path.anchor)]
    if colon:
        yield parts[0]
        parts[0] = f"{Path(reader).stem}-{parts[0]}"
    for count in range(1, len(parts) + 1):
        name = "-".join(reversed(parts[:count]))
        if len(name.encode(errors="surrogateescape")) > 100:  # a file's name may have 255 bytes
            break
        yield name
    digest = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()
    yield f"{parts[0][:40]}-{digest[:12]}"


def _measured_source(path: Path) -> str | None:
    """Return the source that metrics were measured on, None where they do not say."""
    try:
        source = json.loads(path.read_text("utf-8"))["data"]["source"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return str(source)

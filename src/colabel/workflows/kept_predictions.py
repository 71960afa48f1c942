"""What a run's model says of a split: what was saved, if it is of the present model, or made anew.

Importing it imports nothing that is slow; torch only comes where predictions have to be made.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabel.runs.folder import RunFolder
from colabel.runs.identity import weights_fingerprint

if TYPE_CHECKING:
    from colabel.runs.predictions import Predictions


def predictions_of(
    run: RunFolder,
    *,
    data: str | None,
    split: str,
    with_groups: bool = False,
    tell_when: bool = False,
    **given: Any,
) -> tuple[Predictions, str, tuple[str, ...]]:
    """Return what a run's model says of labelled images, and save it where it had to be made.

    Predictions that the run has of these images are used if they are of its present weights and
    not older than the table of labels, and nothing is said of how to read the images, now or when
    they were made.

    Args:
        run: its folder.
        data: source of the images; ``None``: the one it was trained on.
        split: of the source.
        with_groups: whether predictions are made again that do not say which images belong
            together, as earlier versions did not.
        tell_when: whether a note says of when the predictions are that are used.
        **given: as for :func:`colabel.workflows.predicted_split.predict_split`.

    Returns:
        The predictions, the source of the images, and notes on how they were read.

    Raises:
        ColabelError: as :func:`colabel.workflows.predicted_split.predict_split` raises it.
    """
    from colabel.runs.predictions import Predictions

    path, source = run.predictions_file(split), run.config().data.source
    changed: tuple[str, ...] = ()
    asked_to_read = any(value for name, value in given.items() if name != "cpu")
    if data is None and not asked_to_read and path.is_file():
        kept = Predictions.load(path)
        lacking = kept.targets is None or (with_groups and kept.groups is None)
        usable = kept.model == weights_fingerprint(run.path) and kept.split == split
        if usable and not kept.reading and not lacking:
            written = path.stat().st_mtime
            if not _changed_since(source, written):
                return kept, source, (_of_when(run, path, split, written),) if tell_when else ()
            changed = (f"{source} has changed since {path.name}, so it was read again",)
    from colabel.workflows.predicted_split import predict_split

    predicted = predict_split(run.path, data=data, split=split, **given)
    if predicted.is_main:
        predicted.predictions.save(run.predictions_file(split, predicted.suffix))
    notes = (*changed, *predicted.records.notes)
    return predicted.predictions, predicted.config.data.source, notes


def _changed_since(source: str, moment: float) -> bool:
    """Return whether the file that names images and labels is younger; a folder never is."""
    _, _, place = source.rpartition(":")
    return any(
        os.path.isfile(path) and os.path.getmtime(path) > moment for path in (source, place)
    )


def _of_when(run: RunFolder, path: Path, split: str, written: float) -> str:
    """Return whose labels are used, and what to do if they are not those of today."""
    when = datetime.fromtimestamp(written).strftime("%Y-%m-%d %H:%M")
    return (
        f"labels and logits are those of {path.name} of {when}; if labels were corrected since "
        f"then: colabel evaluate {run.path} --split {split}, and again"
    )

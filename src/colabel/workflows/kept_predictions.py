"""What a run's model says of a split: what was saved, if it is of the present model, or made anew.

Importing it imports nothing that is slow; torch only comes where predictions have to be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colabel.runs.folder import RunFolder
from colabel.runs.identity import weights_fingerprint

if TYPE_CHECKING:
    from colabel.runs.predictions import Predictions


def predictions_of(
    run: RunFolder, *, data: str | None, split: str, with_groups: bool = False, **given: Any
) -> tuple[Predictions, str, tuple[str, ...]]:
    """Return what a run's model says of labelled images, and save it where it had to be made.

    Predictions that the run has of these images are used if they are of its present weights and
    nothing is said of how to read the images.

    Args:
        run: its folder.
        data: source of the images; ``None``: the one it was trained on.
        split: of the source.
        with_groups: whether predictions are made again that do not say which images belong
            together, as earlier versions did not.
        **given: as for :func:`colabel.workflows.predicted_split.predict_split`.

    Returns:
        The predictions, the source of the images, and notes on how they were read.

    Raises:
        ColabelError: as :func:`colabel.workflows.predicted_split.predict_split` raises it.
    """
    from colabel.runs.predictions import Predictions

    path = run.predictions_file(split)
    asked_to_read = any(value for name, value in given.items() if name != "cpu")
    if data is None and not asked_to_read and path.is_file():
        kept = Predictions.load(path)
        lacking = kept.targets is None or (with_groups and kept.groups is None)
        if kept.model == weights_fingerprint(run.path) and not lacking:
            return kept, run.config().data.source, ()
    from colabel.workflows.predicted_split import predict_split

    predicted = predict_split(run.path, data=data, split=split, **given)
    if predicted.is_main:
        predicted.predictions.save(run.predictions_file(split, predicted.suffix))
    return predicted.predictions, predicted.config.data.source, predicted.records.notes

"""Whether a run was too short, or too long, by what validation said of its epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOTICEABLE = 0.01
"""Difference of the monitored metric, from 0 to 1, that is called a rise or a fall. Neighbouring
epochs are scored on the same images, so they differ by less than two runs do."""


def verdict(
    epochs: Sequence[Mapping[str, Any]],
    *,
    uncertainty: float = 0.0,
    out_of_time: bool = False,
    frozen: bool = False,
) -> str:
    """Return what the scores of a run's epochs say about its length, in a sentence, or nothing.

    The learning rate of a finished run has come down to almost 0, so a rise in its last epoch is
    a sign that it was brought down too early, and a fall that the epochs before were enough.

    Args:
        epochs: the log's line of every epoch; those of the last stage that was validated count.
        uncertainty: of the monitored metric on this validation split, from 0 to 1; a smaller
            difference is not spoken of.
        out_of_time: whether the time of the run was limited and left none for a further epoch;
            if not, the number of epochs is what ended it.
        frozen: whether the head alone was trained.

    Returns:
        What to change, in a sentence or two; empty if the length was right as far as one can
        tell.

    Example:
        >>> line = {"stage": "bce", "monitor": "mAP"}
        >>> verdict([{**line, "score": score} for score in (0.5, 0.56, 0.6)])
        'mAP was still rising in the last epoch (by 4.0 points): more epochs
        (training.epochs) would help.'
        >>> verdict([{**line, "score": score} for score in (0.5, 0.6, 0.6, 0.58)])
        'mAP was highest after epoch 2 of 4 and fell by 2.0 points since: fewer epochs
        (training.epochs), more augmentation or more weight decay would do.'
        >>> verdict([{**line, "score": score} for score in (0.5, 0.6, 0.601)])
        ''
    """
    scored = [epoch for epoch in epochs if epoch["score"] is not None]
    lines = [epoch for epoch in scored if epoch["stage"] == scored[-1]["stage"]]
    kept = [epoch for epoch in scored if epoch.get("best")]
    if kept and kept[-1]["stage"] != lines[-1]["stage"]:
        return (
            f"no epoch of {lines[-1]['stage']} was better than epoch {kept[-1]['epoch']} of "
            f"{kept[-1]['stage']}, whose weights are kept."
        )
    if len(lines) < 2:
        return ""
    scores = [float(line["score"]) for line in lines]
    name, best = lines[0]["monitor"], scores.index(max(scores))
    rise, fall = scores[-1] - max(scores[:-1]), scores[best] - scores[-1]
    least = max(NOTICEABLE, uncertainty)
    if rise > least:
        more = "more time" if out_of_time else "more epochs (training.epochs)"
        told = (
            f"{name} was still rising in the last epoch (by {100 * rise:.1f} points): {more} "
            "would help."
        )
        thaw = " So may training some of the encoder, too (training.freeze_encoder=false)."
        return told + thaw if frozen else told
    if fall > least:
        less = "less time" if out_of_time else "fewer epochs (training.epochs)"
        return (
            f"{name} was highest after epoch {best + 1} of {len(scores)} and fell by "
            f"{100 * fall:.1f} points since: {less}, more augmentation or more weight decay "
            "would do."
        )
    return ""

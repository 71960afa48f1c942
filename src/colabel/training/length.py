"""Whether a run had too little time, or too much, by what validation said of its epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOTICEABLE = 0.01
"""Difference of the monitored metric, from 0 to 1, that is called a rise or a fall. Neighbouring
epochs are scored on the same images, so they differ by less than two runs do."""


def verdict(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Return what the scores of a run's epochs say about its length, in a sentence, or nothing.

    The learning rate of a finished run has come down to almost 0, so a rise in its last epoch is
    a sign that it was brought down too early, and a fall that the epochs before were enough.

    Args:
        epochs: the log's line of every epoch; those of the last stage that was validated count.

    Returns:
        A sentence; empty if the length was right as far as one can tell.

    Example:
        >>> line = {"stage": "bce", "monitor": "mAP"}
        >>> verdict([{**line, "score": score} for score in (0.5, 0.56, 0.6)])
        'mAP was still rising in the last epoch (by 4.0 points): more time would help.'
        >>> verdict([{**line, "score": score} for score in (0.5, 0.6, 0.6, 0.58)])
        'mAP was highest after epoch 2 of 4 and fell by 2.0 points since: less time, more
        augmentation or more weight decay would do.'
        >>> verdict([{**line, "score": score} for score in (0.5, 0.6, 0.601)])
        ''
    """
    scored = [epoch for epoch in epochs if epoch["score"] is not None]
    lines = [epoch for epoch in scored if epoch["stage"] == scored[-1]["stage"]]
    if len(lines) < 2:
        return ""
    scores = [float(line["score"]) for line in lines]
    name, best = lines[0]["monitor"], scores.index(max(scores))
    rise, fall = scores[-1] - max(scores[:-1]), scores[best] - scores[-1]
    if rise > NOTICEABLE:
        return (
            f"{name} was still rising in the last epoch (by {100 * rise:.1f} points): more time "
            "would help."
        )
    if fall > NOTICEABLE:
        return (
            f"{name} was highest after epoch {best + 1} of {len(scores)} and fell by "
            f"{100 * fall:.1f} points since: less time, more augmentation or more weight decay "
            "would do."
        )
    return ""

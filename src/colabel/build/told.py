"""What readers decided about the data, told to the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from colabel.data import Records


def told(records: Records) -> list[str]:
    """Return how the images were read and what the reader noted, a sentence each."""
    reading = [] if records.reading is None else records.reading.lines()
    return [f"data: {line}" for line in (*reading, *records.notes)]


def news(parts: Mapping[str, Records], said: set[str]) -> Iterable[str]:
    """Yield what of these records was not said yet, and remember it.

    A sentence that only some of the splits have begins with their names.
    """
    where: dict[str, list[str]] = {}
    for split, records in parts.items():
        for sentence in told(records):
            where.setdefault(sentence, []).append(split)
    for sentence, splits in where.items():
        if sentence not in said:
            said.add(sentence)
            everywhere = len(splits) == len(parts)
            yield sentence if everywhere else f"{', '.join(splits)}: {sentence[6:]}"

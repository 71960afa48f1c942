"""Whether a TIFF holds every strip or tile of its first page; decoders show black instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_OFFSETS, _COUNTS, _ROWS = 273, 279, 278
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_COMPRESSION, _PLAIN, _OLD_JPEG = 259, 1, 6
_PHOTOMETRIC, _LUMINANCE_AND_COLOURS = 262, 6  # whose colours may have fewer rows and columns
_WHOLE = 2**32 - 1


def describe_missing_parts(
    tags: Mapping[int, Any], length: int, *, bits: int, channels: int, separate: bool
) -> str | None:
    """Say which strips or tiles of a page are not in its file, or ``None``.

    Args:
        tags: of the page; integers and tuples of them.
        length: of the file, in bytes.
        bits: of a channel.
        channels: how many.
        separate: whether every channel is stored as a plane of its own.
    """
    if tags.get(_COMPRESSION, _PLAIN) == _OLD_JPEG:  # has tables elsewhere in place of strips
        return None
    width, height = int(tags[256]), int(tags[257])
    planes, samples = (channels, 1) if separate else (1, channels)
    if _TILE_OFFSETS in tags or _TILE_WIDTH in tags:
        kind = "tiles"
        wide, high = int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_HEIGHT, 0))
        if wide < 1 or high < 1:
            return f"tiles of {wide} x {high} pixels"
        expected = math.ceil(width / wide) * math.ceil(height / high) * planes
        offsets, counts = tags.get(_TILE_OFFSETS, ()), tags.get(_TILE_COUNTS)
        rows = np.full(1, high)
    else:
        kind, wide = "strips", width
        rows_each = min(int(tags.get(_ROWS, _WHOLE)), height)
        if rows_each < 1:
            return f"strips of {rows_each} rows"
        strips = math.ceil(height / rows_each)
        expected = strips * planes
        offsets, counts = tags.get(_OFFSETS, ()), tags.get(_COUNTS)
        rows = np.full(strips, rows_each)
        rows[-1] = height - rows_each * (strips - 1)
        rows = np.tile(rows, planes)
    starts = np.atleast_1d(np.asarray(offsets, dtype=np.float64))
    if len(starts) < expected:
        return f"{len(starts)} of {expected} {kind}"
    starts = starts[:expected]
    plain = tags.get(_COMPRESSION, _PLAIN) == _PLAIN
    plain = plain and tags.get(_PHOTOMETRIC) != _LUMINANCE_AND_COLOURS
    needed = np.ceil(wide * samples * bits / 8) * rows if plain else np.ones(1)
    sizes = needed if counts is None else np.atleast_1d(np.asarray(counts, dtype=np.float64))
    if counts is not None and len(sizes) < expected:
        return f"the lengths of {len(sizes)} of {expected} {kind}"
    sizes = np.broadcast_to(sizes[:expected], (expected,))
    absent = (starts <= 0) | (sizes < needed) | (starts + np.maximum(sizes, needed) > length)
    missing = int(absent.sum())
    return f"{expected - missing} of {expected} {kind}" if missing else None

"""TIFF files whose strips or tiles are not all there, which decoders show as black."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from colabel.data.pixels import PixelError
from colabel.limits import MAX_METADATA_BYTES

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _CHANNELS, _ROWS, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_NEEDED = frozenset(
    {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _CHANNELS, _ROWS, _STRIP_BYTES}
    | {_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES}
)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4} | {
    16: 8, 17: 8, 18: 8
}  # fmt: skip
_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # the types that positions and sizes may have
_PLAIN, _OLD_JPEG, _YCBCR, _SEPARATE = 1, 6, 6, 2
_SPARSE = (
    "; write it anew with all of them, such as with: gdal_translate -co SPARSE_OK=FALSE OLD NEW"
)


def check_pieces(file: BinaryIO) -> None:
    """Refuse a TIFF whose first page lacks strips or tiles, or holds less than it claims.

    A piece that is named at position 0 with 0 bytes, as GDAL does for pieces without data, is one
    that is not there. What is no TIFF, or has no sense in its first tags, passes: its decoder says
    what is wrong.

    Args:
        file: any file, seekable.

    Raises:
        PixelError: naming the piece and what to do.
    """
    try:
        tags = _first_page(file)
    except struct.error:  # it ends within the tags
        return
    width, height = (tags.get(name, (0,))[0] for name in (_WIDTH, _HEIGHT))
    if not width or not height:
        return
    tiled = _TILES in tags
    kind = "tile" if tiled else "strip"
    positions = tags.get(_TILES if tiled else _STRIPS, ())
    lengths = tags.get(_TILE_BYTES if tiled else _STRIP_BYTES)
    compression = tags.get(_COMPRESSION, (_PLAIN,))[0]
    if not positions and compression == _OLD_JPEG:
        return
    channels = tags.get(_CHANNELS, (1,))[0]
    planes = channels if tags.get(_PLANAR, (1,))[0] == _SEPARATE else 1
    across = tags.get(_TILE_WIDTH, (0,))[0] if tiled else width
    rows = tags.get(_TILE_HEIGHT if tiled else _ROWS, (0 if tiled else height,))[0]
    rows = rows if tiled else min(rows, height)
    if not across or not rows:
        raise PixelError(f"it says that a {kind} has no pixels; replace or remove the file")
    per_plane = -(-width // across) * -(-height // rows)
    expected = per_plane * planes
    for name, found in (("positions", positions), ("sizes", lengths)):
        if found is not None and len(found) < expected:
            raise PixelError(
                f"its header claims {width} x {height} pixels in {expected} {kind}s, but it has "
                f"the {name} of {len(found)}; replace or remove the file"
            )
    bits = max(tags.get(_BITS, (1,))) * (1 if planes > 1 else channels)
    uncompressed = compression == _PLAIN and tags.get(_PHOTOMETRIC, (0,))[0] != _YCBCR
    end = file.seek(0, os.SEEK_END)
    for number in range(expected):
        here = rows if tiled else min(rows, height - number % per_plane * rows)
        least = here * ((across * bits + 7) // 8) if uncompressed else 1
        position = positions[number]
        length = least if lengths is None else lengths[number]
        if position == 0 or length == 0:
            raise PixelError(f"{kind} {number + 1} of {expected} is not in the file{_SPARSE}")
        if length < least or position + (least if uncompressed else length) > end:
            raise PixelError(
                f"{kind} {number + 1} of {expected} has less data than it claims; replace or "
                "remove the file"
            )


def _first_page(file: BinaryIO) -> dict[int, tuple[int, ...]]:
    """Return the tags of the first page that say where its pixels are, none for another file.

    Raises:
        PixelError: if a tag claims more than is read.
        struct.error: if the file ends within them.
    """
    file.seek(0)
    start = file.read(16)
    if start[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return {}
    order = "<" if start[:2] == b"II" else ">"
    big = b"+" in start[2:4]
    count, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    file.seek(struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)[0])
    width = struct.calcsize(order + count)
    (entries,) = struct.unpack(order + count, file.read(width))
    head = struct.calcsize(order + entry)
    size = head + word
    table = file.read(min(entries, 2**16) * size)
    tags = {}
    for offset in range(0, len(table) - size + 1, size):
        name, kind, number = struct.unpack_from(order + entry, table, offset)
        length = number * _SIZES.get(kind, 0)
        if length > MAX_METADATA_BYTES:
            raise PixelError(
                f"tag {name} claims {length:,} bytes, where at most {MAX_METADATA_BYTES:,} are "
                "read; replace or remove the file"
            )
        if name not in _NEEDED or kind not in _CODES:
            continue
        value = table[offset + head : offset + size]
        if length > word:
            file.seek(struct.unpack(order + ("Q" if big else "I"), value)[0])
            value = file.read(length)
        tags[name] = struct.unpack(f"{order}{number}{_CODES[kind]}", value[:length])
    return tags

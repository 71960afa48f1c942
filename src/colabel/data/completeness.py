"""Images that hold less than their header claims, which decoders fill up in silence."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import BinaryIO

from PIL import Image, ImageChops

_JPEG_FILL = (127, 128)  # a block without data decodes to the middle grey, or its inverse
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed byte, not a restart
_START_OF_SCAN = 0xDA
_RESTARTS = [bytes((0xFF, number)) for number in range(0xD0, 0xD8)]
_JUNK = bytes(range(1, 128)) * 4
_JPEG_PROBE = _JUNK + b"".join(restart + _JUNK for restart in _RESTARTS)
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples per pixel
_ADAM7 = (  # first column, first row, column step, row step of each pass
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_PNG_SIGNATURE_BYTES = 8
_IHDR_BYTES = 25
_PIECE = 2**20


def _last_row(image: Image.Image) -> Image.Image:
    return image.crop((0, image.height - 1, image.width, image.height))


def _bands(image: Image.Image) -> list[tuple[float, float]]:
    """Return the smallest and the largest value of each band."""
    extrema = image.getextrema()
    if isinstance(extrema[0], tuple):
        return list(extrema)
    return [extrema]


def _end_of_first_scan(encoded: bytes) -> int:
    """Return the position of the marker behind the first stretch of JPEG pixel data, 0 if none."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        kind = encoded[position + 1]
        if kind == 0xFF:  # padding before a marker
            position += 1
            continue
        position += 2 + struct.unpack_from(">H", encoded, position + 2)[0]
        if kind == _START_OF_SCAN:
            found = _JPEG_MARKER.search(encoded, position)
            return found.start() if found else 0
    return 0


def _jpeg_is_short(encoded: bytes, image: Image.Image) -> bool:
    """Tell whether other bytes behind the end of the data would change the pixels."""
    end = _end_of_first_scan(encoded)
    if end == 0:
        return False
    longer = encoded[:end] + _JPEG_PROBE + encoded[end:]
    with Image.open(io.BytesIO(longer), formats=("JPEG",)) as probed:
        probed.load()
        return ImageChops.difference(probed, image).getbbox() is not None


def _png_rows(header: bytes) -> int:
    """Return the bytes of decompressed pixel data that an IHDR chunk announces."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _PNG_SAMPLES[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns = -(-(width - left) // step_x)
        rows = -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _png_is_short(file: BinaryIO) -> bool:
    """Tell whether the compressed pixel data ends before the announced number of bytes."""
    file.seek(_PNG_SIGNATURE_BYTES + 8)
    announced = _png_rows(file.read(13))
    inflate = zlib.decompressobj()
    held = 0
    position = _PNG_SIGNATURE_BYTES + _IHDR_BYTES
    while held < announced:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        (length,) = struct.unpack_from(">I", head)
        position += 12 + length
        while head[4:] == b"IDAT" and length and held < announced:
            piece = file.read(min(length, _PIECE))
            length -= len(piece)
            if not piece:
                break
            while piece and held < announced:
                held += len(inflate.decompress(piece, _PIECE))
                piece = inflate.unconsumed_tail
    return held < announced


def describe_missing_pixels(file: BinaryIO, image: Image.Image) -> str | None:
    """Say what is missing of a decoded image, or return None where all of it is there.

    Only an image whose last row looks like a decoder's filling (middle grey for JPEG, zeros for
    PNG) or a PNG that fills in several passes is looked at twice, so an ordinary image costs
    next to nothing.

    Args:
        file: the encoded image, seekable, open at any position.
        image: the same image after ``load``.
    """
    if image.format not in ("JPEG", "MPO", "PNG"):
        return None
    last = _bands(_last_row(image))
    if image.format == "PNG":
        suspicious = bool(image.info.get("interlace")) or all(high == 0 for _, high in last)
    else:
        suspicious = all(low == high and low in _JPEG_FILL for low, high in last)
    if not suspicious:
        return None
    if image.format == "PNG":
        short = _png_is_short(file)
    else:
        file.seek(0)
        short = _jpeg_is_short(file.read(), image)
    if not short:
        return None
    width, height = image.size
    return f"its header claims {width} x {height} pixels, but the data ends before the last row"

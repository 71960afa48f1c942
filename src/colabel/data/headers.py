"""What stands before the pixels of a file, measured before a decoder spends time on it."""

from __future__ import annotations

import os
import re
import struct
from typing import BinaryIO

from colabel.data.pixels import PixelError, PixelOptions
from colabel.limits import (
    BYTES_PER_PIXEL,
    MAX_CHUNKS,
    MAX_METADATA_BYTES,
    MAX_PADDING,
    MAX_PASSES,
    MAX_PPM_HEADER,
    MAX_PPM_TEXT,
    MAX_SEGMENTS,
)

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_AMONG_PIXELS = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not stuffed, not a restart
_WITHOUT_LENGTH = frozenset({0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})  # as Pillow has it
_FRAMES = frozenset(
    {*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
)
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _END = 0xDA, 0xD9
_BLOCK = 2**20
_LONG_GIF = 2**18  # less than this is passed over in no time, whatever it is
_COMMENT = re.compile(rb"#[^\r\n]*")


def check_bytes(file: BinaryIO, options: PixelOptions) -> None:
    """Refuse a file with more bytes than the largest picture that is admitted could need.

    Raises:
        PixelError: naming the limit, and how to lift it.
    """
    size = file.seek(0, os.SEEK_END)
    limit = BYTES_PER_PIXEL * options.max_pixels + MAX_METADATA_BYTES
    if size > limit:
        raise PixelError(
            f"the file is larger than the {limit:,} bytes that a picture may take ({size:,}); "
            "save the image anew, without what is not part of it, or raise data.max_pixels "
            "(--max-pixels)"
        )


def check_header(file: BinaryIO, options: PixelOptions) -> None:
    """Refuse a JPEG, PNG, GIF or PPM that is built to cost more than a picture does.

    The ways are those of Pillow 12: bytes read one by one, blocks that are copied again for each
    that follows, passes over all pixels.

    Args:
        file: the encoded image, seekable.
        options: the number of pixels that is admitted.

    Raises:
        PixelError: naming what there is too much of.
    """
    file.seek(0)
    start = file.read(8)
    if start.startswith(b"\xff\xd8"):
        _check_jpeg(file, options)
    elif start == b"\x89PNG\r\n\x1a\n":
        _check_png(file)
    elif start.startswith(b"GIF8"):
        _check_gif(file)
    elif start[:1] == b"P" and start[1:2] in b"123456fy":
        _check_ppm(file)


def _check_jpeg(file: BinaryIO, options: PixelOptions) -> None:
    """Walk along the markers as Pillow does, up to the pixels."""
    position, padding, pixels, components, progressive = 2, 0, 0, 0, False
    for _ in range(MAX_SEGMENTS):
        file.seek(position)
        head = file.read(4)
        if not _MARKER.match(head):
            junk = head + file.read(MAX_PADDING - padding)
            found = _MARKER.search(junk)
            if found is None:
                if len(junk) < 4 + MAX_PADDING - padding:  # the end of the file
                    return
                break
            padding += found.start()
            position += found.start()
            file.seek(position)
            head = file.read(4)
        if len(head) < 4:
            return
        kind, length = struct.unpack_from(">xBH", head)
        if kind in _WITHOUT_LENGTH:
            position += 2
            continue
        if kind in _FRAMES:
            height, width, components = struct.unpack(">xHHB", file.read(6).ljust(6, b"\0"))
            pixels, progressive = width * height, kind in _PROGRESSIVE
        if kind == _SCAN:
            if progressive or file.read(1) != bytes([components]):
                _check_passes(file, position, pixels, options)
            return
        position += 2 + length
        if position > MAX_METADATA_BYTES:
            break
    raise PixelError(
        f"its pixels do not begin within {MAX_SEGMENTS:,} parts of {MAX_METADATA_BYTES:,} bytes "
        f"with {MAX_PADDING:,} bytes of padding; save the image anew, or remove the file"
    )


def _check_passes(file: BinaryIO, start: int, pixels: int, options: PixelOptions) -> None:
    """Count the passes of a JPEG whose first one is not its only one."""
    most = max(1, MAX_PASSES * options.max_pixels // max(pixels, 1))
    passes, kept = 0, b""
    file.seek(start)
    while block := file.read(_BLOCK):
        for marker in _MARKER_AMONG_PIXELS.findall(kept + block):
            passes += marker[1] == _SCAN
            if marker[1] == _END:
                return
            if passes > most:
                raise PixelError(
                    f"it goes over its pixels more than {most} times; save the image anew, or, if "
                    "you trust it, raise data.max_pixels (--max-pixels)"
                )
        kept = block[-1:] if block.endswith(b"\xff") else b""


def _check_png(file: BinaryIO) -> None:
    """Count the chunks that are not pixels."""
    if file.seek(0, os.SEEK_END) < 12 * MAX_CHUNKS:  # then there cannot be so many
        return
    position, chunks = 8, 0
    while chunks <= MAX_CHUNKS:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        chunks += head[4:] != b"IDAT" or head[:4] == bytes(4)
        position += 12 + int.from_bytes(head[:4])
    raise PixelError(
        f"it has more than {MAX_CHUNKS:,} parts that are not pixels; save the image anew"
    )


def _check_gif(file: BinaryIO) -> None:
    """Count the blocks of comments before the first frame, in a long file before the second."""
    frames = 1 if file.seek(0, os.SEEK_END) < _LONG_GIF else 2
    file.seek(10)
    flags = file.read(3)[:1]
    if flags and flags[0] & 0x80:
        file.seek(3 << (flags[0] & 7) + 1, os.SEEK_CUR)
    blocks = 0
    while blocks <= MAX_SEGMENTS:
        kind = file.read(1)
        if kind == b"!":
            file.read(1)
            blocks += 1 + _pass_over_blocks(file, MAX_SEGMENTS)
        elif kind == b",":
            frames -= 1
            flags = file.read(9)[8:]
            if frames == 0 or not flags:
                return
            if flags[0] & 0x80:
                file.seek(3 << (flags[0] & 7) + 1, os.SEEK_CUR)
            file.read(1)
            _pass_over_blocks(file)
        elif kind in (b"", b";"):
            return
        else:
            blocks += 1  # Pillow looks for the next frame byte by byte
    raise PixelError(
        f"it has more than {MAX_SEGMENTS:,} blocks that are not pixels; save the image anew"
    )


def _pass_over_blocks(file: BinaryIO, most: int | None = None) -> int:
    """Pass over blocks up to the empty one that ends them, or over so many; return how many."""
    count = 0
    while (length := file.read(1)) not in (b"", b"\0") and (most is None or count <= most):
        file.seek(length[0], os.SEEK_CUR)
        count += 1
    return count


def _check_ppm(file: BinaryIO) -> None:
    """Refuse a header that does not end, and more decimal numbers than are read in seconds."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(MAX_PPM_HEADER)
    words = _COMMENT.sub(b"", start).split(None, 4)
    if size > MAX_PPM_HEADER and len(words) < (4 if start[1:2] in b"14" else 5):
        raise PixelError(
            f"its header does not end within {MAX_PPM_HEADER:,} bytes; save the image anew"
        )
    if start[1:2] in b"123" and size > MAX_PPM_TEXT:
        raise PixelError(
            f"its pixels are {size:,} bytes of text, where at most {MAX_PPM_TEXT:,} are read; "
            "save it as a binary PPM or as PNG"
        )

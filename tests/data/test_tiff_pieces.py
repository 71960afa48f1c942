import io
import struct

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image, TiffImagePlugin
from pixel_files import RGB, tiff

from colabel.data.images import decode
from colabel.errors import ImageError

POSITIONS, SIZES = 273, 279


def stripped(compression):
    """Return a TIFF of 64 strips."""
    keys = {278: 1}
    return encoded(picture(48, 64), "TIFF", compression=compression, tiffinfo=keys)


def changed(content, tag, number, value):
    """Return a TIFF with another number in one of its tags."""
    with Image.open(io.BytesIO(content)) as image:
        assert len(image.tag_v2[tag]) > number
    start = struct.unpack_from("<I", content, 4)[0]
    (entries,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * entries, 12):
        name, kind, count, place = struct.unpack_from("<HHII", content, entry)
        if name == tag:
            code = {3: "<H", 4: "<I"}[kind]
            place += number * struct.calcsize(code)
            assert count * struct.calcsize(code) > 4
            written = bytearray(content)
            struct.pack_into(code, written, place, value)
            return bytes(written)
    raise AssertionError("no such tag")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (POSITIONS, 0, "strip 41 of 64 is not in the file.*SPARSE_OK"),
        (SIZES, 0, "strip 41 of 64 is not in the file"),
        (POSITIONS, 10**9, "strip 41 of 64 has less data"),
    ],
)
def test_a_strip_that_is_not_there_is_refused(compression, tag, value, words):
    content = stripped(compression)
    assert decode(io.BytesIO(content), "whole").image.size == (48, 64)
    with pytest.raises(ImageError, match=words):
        decode(io.BytesIO(changed(content, tag, 40, value)), "sparse")


def test_a_strip_without_compression_has_the_bytes_of_its_rows():
    content = changed(stripped("raw"), SIZES, 40, 48 * 3 - 1)
    with pytest.raises(ImageError, match="strip 41 of 64 has less data"):
        decode(io.BytesIO(content), "short")


@pytest.mark.parametrize("separate", [False, True])
def test_fewer_strips_than_rows_need_are_refused(separate):
    values = np.full((20, 10, 3), 200, np.uint8)
    content = bytearray(tiff(values, RGB, separate=separate))
    at = content.index(struct.pack("<HHII", 278, 4, 1, 20))
    struct.pack_into("<I", content, at + 8, 5)
    with pytest.raises(ImageError, match=r"pixels in (4|12) strips, but it has the positions of"):
        decode(io.BytesIO(bytes(content)), "few")


def test_a_tag_that_claims_gigabytes_is_refused():
    content = bytearray(tiff(np.zeros((20, 10), np.uint8), 1))
    at = content.index(struct.pack("<HHII", 278, 4, 1, 20))
    struct.pack_into("<I", content, at + 4, 2**30)
    with pytest.raises(ImageError, match="tag 278 claims"):
        decode(io.BytesIO(bytes(content)), "claims")


def test_tiles_that_are_missing_are_refused_by_name():
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((64, 48), 200, np.uint8), tile=(16, 16))
    content = bytearray(stream.getvalue())
    assert decode(io.BytesIO(bytes(content)), "whole").image.getextrema() == ((200, 200),) * 3
    directory = TiffImagePlugin.ImageFileDirectory_v2(bytes(content[:8]))
    stream.seek(directory.next)
    directory.load(stream)
    positions = struct.pack("<12I", *directory[324])
    at = content.index(positions)
    struct.pack_into("<I", content, at + 4 * 7, 0)
    with pytest.raises(ImageError, match="tile 8 of 12 is not in the file"):
        decode(io.BytesIO(bytes(content)), "sparse")

"""A TIFF that does not hold every strip or tile is refused, not shown in black."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from colabel.data.images import decode
from colabel.errors import ImageError

FORMS = {
    "strips": {"rowsperstrip": 16},
    "packed strips": {"rowsperstrip": 16, "compression": "deflate"},
    "tiles": {"tile": (32, 32)},
    "packed tiles": {"tile": (32, 32), "compression": "deflate"},
    "planes": {"rowsperstrip": 16, "planarconfig": "separate"},
    "planes of tiles": {"tile": (32, 32), "planarconfig": "separate"},
    "one strip": {"rowsperstrip": 100},
    "big": {"rowsperstrip": 16, "bigtiff": True},
}


def written(form, *, channels=3, dtype=np.uint8):
    """Return a TIFF of 70 x 100 pixels, none of them black."""
    generator = np.random.default_rng(0)
    high = 255 if dtype is np.uint8 else 60_000
    values = generator.integers(1, high, (100, 70, channels)[: 3 if channels > 1 else 2])
    options = dict(FORMS[form])
    if options.get("planarconfig") == "separate":
        values = np.moveaxis(values, -1, 0)
    file = io.BytesIO()
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(file, values.astype(dtype), photometric=photometric, **options)
    return file


def change(file, kind, index, value):
    """Set an entry of the offsets or lengths of strips or tiles."""
    file.seek(0)
    with tifffile.TiffFile(file, mode="r+b") as tiff:
        tags = tiff.pages.first.tags
        tag = next(tags[name] for name in (f"Tile{kind}", f"Strip{kind}") if name in tags)
        values = list(tag.value)
        values[index] = value
        tag.overwrite(values if len(values) > 1 else values[0])
    file.seek(0)
    return io.BytesIO(file.read()) if not file.closed else file


class Kept(io.BytesIO):
    """A file in memory that outlives what reads it."""

    def close(self):
        pass


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_file_is_read(form):
    decoded = decode(written(form), "a.tif")
    assert decoded.image.size == (70, 100)
    assert np.asarray(decoded.image).min() > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "value"),
    [("Offsets", 0), ("Offsets", 10**7), ("ByteCounts", 0), ("ByteCounts", 60_000)],
)
@pytest.mark.parametrize("index", [0, -1])
def test_a_part_that_is_not_there_is_named(form, kind, value, index):
    file = Kept(written(form).getvalue())
    changed = change(file, kind, index, value)
    with pytest.raises(ImageError, match=r"a\.tif: the file holds \d+ of \d+ (strips|tiles) of"):
        decode(changed, "a.tif")


@pytest.mark.parametrize("form", [form for form in FORMS if "packed" not in form])
def test_a_part_that_is_too_short_is_named(form):
    """A decoder would fill up what is missing of an uncompressed strip."""
    with pytest.raises(ImageError, match=r"the file holds \d+ of \d+ (strips|tiles)"):
        decode(change(Kept(written(form).getvalue()), "ByteCounts", -1, 7), "a.tif")


@pytest.mark.parametrize("form", ["strips", "tiles", "planes"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_kinds_of_values_are_counted_too(form, dtype, channels):
    if channels == 1 and form == "planes":
        pytest.skip("one channel has no planes")
    whole = written(form, channels=channels, dtype=dtype)
    assert decode(whole, "a.tif").image.size == (70, 100)
    changed = change(Kept(whole.getvalue()), "Offsets", 1, 0)
    with pytest.raises(ImageError, match="the rest would be black"):
        decode(changed, "a.tif")


def test_fewer_offsets_than_the_header_needs_are_refused():
    """The height says ten strips more than there are offsets for."""
    file = io.BytesIO()
    Image.new("L", (64, 64), 200).save(file, "TIFF")
    content = bytearray(file.getvalue())
    (where,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, where)
    for entry in range(count):
        at = where + 2 + 12 * entry
        if struct.unpack_from("<H", content, at)[0] == 257:
            struct.pack_into("<I", content, at + 8, 640)
    with pytest.raises(ImageError, match=r"of \d+ strips"):
        decode(io.BytesIO(bytes(content)), "a.tif")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "group4", "packbits"])
def test_what_other_programs_write_is_whole(compression):
    mode = "1" if compression == "group4" else "RGB"
    file = io.BytesIO()
    Image.new(mode, (70, 100), 1 if mode == "1" else (200, 100, 50)).save(
        file, "TIFF", compression=compression
    )
    assert decode(file, "a.tif").image.size == (70, 100)

"""Damaged files of every format: refused by name or read; a cut one never has other pixels."""

import io
import warnings

import numpy as np
import pytest
from fuzzing import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import encoded, picture
from PIL import Image, features
from pixel_files import COLOUR, COLOUR_ALPHA, RGB, dicom, png, tiff

from colabel.data.images import decode
from colabel.data.pixels import PixelOptions
from colabel.errors import ImageError

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]

PHOTO = picture(40, 31)
DEEP = np.random.default_rng(0).integers(0, 65536, (31, 40, 4), dtype=np.uint16)
FILES = {
    "jpeg": encoded(PHOTO),
    "jpeg progressive": encoded(PHOTO, progressive=True),
    "jpeg cmyk": encoded(PHOTO.convert("CMYK")),
    "png": encoded(PHOTO, "PNG"),
    "png palette": encoded(PHOTO.convert("P"), "PNG"),
    "png 16 bits": png(DEEP[..., :3], COLOUR),
    "png 16 bits, alpha": png(DEEP, COLOUR_ALPHA),
    "gif": encoded(PHOTO, "GIF"),
    "gif of two": encoded(PHOTO, "GIF", save_all=True, append_images=[picture(40, 31, 1)]),
    "bmp": encoded(PHOTO, "BMP"),
    "ppm": encoded(PHOTO, "PPM"),
    "webp": encoded(PHOTO, "WEBP"),
    "webp lossless": encoded(PHOTO, "WEBP", lossless=True),
    "tiff": encoded(PHOTO, "TIFF"),
    "tiff lzw": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encoded(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": encoded(PHOTO, "TIFF", compression="jpeg"),
    "tiff packbits": encoded(PHOTO, "TIFF", compression="packbits"),
    "tiff planes": tiff(np.asarray(PHOTO), RGB, separate=True),
    "tiff 16 bits": tiff(DEEP[..., :3], RGB, order=">"),
    "tiff float": tiff(DEEP[..., 0].astype(np.float64), 1),
    "dicom": dicom(DEEP[..., 0]),
    "dicom colour": dicom(np.asarray(PHOTO), "RGB"),
}
if features.check("avif"):
    FILES["avif"] = encoded(PHOTO, "AVIF")

OPTIONS = PixelOptions(scale=65535, max_pixels=10**6)


def read(content):
    """Return the image, or ``None`` where it is refused with its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = decode(io.BytesIO(content), "damaged.img", OPTIONS).image
        except ImageError as refused:
            message = str(refused)
            image = None
    if image is None:
        assert message.startswith("damaged.img: ")
        return None
    assert image.mode == "RGB"
    assert image.width * image.height <= OPTIONS.max_pixels
    return np.asarray(image)


@pytest.mark.parametrize("kind", FILES)
def test_a_cut_file_is_refused_or_whole(kind):
    content = FILES[kind]
    whole = read(content)
    assert whole.shape == (31, 40, 3)
    step = max(1, len(content) // examples(120))
    for length in [*range(0, len(content), step), *range(len(content) - 20, len(content))]:
        pixels = read(content[:length])
        assert pixels is None or (pixels == whole).all(), f"cut to {length} of {len(content)}"


@pytest.mark.parametrize("kind", FILES)
@settings(
    max_examples=examples(40), deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_damage_is_survived_or_named(kind, data):
    content = bytearray(FILES[kind])
    front = st.integers(0, min(len(content), 400) - 1)
    place = front | st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(place)
        what = data.draw(st.binary(min_size=1, max_size=6) | st.just(b"\xff\xff\xff\xff"))
        match data.draw(st.sampled_from(["written over", "put in", "taken out"])):
            case "written over":
                content[at : at + len(what)] = what
            case "put in":
                content[at:at] = what
            case "taken out":
                del content[at : at + data.draw(st.integers(1, 50))]
    read(bytes(content))


def test_whole_files_are_what_was_stored():
    for kind in ("png", "bmp", "ppm", "webp lossless", "tiff lzw", "tiff planes"):
        assert (read(FILES[kind]) == np.asarray(PHOTO)).all(), kind
    assert Image.open(io.BytesIO(FILES["gif of two"])).n_frames == 2

"""How pixels are read by the options: scale, transparency, other formats and modes."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pixel_files import BLACK_IS_ZERO, CIE_LAB, COLOUR, COLOUR_ALPHA, GREY, png, tiff
from pixel_values import GREY8, GREY16, U8, U16, read, rows

from colabel.data.pixels import Journal, PixelOptions, eight_bits, to_upright_rgb
from colabel.errors import ConfigError, ImageError


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


# ---------------------------------------------------------------- scale


def test_scale_is_the_value_that_becomes_white():
    reflectance = np.array([[0, 20, 5000, 10_000, 15_000]], U16)  # 20 * 255 / 10,000 = 0.51
    for content in (png(reflectance, GREY), tiff(reflectance, BLACK_IS_ZERO)):
        decoded = read(content, scale=10_000)
        assert rows(decoded) == [0, 1, 128, 255, 255]
        assert decoded.changes == {"cut off"}  # one of five is more than one in a hundred
    roof = np.full((20, 20), 300, U16)
    roof[0, 0] = 15_000
    assert read(png(roof, GREY), scale=10_000).changes == frozenset()


def test_scale_leaves_eight_bits_alone():
    assert rows(read(png(GREY8, GREY), scale=10)) == [0, 10, 100, 255]


def test_scale_uses_all_sixteen_bits_of_a_colour_png():
    twelve_bits = np.array([[[0, 2048, 4095]]], U16)
    assert rows(read(png(twelve_bits, COLOUR), scale=4095)) == [(0, 128, 255)]
    with_alpha = np.array([[[0, 2048, 4095, 65_535]]], U16)
    assert rows(read(png(with_alpha, COLOUR_ALPHA), scale=4095)) == [(0, 128, 255)]


def test_negative_values_become_black_once_white_is_named():
    content = tiff(np.array([[-5, 100]], np.int32), BLACK_IS_ZERO)
    with pytest.raises(ImageError, match=r"run from -5 to 100.*data\.scale"):
        read(content)
    assert rows(read(content, scale=100)) == [0, 255]


def test_negative_bytes_are_not_taken_for_bright_ones():
    with pytest.raises(ImageError, match=r"run from -5 to 100|tifffile"):
        read(tiff(np.array([[-5, 100]], np.int8), BLACK_IS_ZERO))


def test_floats_need_a_scale_and_what_is_no_number_is_black():
    content = tiff(np.array([[0, 0.25, 1, np.nan, np.inf]], np.float32), BLACK_IS_ZERO)
    with pytest.raises(ImageError, match=r"floating-point.*--set data\.scale="):
        read(content)
    decoded = read(content, scale=1)
    assert rows(decoded) == [0, 64, 255, 0, 0]
    assert decoded.changes == {"not numbers"}


def test_the_peak_leaves_one_in_a_thousand_out():
    values = np.arange(10_000, dtype=U16).reshape(100, 100)
    assert read(png(values, GREY)).peak == pytest.approx(9989, abs=1)
    assert read(png(GREY8, GREY)).peak is None


# ---------------------------------------------------------------- transparency


def test_a_fourth_channel_that_is_data_is_suspected_and_can_be_left_alone():
    stains = np.random.default_rng(0).integers(1, 32, (8, 8, 4), dtype=U8)
    decoded = read(png(stains, COLOUR_ALPHA))
    assert decoded.changes == {"fourth channel"}
    assert np.asarray(decoded.image).min() > 200  # faded
    left = read(png(stains, COLOUR_ALPHA), alpha="ignore")
    assert (np.asarray(left.image) == stains[..., :3]).all()
    assert left.changes == frozenset()
    chosen = read(png(stains, COLOUR_ALPHA), bands=(4, 2, 1))
    assert (np.asarray(chosen.image) == stains[..., [3, 1, 0]]).all()


def test_what_is_wholly_transparent_keeps_its_colours_and_is_named():
    pixels = np.array([[[1, 2, 3, 0], [4, 5, 6, 0]]], U8)
    decoded = read(png(pixels, COLOUR_ALPHA))
    assert rows(decoded) == [(1, 2, 3), (4, 5, 6)]
    assert decoded.changes == {"invisible"}


def test_ignored_transparency_of_sixteen_bits():
    assert rows(read(png(GREY16, GREY, clear=[2570]), alpha="ignore")) == [0, 10, 100, 255]


# ---------------------------------------------------------------- other formats


def test_an_inverted_cmyk_jpeg_comes_out_upright():
    # Pillow writes CMYK JPEG as Adobe does, with the values inverted and a marker that says so
    magenta = Image.new("CMYK", (16, 16), (0, 255, 0, 0))
    decoded = read(encoded(magenta, "JPEG", quality=100))
    assert np.abs(np.asarray(decoded.image)[8, 8].astype(int) - (255, 0, 255)).max() <= 3
    assert decoded.changes == {"cmyk"}


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_taken_and_said(kind):
    first, second = (Image.new("RGB", (16, 16), (value,) * 3) for value in (200, 30))
    moving = encoded(first, kind, save_all=True, append_images=[second])
    decoded = read(moving)
    assert "pages" in decoded.changes
    assert np.abs(np.asarray(decoded.image).astype(int) - 200).max() <= 4
    assert "pages" not in read(encoded(first, kind)).changes


def test_a_profile_other_than_srgb_is_said():
    from PIL import ImageCms

    image = Image.new("RGB", (4, 4), (10, 20, 30))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(encoded(image, "PNG", icc_profile=srgb)).changes == frozenset()
    other = srgb.replace("sRGB".encode("utf-16-be"), "XRGB".encode("utf-16-be"))
    other = other.replace(b"sRGB", b"XRGB")
    assert read(encoded(image, "PNG", icc_profile=other)).changes == {"profile"}


def test_avif_is_read_where_pillow_can():
    from PIL import features

    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    decoded = read(encoded(Image.new("RGB", (16, 16), (200, 100, 50)), "AVIF", quality=100))
    assert np.abs(np.asarray(decoded.image).astype(int) - (200, 100, 50)).max() <= 3
    assert decoded.format == "AVIF"


def test_a_photo_of_a_phone_is_refused_with_what_to_do():
    heic = struct.pack(">I", 24) + b"ftypheic" + bytes(64)
    with pytest.raises(ImageError, match=r"HEIC photo.*save it as JPEG"):
        read(heic)


# ---------------------------------------------------------------- Pillow images


MODES = {
    "1": (1, 255),
    "L": (7, 7),
    "LA": ((100, 51), 224),
    "La": ((20, 51), 224),
    "P": (3, 3),
    "PA": ((3, 255), 3),
    "RGB": ((1, 2, 3), (1, 2, 3)),
    "RGBA": ((100, 50, 0, 51), (224, 214, 204)),
    "RGBa": ((20, 10, 0, 51), (224, 214, 204)),
    "RGBX": ((1, 2, 3, 99), (1, 2, 3)),
    "CMYK": ((0, 255, 0, 0), (255, 0, 255)),
    "YCbCr": ((100, 128, 128), 100),
    "HSV": ((0, 255, 255), (255, 0, 0)),
    "I;16": (25_765, 100),
    "I;16B": (25_765, 100),
    "I;16L": (25_765, 100),
    "I": (25_765, 100),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow(mode):
    stored, expected = MODES[mode]
    image = Image.new(mode, (2, 1))
    if mode in ("P", "PA"):
        image.putpalette([entry for value in range(256) for entry in (value,) * 3])
    for x in range(2):
        image.putpixel((x, 0), stored)
    shown = to_upright_rgb(image)
    pixel = np.asarray(shown)[0, 0].tolist()
    assert shown.mode == "RGB"
    assert (pixel[0] if len(set(pixel)) == 1 else tuple(pixel)) == expected


def test_cie_lab_is_converted_and_not_taken_for_rgb():
    # L* = 100 * 138 / 255 = 54.1 and a* = 81, b* = 70 are pure red in sRGB (53.2, 80.1, 67.2)
    lab = np.array([[[255, 0, 0], [0, 0, 0], [138, 81, 70]]], np.int16).astype(U8)
    white, black, red = np.asarray(read(tiff(lab, CIE_LAB)).image)[0].astype(int)
    assert np.abs(white - 255).max() <= 2
    assert np.abs(black).max() <= 2
    assert np.abs(red - (255, 0, 0)).max() <= 12


@pytest.mark.parametrize("value", [0, 9, 65_535, float("inf"), float("nan"), (6, 6), "turned"])
def test_an_orientation_that_makes_no_sense_is_none(value):
    image = Image.new("RGB", (3, 2))
    image.getexif()[0x0112] = value
    assert to_upright_rgb(image).size == (3, 2)


@pytest.mark.parametrize(
    "options",
    [{"scale": 0}, {"scale": float("inf")}, {"alpha": "black"}, {"bands": (1, 2)},
     {"bands": (0, 1, 2)}, {"max_pixels": 0}],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        PixelOptions(**options)


@pytest.mark.parametrize("scale", [None, 255.0, 10_000.0, 65_535.0, 7e6])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.uint32, np.int64])
def test_values_are_looked_up_as_they_are_computed(scale, dtype):
    generator = np.random.default_rng(0)
    high = min(65_535, np.iinfo(dtype).max)
    values = generator.integers(0, high, (3, 400, 1000), dtype=dtype, endpoint=True)
    values.flat[0], values.flat[-1] = 0, high
    looked_up = eight_bits(values, PixelOptions(scale=scale), Journal())
    if scale is None:
        computed = (values.astype(np.int64) * 255 + 32_767) // 65_535
    else:
        exact = values.astype(np.result_type(dtype, np.float32))
        computed = np.clip(np.floor(exact * 255 / scale + 0.5), 0, 255)
    assert np.array_equal(looked_up, computed.astype(np.uint8))

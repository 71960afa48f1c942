"""Stored values against the RGB that their owner means, computed by hand."""

import sys

import numpy as np
import pytest
from pixel_files import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    CMYK,
    COLOUR,
    COLOUR_ALPHA,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    UNASSOCIATED,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    png,
    tiff,
)
from pixel_values import BLUE, BLUE16, GREY8, GREY16, U8, U16, read, rows

from colabel.errors import ImageError

# Each row: stored values; what they look like; what reading loses.
GRID = {
    "PNG grey 8": (png(GREY8, GREY), [0, 10, 100, 255], set()),
    "PNG grey 8, tRNS": (png(GREY8, GREY, clear=[10]), [0, 255, 100, 255], {"transparency"}),
    "PNG grey 16": (png(GREY16, GREY), [0, 10, 100, 255], {"16 bits"}),
    "PNG grey 16, tRNS nowhere": (png(GREY16, GREY, clear=[5]), [0, 10, 100, 255], {"16 bits"}),
    "PNG grey 16, tRNS": (
        png(GREY16, GREY, clear=[2570]), [0, 255, 100, 255], {"16 bits", "transparency"},
    ),
    "PNG LA 8": (  # 100 at 51/255 over white: (100 * 51 + 255 * 204) / 255
        png(np.array([[[100, 255], [100, 51], [9, 0]]], U8), GREY_ALPHA),
        [100, 224, 255], {"transparency"},
    ),
    "PNG LA 16": (
        png(np.array([[[25_700, 65_535], [25_700, 13_107], [9, 0]]], U16), GREY_ALPHA),
        [100, 224, 255], {"16 bits", "transparency"},
    ),
    "PNG LA 8, opaque": (png(np.array([[[100, 255]]], U8), GREY_ALPHA), [100], set()),
    "PNG RGB 8": (png(BLUE, COLOUR), [(10, 20, 30), (40, 50, 60)], set()),
    "PNG RGB 8, tRNS": (
        png(BLUE, COLOUR, clear=[40, 50, 60]), [(10, 20, 30), 255], {"transparency"},
    ),
    "PNG RGB 16": (png(BLUE16, COLOUR), [(10, 20, 31), (40, 50, 61)], {"16 bits"}),
    "PNG RGB 16, tRNS": (  # 256 is transparent and 0 is not, though their lower bytes are equal
        png(np.array([[[0, 0, 0], [256, 0, 0], [65_535, 0, 0]]], U16), COLOUR, clear=[256, 0, 0]),
        [0, 255, (255, 0, 0)], {"16 bits", "transparency"},
    ),
    "PNG RGBA 8": (
        png(np.array([[[100, 50, 0, 51], [1, 2, 3, 255]]], U8), COLOUR_ALPHA),
        [(224, 214, 204), (1, 2, 3)], {"transparency"},
    ),
    "PNG RGBA 16": (
        png(np.array([[[25_700, 12_850, 0, 13_107], [257, 514, 771, 65_535]]], U16), COLOUR_ALPHA),
        [(224, 214, 204), (1, 2, 3)], {"16 bits", "transparency"},
    ),
    "PNG palette": (
        png(np.array([[1, 0]], U8), PALETTE, palette=[9, 8, 7, 200, 100, 0]),
        [(200, 100, 0), (9, 8, 7)], set(),
    ),
    "PNG palette, tRNS": (
        png(np.array([[1, 0]], U8), PALETTE, palette=[9, 8, 7, 200, 100, 0], clear=[0]),
        [(200, 100, 0), 255], {"transparency"},
    ),
    "TIFF black is 0, 1 bit": (tiff([[True, False]], BLACK_IS_ZERO), [255, 0], set()),
    "TIFF white is 0, 1 bit": (tiff([[True, False]], WHITE_IS_ZERO), [0, 255], set()),
    "TIFF black is 0, 8 bits": (tiff(GREY8, BLACK_IS_ZERO), [0, 10, 100, 255], set()),
    "TIFF white is 0, 8 bits": (tiff(GREY8, WHITE_IS_ZERO), [255, 245, 155, 0], set()),
    "TIFF black is 0, 16 bits": (tiff(GREY16, BLACK_IS_ZERO), [0, 10, 100, 255], {"16 bits"}),
    "TIFF black is 0, 16 bits, Motorola": (
        tiff(GREY16, BLACK_IS_ZERO, order=">"), [0, 10, 100, 255], {"16 bits"},
    ),
    "TIFF white is 0, 16 bits": (tiff(GREY16, WHITE_IS_ZERO), [255, 245, 155, 0], {"16 bits"}),
    "TIFF int16": (tiff(np.array([[0, 25_765]], np.int16), BLACK_IS_ZERO), [0, 100], {"16 bits"}),
    "TIFF int32": (tiff(np.array([[0, 25_765]], np.int32), BLACK_IS_ZERO), [0, 100], {"16 bits"}),
    "TIFF RGB 8": (tiff(BLUE, RGB), [(10, 20, 30), (40, 50, 60)], set()),
    "TIFF RGB 8, planes": (tiff(BLUE, RGB, separate=True), [(10, 20, 30), (40, 50, 60)], set()),
    "TIFF RGB 16": (tiff(BLUE16, RGB), [(10, 20, 30), (40, 50, 61)], {"16 bits"}),  # upper bytes
    "TIFF RGB 8 and 1 more": (
        tiff(np.array([[[10, 20, 30, 99]]], U8), RGB, extra=[UNSPECIFIED]),
        [(10, 20, 30)], {"more channels"},
    ),
    "TIFF RGBA 8": (
        tiff(np.array([[[100, 50, 0, 51], [1, 2, 3, 255]]], U8), RGB, extra=[UNASSOCIATED]),
        [(224, 214, 204), (1, 2, 3)], {"transparency"},
    ),
    "TIFF RGBA 8, premultiplied": (  # 20 at 51/255 is 100 below
        tiff(np.array([[[20, 10, 0, 51], [1, 2, 3, 255]]], U8), RGB, extra=[ASSOCIATED]),
        [(224, 214, 204), (1, 2, 3)], {"transparency"},
    ),
    "TIFF CMYK 8": (  # 255 - ink, less what black takes
        tiff(np.array([[[0, 255, 0, 0], [0, 0, 0, 255]]], U8), CMYK),
        [(255, 0, 255), 0], {"cmyk"},
    ),
    "TIFF of two pages": (tiff(GREY8, BLACK_IS_ZERO, following=0), [0, 10, 100, 255], {"pages"}),
    "TIFF and a preview": (tiff(GREY8, BLACK_IS_ZERO, following=1), [0, 10, 100, 255], set()),
}  # fmt: skip


@pytest.mark.parametrize("kind", GRID)
def test_stored_values_become_what_they_mean(kind):
    content, expected, changes = GRID[kind]
    decoded = read(content)
    assert rows(decoded) == expected
    assert decoded.changes == changes


# The same for files that Pillow refuses or reads wrongly.
BEYOND_PILLOW = {
    "TIFF white is 0, 16 bits, Motorola": (
        tiff(GREY16, WHITE_IS_ZERO, order=">"), {}, [255, 245, 155, 0], {"16 bits"},
    ),
    "TIFF RGB 16, planes": (
        tiff(BLUE16, RGB, separate=True), {}, [(10, 20, 31), (40, 50, 61)], {"16 bits"},
    ),
    "TIFF RGB 16, scaled": (
        tiff(np.array([[[0, 5000, 12_000]]], U16), RGB), {"scale": 10_000}, [(0, 128, 255)],
        {"cut off"},
    ),
    "TIFF RGBA 16, scaled": (
        tiff(np.array([[[0, 50, 100, 13_107]]], U16), RGB, extra=[UNASSOCIATED]),
        {"scale": 100}, [(204, 230, 255)], {"fourth channel"},
    ),
    "TIFF RGBA 16, premultiplied, scaled": (
        tiff(np.array([[[0, 10, 20, 13_107]]], U16), RGB, extra=[ASSOCIATED]),
        {"scale": 100}, [(204, 230, 255)], {"fourth channel"},
    ),
    "TIFF float32, RGB": (
        tiff(np.array([[[0, 0.5, 1]]], np.float32), RGB), {"scale": 1}, [(0, 128, 255)], set(),
    ),
    "TIFF float64": (
        tiff(np.array([[0, 0.5, 1]]), BLACK_IS_ZERO), {"scale": 1}, [0, 128, 255], set(),
    ),
    "TIFF float16": (
        tiff(np.array([[0, 0.5, 1]], np.float16), BLACK_IS_ZERO), {"scale": 1}, [0, 128, 255],
        set(),
    ),
    "TIFF uint32 above 2 ** 31": (
        tiff(np.array([[0, 2**31, 2**32 - 1]], np.uint32), BLACK_IS_ZERO), {"scale": 2**32 - 1},
        [0, 128, 255], set(),
    ),
    "TIFF int8": (tiff(np.array([[0, 10, 127]], np.int8), BLACK_IS_ZERO), {}, [0, 10, 127], set()),
    "TIFF 13 bands": (
        tiff(np.arange(0, 13_000, 1000, U16).reshape(1, 1, 13), BLACK_IS_ZERO, extra=[0] * 12),
        {"bands": (4, 3, 2), "scale": 10_000}, [(77, 51, 26)], set(),
    ),
    "TIFF 13 bands, planes": (
        tiff(np.arange(0, 13_000, 1000, U16).reshape(1, 1, 13), BLACK_IS_ZERO, extra=[0] * 12,
             separate=True),
        {"bands": (4, 3, 2), "scale": 10_000}, [(77, 51, 26)], set(),
    ),
    "TIFF 4 bands, one as grey": (
        tiff(np.array([[[1, 2, 3, 4]]], U8), BLACK_IS_ZERO, extra=[0] * 3), {"bands": (4,)},
        [4], set(),
    ),
    "TIFF RGB and 4 more": (
        tiff(np.array([[[1, 2, 3, 4, 5, 6, 7]]], U8), RGB, extra=[0] * 4), {}, [(1, 2, 3)],
        {"more channels"},
    ),
    "TIFF turned": (
        tiff(np.array([[0.0, 1.0]]), BLACK_IS_ZERO, orientation=2), {"scale": 1}, [255, 0], set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BEYOND_PILLOW)
def test_tiffs_beyond_pillow(kind):
    pytest.importorskip("tifffile")
    content, options, expected, changes = BEYOND_PILLOW[kind]
    decoded = read(content, **options)
    assert rows(decoded) == expected
    assert decoded.changes == changes
    assert decoded.turned == (kind == "TIFF turned")


@pytest.mark.parametrize("count", [2, 3, 4, 13])
def test_channels_without_a_meaning_have_to_be_named(count):
    content = tiff(np.zeros((1, 1, count), U8), BLACK_IS_ZERO, extra=[UNSPECIFIED] * (count - 1))
    with pytest.raises(ImageError, match=rf"it has {count} channels, .*data\.bands=\["):
        read(content)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImageError, match=r"pip install 'colabel\[formats\]'"):
        read(tiff(BLUE16, RGB, separate=True))


def test_a_channel_that_is_not_there_is_refused():
    pytest.importorskip("tifffile")
    content = tiff(np.zeros((1, 1, 4), U8), BLACK_IS_ZERO, extra=[UNSPECIFIED] * 3)
    with pytest.raises(ImageError, match=r"4 channels, and data.bands asks for number 5"):
        read(content, bands=(5, 1, 1))


def test_a_tiff_with_less_data_than_it_claims_is_refused():
    pytest.importorskip("tifffile")
    content = tiff(np.ones((40, 40, 13), U16), BLACK_IS_ZERO, extra=[UNSPECIFIED] * 12)
    with pytest.raises(ImageError, match=r"one\.img"):
        read(content[: len(content) // 2], bands=(1, 2, 3))


def test_the_limit_holds_for_every_kind_of_tiff():
    for content in (tiff(GREY8, BLACK_IS_ZERO), tiff(BLUE16, RGB, separate=True)):
        with pytest.raises(ImageError, match="limit of 1;"):
            read(content, max_pixels=1)

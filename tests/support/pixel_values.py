"""Values that the tests of pixels store, and what reading makes of them."""

import io

import numpy as np

from colabel.data.images import decode
from colabel.data.pixels import PixelOptions

U8, U16 = np.uint8, np.uint16


def read(content, **options):
    return decode(io.BytesIO(content), "one.img", PixelOptions(**options))


def rows(decoded):
    """Return the pixels of the first row; a grey one as one number."""
    return [p[0] if len(set(p)) == 1 else tuple(p) for p in np.asarray(decoded.image)[0].tolist()]


GREY8 = np.array([[0, 10, 100, 255]], U8)
GREY16 = np.array([[0, 10 * 257, 25_765, 65_535]], U16)  # 25,765 / 257 = 100.25
BLUE = np.array([[[10, 20, 30], [40, 50, 60]]], U8)
BLUE16 = BLUE.astype(U16) * 257 + np.array([0, 100, 200], U16)  # 100 / 257 rounds down, 200 up

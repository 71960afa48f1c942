"""PNG files of 16 bits in colour or with alpha, of which Pillow keeps the upper 8 bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from colabel.data.pixels import Journal, PixelOptions, chosen_bands, eight_bits, rgb_of

_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}
# read as if the first byte were the second; grey and alpha are four bytes, as RGBA is in 8 bits


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that is not yet loaded is such a PNG."""
    return image.format == "PNG" and bool(image.tile) and image.tile[0].args in _LOWER


def read_deep(
    image: ImageFile.ImageFile,
    again: Callable[[], ImageFile.ImageFile],
    options: PixelOptions,
    journal: Journal,
) -> Image.Image:
    """Return such an image as RGB.

    Args:
        image: before it was loaded; it is loaded here.
        again: opens the same file another time.
        options: scale, channels and what is done to transparency.
        journal: hears what was lost.
    """
    stored = str(image.tile[0].args)
    with again() as other:
        other.tile = [tile._replace(args=_LOWER[stored]) for tile in other.tile]
        other.load()
        lower = np.asarray(other)
    image.load()
    if stored == "LA;16B":
        values = np.stack(
            [_sixteen(lower[..., 0], lower[..., 1]), _sixteen(lower[..., 2], lower[..., 3])], -1
        )
    else:
        values = _sixteen(np.asarray(image), lower)
    colours, alpha = _split(values, image.info.get("transparency"))
    if options.bands is not None and values.shape[-1] > 3:
        return rgb_of(
            eight_bits(chosen_bands(values, options.bands), options, journal), options, journal
        )
    pixels = eight_bits(colours, options, journal)
    if alpha is not None:
        pixels = np.concatenate([pixels, eight_bits(alpha, PixelOptions(), Journal())], axis=-1)
    return rgb_of(pixels, options, journal)


def _sixteen(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Put two bytes together, with no more memory than the result takes."""
    values = upper.astype(np.uint16)
    values <<= 8
    values |= lower
    return values


def _split(
    values: npt.NDArray[np.uint16], clear: object
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16] | None]:
    """Return colours and alpha; a single colour may be marked as transparent instead."""
    if values.shape[-1] in (2, 4):
        return values[..., :-1], values[..., -1:]
    if clear is None:
        return values, None
    opaque = (values != np.asarray(clear)).any(axis=-1, keepdims=True)
    return values, opaque.astype(np.uint16) * np.uint16(65535)

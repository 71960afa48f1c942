"""Damaged copies of images, to see what a model makes of what it was not made for."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageFilter

from colabel.data.records import ImageSource

NOISE = 0.4
"""Standard deviation of noise, as a share of the range of a pixel."""

BLUR = 0.02
"""Radius of blur, as a share of the shorter side."""

QUALITY = 5
"""Quality of the JPEG, of 100."""

HIDDEN = 0.6
"""Side of the square that is hidden, as a share of the picture's."""


def _blurred(image: Image.Image, _: random.Random) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(BLUR * min(image.size)))


def _noisy(image: Image.Image, draw: random.Random) -> Image.Image:
    generator = np.random.default_rng(draw.getrandbits(64))
    pixels = np.asarray(image, dtype=np.float32)
    noise = generator.standard_normal(pixels.shape, dtype=np.float32) * (255 * NOISE)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _compressed(image: Image.Image, _: random.Random) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    with Image.open(file) as again:
        return again.convert("RGB")


def _occluded(image: Image.Image, draw: random.Random) -> Image.Image:
    width, height = (max(1, round(HIDDEN * side)) for side in image.size)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    covered = image.copy()
    covered.paste((128, 128, 128), (left, top, left + width, top + height))
    return covered


CORRUPTIONS: Mapping[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "blur": _blurred,
    "noise": _noisy,
    "jpeg": _compressed,
    "occlusion": _occluded,
}
"""What can be done to a picture: strongly, so that labels become hard to tell."""


class CorruptedImages:
    """Images of another source, each damaged in the same way every time.

    Args:
        images: the source.
        corruption: a key of :data:`CORRUPTIONS`.
    """

    def __init__(self, images: ImageSource, corruption: str) -> None:
        self._images, self._corruption = images, corruption

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def open(self, index: int) -> Image.Image:
        """Return image ``index``, damaged.

        Raises:
            ImageError: if it cannot be decoded.
        """
        image = self._images.open(index)
        draw = random.Random(f"{self._corruption}/{index}")
        return CORRUPTIONS[self._corruption](image, draw)

    def locate(self, index: int) -> str:
        """Return the name of image ``index`` for messages."""
        return self._images.locate(index)

    def select(self, indices: Sequence[int]) -> CorruptedImages:
        """Return these images, in this order."""
        return CorruptedImages(self._images.select(indices), self._corruption)

"""What is done to an image before it becomes a tensor: squashing to a square, and augmentation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from colabel.errors import ConfigError, nearest
from colabel.limits import MAX_RESIZING_BYTES

GREY = (128, 128, 128)


def squash(image: Image.Image, size: int) -> Image.Image:
    """Return the image resized to a square, whatever its shape was.

    Source: KMCL, Table 6 and its baseline ASL: no crop, the aspect ratio is given up.

    Deviation: torch's integer kernel instead of Pillow's, which takes about three times as long;
    every channel value is within 1 of ``image.resize((size, size), BILINEAR)``.

    Args:
        image: any size; another mode than RGB is converted to it.
        size: side of the square in pixels, at least 1.

    Returns:
        An RGB image, bilinear with antialiasing.

    Example:
        >>> squash(Image.new("RGB", (500, 375), (10, 20, 30)), 224).getpixel((3, 220))
        (10, 20, 30)
    """
    return Image.fromarray(squash_pixels(np.array(image.convert("RGB")), size))


def squash_pixels(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Return pixels of shape (height, width, 3) as (size, size, 3); see :func:`squash`.

    Raises:
        ConfigError: if the size is below 1.
    """
    if size < 1:
        raise ConfigError(f"image size must be at least 1 pixel, got {size}.")
    if pixels.shape[:2] == (size, size):
        return pixels
    pixels = _fewer_rows(pixels, size)
    # the batch axis first: only then torch sees its channels-last layout and the fast kernel
    channels_last = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(
        channels_last, (size, size), mode="bilinear", antialias=True
    )
    squashed: npt.NDArray[np.uint8] = resized[0].permute(1, 2, 0).contiguous().numpy()
    return squashed


def _fewer_rows(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Return pixels averaged over as many rows as keeps the memory for resizing bounded."""
    height = len(pixels)
    step = -(-height * size * 3 // MAX_RESIZING_BYTES)
    if step <= 1 or height <= size:
        return pixels
    step = min(step, height // size)
    means = [
        pixels[start : start + step].mean(axis=0, dtype=np.float32) + np.float32(0.5)
        for start in range(0, height, step)
    ]
    return np.stack([mean.astype(np.uint8) for mean in means])


@dataclass(frozen=True)
class Augment:
    """Cutout, then random operations of RandAugment, on one squashed image.

    Source: KMCL, Table 6, which lists the operations with their ranges and gives no magnitude.
    An operation is drawn anew each time, as RandAugment does, so one may occur twice.

    Deviation: without a stated magnitude each operation draws its own, uniformly from the range
    of Table 6. Pixels that come from outside the image are grey.

    Args:
        operations: how many operations are applied, at least 0.
        cutout: side of the square painted over, as a fraction of the image's, 0 to 1; 0 paints
            nothing. Its centre is anywhere in the image, so part of the square may lie outside.
            Its colour is random.
        magnitude: fraction of each range that is always taken, above 0 and at most 1, or
            ``None`` to draw it.
        horizontal_flip: mirror every other image first. Not in the paper.
        choices: names of the operations to draw from, of :data:`OPERATIONS`.

    Raises:
        ConfigError: if an argument is out of range or an operation is unknown.

    Example:
        >>> picture = Image.linear_gradient("L").convert("RGB")
        >>> augment = Augment()
        >>> first, second = (augment(picture, random.Random(7)) for _ in range(2))
        >>> first == second, first.size
        (True, (256, 256))
    """

    operations: int = 2
    cutout: float = 0.5
    magnitude: float | None = None
    horizontal_flip: bool = False
    choices: tuple[str, ...] = (
        "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "color", "posterize",
        "solarize", "contrast", "sharpness", "brightness", "autocontrast", "equalize", "invert",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if self.operations < 0:
            raise ConfigError(f"operations must be 0 or more, got {self.operations}.")
        if not 0 <= self.cutout <= 1:
            raise ConfigError(f"cutout must be from 0 to 1, got {self.cutout}.")
        if self.magnitude is not None and not 0 < self.magnitude <= 1:
            raise ConfigError(f"magnitude must be above 0 and at most 1, got {self.magnitude}.")
        for name in self.choices:
            if name not in OPERATIONS:
                raise ConfigError(f"unknown operation {name!r}; {nearest(name, OPERATIONS)}")
        if self.operations and not self.choices:
            raise ConfigError("choices is empty: name an operation, or set operations to 0.")

    @property
    def idle(self) -> bool:
        """Whether every image comes back as it was."""
        return not (self.operations or self.cutout or self.horizontal_flip)

    @property
    def only_mirrors(self) -> bool:
        """Whether every image comes back as it was, or as its mirror image."""
        return self.horizontal_flip and not (self.operations or self.cutout)

    def is_mirrored(self, generator: random.Random) -> bool:
        """Draw whether an image is mirrored; the first that is drawn for an image."""
        return self.horizontal_flip and generator.random() < 0.5

    def __call__(self, image: Image.Image, generator: random.Random) -> Image.Image:
        """Return an augmented copy of an RGB image, a function of image and generator alone.

        Only ``generator.random()`` is drawn from, the sequence that Python keeps the same in
        all its versions.
        """
        if self.is_mirrored(generator):
            image = functional.horizontal_flip(image)
        if self.cutout:
            image = _cut_out(image, self.cutout, generator)
        for _ in range(self.operations):
            apply = OPERATIONS[self.choices[int(generator.random() * len(self.choices))]]
            drawn = 1 - generator.random()  # above 0 and up to 1, the half-open range of the table
            sign = 1 if generator.random() < 0.5 else -1
            image = apply(image, drawn if self.magnitude is None else self.magnitude, sign)
        return image


def _cut_out(image: Image.Image, fraction: float, generator: random.Random) -> Image.Image:
    width, height = image.size
    cut_width, cut_height = round(fraction * width), round(fraction * height)
    left = int(generator.random() * width) - cut_width // 2
    top = int(generator.random() * height) - cut_height // 2
    red, green, blue = (int(generator.random() * 256) for _ in range(3))
    image = image.copy()
    image.paste((red, green, blue), (left, top, left + cut_width, top + cut_height))
    return image


def _shear(image: Image.Image, *, x: float = 0, y: float = 0) -> Image.Image:
    # the table's number is the slope of the sheared side, torchvision wants its angle
    angles = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    sheared: Image.Image = functional.affine(
        image, angle=0, translate=[0, 0], scale=1, shear=angles, fill=GREY, center=[0, 0]
    )
    return sheared


def _translate(image: Image.Image, *, x: float = 0, y: float = 0) -> Image.Image:
    pixels = [round(x * image.width), round(y * image.height)]
    moved: Image.Image = functional.affine(
        image, angle=0, translate=pixels, scale=1, shear=[0, 0], fill=GREY
    )
    return moved


def _enhancement(magnitude: float, sign: int) -> float:
    return 1 + sign * 0.9 * magnitude


# m is the fraction of the range, in (0, 1]; s is 1 or -1, for ranges that go both ways
OPERATIONS: Mapping[str, Callable[[Image.Image, float, int], Image.Image]] = {
    "shear_x": lambda image, m, s: _shear(image, x=s * 0.3 * m),
    "shear_y": lambda image, m, s: _shear(image, y=s * 0.3 * m),
    "translate_x": lambda image, m, s: _translate(image, x=s * 150 / 331 * m),
    "translate_y": lambda image, m, s: _translate(image, y=s * 150 / 331 * m),
    "rotate": lambda image, m, s: functional.rotate(image, s * 30 * m, fill=GREY),
    "color": lambda image, m, s: functional.adjust_saturation(image, _enhancement(m, s)),
    "posterize": lambda image, m, _: functional.posterize(image, 8 - round(4 * m)),
    "solarize": lambda image, m, _: functional.solarize(image, 256 * (1 - m)),
    "contrast": lambda image, m, s: functional.adjust_contrast(image, _enhancement(m, s)),
    "sharpness": lambda image, m, s: functional.adjust_sharpness(image, _enhancement(m, s)),
    "brightness": lambda image, m, s: functional.adjust_brightness(image, _enhancement(m, s)),
    "autocontrast": lambda image, _m, _s: functional.autocontrast(image),
    "equalize": lambda image, _m, _s: functional.equalize(image),
    "invert": lambda image, _m, _s: functional.invert(image),
}
"""The operations and ranges of Table 6: (image, fraction of the range, sign) to image."""

"""From pixels as they are stored to upright RGB with 8 bits, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from colabel.errors import ConfigError
from colabel.limits import MAX_PIXELS, MAX_SIDE

Alpha = Literal["white", "ignore"]

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE, _SLAB = 65_535, 2**20
_SAMPLED = 100_000  # values from which the brightest are estimated


class PixelError(ValueError):
    """Pixels that are not read, with the reason and what to do, as part of a sentence."""


@dataclass(frozen=True)
class PixelOptions:
    """How stored pixels become what the model sees; it travels with the model.

    Args:
        scale: value of 16-bit or floating-point pixels that becomes 255, above 0; ``None`` for
            the full range of 16 bits.
        alpha: ``"white"`` lays transparent pixels over white, ``"ignore"`` takes the colours
            below the transparency as they are.
        bands: channels of an image of more than three that become red, green and blue, counted
            from 1; or a single one that becomes grey.
        max_pixels: width times height above which nothing is decoded.

    Raises:
        ConfigError: if an argument is out of range.

    Example:
        >>> PixelOptions(scale=10_000).alpha
        'white'
    """

    scale: float | None = None
    alpha: Alpha = "white"
    bands: tuple[int, ...] | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.scale is not None and not 0 < self.scale < np.inf:
            raise ConfigError(f"scale must be a number above 0, got {self.scale}.")
        if self.alpha not in ("white", "ignore"):
            raise ConfigError(f"alpha must be 'white' or 'ignore', got {self.alpha!r}.")
        if self.bands is not None and (
            len(self.bands) not in (1, 3) or any(band < 1 for band in self.bands)
        ):
            raise ConfigError(
                "bands must be three channels, or one, counted from 1, such as [4, 3, 2]; got "
                f"{list(self.bands)}."
            )
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, got {self.max_pixels}.")


@dataclass(frozen=True)
class Decoded:
    """An image as the model sees it before resizing, and what was done to bring it there.

    Args:
        image: upright, RGB.
        mode: how the pixels are stored, in Pillow's words ("L", "RGB", "I;16").
        format: of the file, or ``None`` without one.
        turned: whether a note in the file asks to turn or mirror it.
        changes: what was lost or guessed: keys of :data:`colabel.data.changes.CHANGES`.
        peak: value that one in a thousand stored values exceeds, where they have more than
            8 bits.
    """

    image: Image.Image
    mode: str
    format: str | None = None
    turned: bool = False
    changes: frozenset[str] = frozenset()
    peak: float | None = None


@dataclass
class Journal:
    """What happens to one image while it is read, written down by who does it."""

    changes: set[str] = field(default_factory=set)
    peak: float | None = None


def check_size(size: tuple[int, int], options: PixelOptions) -> None:
    """Refuse to decode an image that is too large.

    Raises:
        PixelError: naming the limit and how to lift it, where that is possible.
    """
    width, height = size
    if max(size) > MAX_SIDE:
        raise PixelError(
            f"{width} x {height} pixels: sides of more than {MAX_SIDE} are not resized; cut the "
            "image into pieces"
        )
    if width * height > options.max_pixels:
        raise PixelError(
            f"{width} x {height} pixels are more than the limit of {options.max_pixels}; shrink "
            f"the image, or, if you trust it, add --set data.max_pixels={width * height} (train, "
            f"check) or --max-pixels {width * height} (evaluate, predict)"
        )


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where there is none or it makes no sense."""
    try:
        return meaningful_orientation(image.getexif().get(_ORIENTATION_TAG, 1))
    except MemoryError:
        raise
    except Exception:  # the pixels are good; a broken comment is no reason to refuse them
        return 1


def meaningful_orientation(value: Any) -> int:
    """Return an orientation as a number from 1 to 8, 1 for whatever is none.

    Example:
        >>> [meaningful_orientation(value) for value in (6, 77, float("inf"), (3, 3), "8")]
        [6, 1, 1, 1, 8]
    """
    try:
        return int(value) if int(value) in _TURNS else 1
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        return 1


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Return an image as its EXIF orientation says it is to be seen."""
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def eight_bits(
    values: npt.NDArray[Any], options: PixelOptions, journal: Journal, *, inverted: bool = False
) -> npt.NDArray[np.uint8]:
    """Return numbers of any kind as 0 to 255; those of 8 bits are such already.

    Formula: ``round(255 * value / scale)``, limited to 0 and 255; without a scale it is 65535.

    Args:
        values: any shape.
        options: the scale.
        journal: hears what was lost.
        inverted: 0 is white.

    Raises:
        PixelError: if the range of the numbers would have to be guessed.

    Example:
        >>> eight_bits(np.array([0.0, 5000.0, 11517.0]), PixelOptions(scale=1e4), Journal())
        array([  0, 128, 255], dtype=uint8)
    """
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.int8 and values.min() >= 0:
        values = values.astype(np.uint8)
    if values.dtype == np.uint8:
        return 255 - values if inverted else values
    if values.dtype.kind == "f":
        if options.scale is None:
            raise PixelError(
                "its pixels are floating-point numbers, and nothing says which of them is white; "
                "say it with --set data.scale=NUMBER"
            )
        finite = np.isfinite(values)
        if not finite.all():
            journal.changes.add("not numbers")
            values = np.where(finite, values, 0)
    step = max(1, values.size // _SAMPLED)
    journal.peak = float(np.percentile(values.flat[::step], 99.9))
    if options.scale is None:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > _WHITE:
            raise PixelError(
                f"its pixels run from {low} to {high}, expected 0 to 65535; name the value that "
                "is white with --set data.scale=NUMBER (what is below 0 becomes black), or "
                "convert the file to 8 or 16 bits"
            )
        journal.changes.add("16 bits")
    elif np.count_nonzero(values > options.scale) > values.size / 100:
        journal.changes.add("cut off")
    pixels = _by_table(values, options.scale)
    return 255 - pixels if inverted else pixels


def _by_table(values: npt.NDArray[Any], scale: float | None) -> npt.NDArray[np.uint8]:
    """Return numbers scaled to 0 to 255; those of 16 bits are looked up, a million at a time.

    A picture of 89 million pixels has 360 million of them, for which there is neither the time
    nor the memory to compute each.
    """
    highest = values.max()
    if values.dtype.kind not in "iu" or values.min() < 0 or highest > _WHITE:
        return _scaled(values, scale)
    table = _scaled(np.arange(int(highest) + 1).astype(values.dtype), scale)
    pixels = np.empty(values.shape, dtype=np.uint8)
    rows = max(1, _SLAB * len(values) // values.size)
    for start in range(0, len(values), rows):
        pixels[start : start + rows] = table[values[start : start + rows]]
    return pixels


def _scaled(values: npt.NDArray[Any], scale: float | None) -> npt.NDArray[np.uint8]:
    """Return ``round(255 * value / scale)``, limited to 0 and 255, each computed."""
    if scale is None:
        return ((values.astype(np.int64) * 255 + _WHITE // 2) // _WHITE).astype(np.uint8)
    exact = values.astype(np.result_type(values.dtype, np.float32))
    whole: npt.NDArray[np.uint8] = np.clip(np.floor(exact * 255 / scale + 0.5), 0, 255).astype(
        np.uint8
    )
    return whole


def chosen_bands(values: npt.NDArray[Any], bands: Sequence[int]) -> npt.NDArray[Any]:
    """Return the channels asked for of an image of shape (height, width, channels).

    Raises:
        PixelError: if there is no such channel.
    """
    count = values.shape[-1]
    if max(bands) > count:
        raise PixelError(
            f"it has {count} channels, and data.bands asks for number {max(bands)}; correct it"
        )
    return values[..., [band - 1 for band in bands]]


def rgb_of(
    channels: npt.NDArray[np.uint8], options: PixelOptions, journal: Journal
) -> Image.Image:
    """Return pixels of shape (height, width) or (height, width, 1 to 4) as RGB.

    Two and four channels end in transparency, as :func:`to_rgb` treats it.
    """
    count = 1 if channels.ndim == 2 else channels.shape[2]
    if count == 1:
        return Image.fromarray(channels.reshape(channels.shape[:2])).convert("RGB")
    image = Image.fromarray(np.ascontiguousarray(channels))  # LA, RGB or RGBA by their number
    return to_rgb(image, options, journal)


def to_rgb(
    image: Image.Image, options: PixelOptions, journal: Journal, *, inverted: bool = False
) -> Image.Image:
    """Return a loaded Pillow image of any mode as RGB.

    Args:
        image: of any mode.
        options: how pixels are read.
        journal: hears what was lost.
        inverted: 0 is white in an image of 16 bits, which Pillow leaves as it is.

    Raises:
        PixelError: if its pixels cannot be brought to 8 bits without guessing their range.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        pixels = eight_bits(values, options, journal, inverted=inverted)
        no_data = image.info.get("transparency")
        if isinstance(no_data, int) and options.alpha == "white" and (values == no_data).any():
            journal.changes.add("transparency")
            pixels = np.where(values == no_data, np.uint8(255), pixels)
        return Image.fromarray(pixels).convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "RGBX") and options.bands is not None:
        return rgb_of(chosen_bands(np.asarray(image), options.bands), options, journal)
    if image.has_transparency_data:
        return _without_alpha(image, options, journal)
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode == "CMYK":
        journal.changes.add("cmyk")
    if image.mode == "RGBX":
        journal.changes.add("more channels")
    return image.convert("RGB") if image.mode != "RGB" else image


def _without_alpha(image: Image.Image, options: PixelOptions, journal: Journal) -> Image.Image:
    """Lay an image with transparency over white, or take its colours, as asked."""
    layers = image.convert("RGBA")
    colours = layers.convert("RGB")
    if options.alpha == "ignore":
        return colours
    counts = layers.getchannel("A").histogram()
    everything = sum(counts)
    if counts[255] == everything:
        return colours
    if counts[0] == everything:
        journal.changes.add("invisible")
        return colours
    partly = everything - counts[0] - counts[255]
    journal.changes.add("fourth channel" if partly > everything / 2 else "transparency")
    canvas = Image.new("RGBA", layers.size, (255, 255, 255, 255))
    canvas.alpha_composite(layers)
    return canvas.convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    """Return CIE L*a*b* as sRGB; Pillow's plain conversion would take it for RGB."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def to_upright_rgb(image: Image.Image, options: PixelOptions | None = None) -> Image.Image:
    """Return a Pillow image upright and as RGB, as the image of a file is.

    Args:
        image: of any mode.
        options: default: those of :class:`PixelOptions`.

    Raises:
        PixelError: if its pixels cannot be brought to 8 bits without guessing their range.
    """
    orientation = orientation_of(image)
    return turn(to_rgb(image, options or PixelOptions(), Journal()), orientation)

"""TIFF files: what their tags say, and those that Pillow refuses or reads wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from colabel.data.pixels import (
    Journal,
    PixelError,
    PixelOptions,
    chosen_bands,
    eight_bits,
    meaningful_orientation,
    rgb_of,
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # channels of a photometric interpretation
_SIGNED, _FLOAT = 2, 3
_SEPARATE = 2
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of alpha
_PILLOW_CHANNELS = 6
_SMALLER_OR_MASK = 0b101  # kinds of pages that show the first one again


@dataclass(frozen=True)
class Layout:
    """How the first page of a TIFF stores its pixels, by its tags.

    Args:
        size: width and height.
        bits: of a channel, the largest.
        sample_format: 1 unsigned, 2 signed, 3 floating point.
        photometric: what the channels mean.
        channels: how many.
        extra: kinds of the channels beyond the colours; 0 is unspecified.
        separate: whether every channel is stored as a plane of its own.
        little_endian: order of bytes.
        orientation: as in EXIF.
        pages: whether more follow that show something else.
    """

    size: tuple[int, int]
    bits: int
    sample_format: int
    photometric: int
    channels: int
    extra: tuple[int, ...]
    separate: bool
    little_endian: bool
    orientation: int
    pages: bool

    @property
    def white_is_zero(self) -> bool:
        """Whether 0 is white."""
        return self.photometric == _WHITE_IS_ZERO

    @property
    def has_alpha(self) -> bool:
        """Whether the first channel beyond the colours is transparency."""
        return self.extra[:1] in ((_ASSOCIATED,), (_UNASSOCIATED,))

    @property
    def unnamed(self) -> bool:
        """Whether there are several channels and nothing says what they are."""
        grey = self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        return grey and self.channels > 1 + self.has_alpha

    @property
    def more_channels(self) -> bool:
        """Whether there are channels beyond colours and transparency."""
        return self.channels > _COLOURS.get(self.photometric, self.channels) + self.has_alpha


def read_layout(file: BinaryIO) -> Layout | None:
    """Return what the tags of a TIFF say, ``None`` where they make no sense."""
    try:
        file.seek(0)
        header = file.read(8)
        if header[:2] not in (b"II", b"MM"):
            return None
        if 43 in header[2:4]:  # BigTIFF
            header += file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        channels = int(tags.get(277, 1))
        return Layout(
            size=(int(tags[256]), int(tags[257])),
            bits=max(tags.get(258, (1,))),
            sample_format=max(tags.get(339, (1,))),
            photometric=int(tags.get(262, 0)),
            channels=channels,
            extra=tuple(tags.get(338, ())),
            separate=channels > 1 and tags.get(284, 1) == _SEPARATE,
            little_endian=header[:2] == b"II",
            orientation=meaningful_orientation(tags.get(274, 1)),
            pages=_more_pages(file, tags, header),
        )
    except MemoryError:
        raise
    except Exception:  # Pillow says what is wrong with the file
        return None


def _more_pages(
    file: BinaryIO, tags: TiffImagePlugin.ImageFileDirectory_v2, header: bytes
) -> bool:
    """Tell whether the next page is another picture, not a smaller copy or a mask of the first."""
    if not tags.next:
        return False
    following = TiffImagePlugin.ImageFileDirectory_v2(header)
    file.seek(tags.next)
    following.load(file)
    return not int(following.get(254, 0)) & _SMALLER_OR_MASK


def pillow_reads(layout: Layout, options: PixelOptions) -> bool:
    """Tell whether Pillow reads these pixels completely and rightly."""
    if layout.unnamed or (options.bands is not None and layout.channels > 3):
        return False
    if layout.sample_format == _FLOAT:
        return layout.bits == 32 and layout.channels == 1
    if layout.sample_format == _SIGNED:
        return layout.bits in (16, 32) and layout.channels == 1 and layout.photometric == 1
    if layout.bits <= 8:
        return layout.channels <= _PILLOW_CHANNELS
    if layout.bits != 16:
        return False
    if layout.channels > 1:  # Pillow keeps the upper 8 bits, of a plane the lower ones
        return not layout.separate and options.scale is None
    return layout.photometric != _WHITE_IS_ZERO or layout.little_endian


def note_layout(layout: Layout, journal: Journal) -> None:
    """Write down what reading a TIFF of this layout loses."""
    if layout.pages:
        journal.changes.add("pages")
    if layout.more_channels:
        journal.changes.add("more channels")
    if layout.bits == 16 and layout.channels > 1:
        journal.changes.add("16 bits")


def read_tiff(
    file: BinaryIO, layout: Layout, options: PixelOptions, journal: Journal
) -> tuple[Image.Image, str]:
    """Return the first page as RGB, not yet upright, and how it is stored.

    Args:
        file: the TIFF.
        layout: from :func:`read_layout`.
        options: the channels and the scale.
        journal: hears what was lost.

    Raises:
        PixelError: if nothing says which channels to take, or a package is missing.
    """
    if layout.unnamed and options.bands is None:
        example = (
            "[4,3,2]" if layout.channels > 3 else "[1,2,3]" if layout.channels == 3 else "[1]"
        )
        raise PixelError(
            f"it has {layout.channels} channels, and nothing says which are red, green and blue; "
            f"name them, counted from 1, such as --set data.bands={example}"
        )
    if layout.pages:
        journal.changes.add("pages")
    values = _load(file, layout)
    stored = f"{layout.channels} x {values.dtype}" if layout.channels > 1 else str(values.dtype)
    inverted = layout.white_is_zero
    if layout.channels == 1:
        grey = eight_bits(values, options, journal, inverted=inverted)
        return rgb_of(grey, options, journal), stored
    if options.bands is not None and (layout.unnamed or layout.channels > 3):
        chosen = chosen_bands(values, options.bands)
        colours = eight_bits(chosen, options, journal, inverted=inverted)
        return rgb_of(colours, options, journal), stored
    if layout.photometric not in (_RGB, _WHITE_IS_ZERO, _BLACK_IS_ZERO):
        raise PixelError(
            f"{layout.bits} bits in a colour space other than grey and RGB (photometric "
            f"interpretation {layout.photometric}) are not read; convert it to RGB"
        )
    count = _COLOURS[layout.photometric]
    colours = eight_bits(values[..., :count], options, journal, inverted=inverted)
    if layout.more_channels:
        journal.changes.add("more channels")
    if not layout.has_alpha or values.dtype.kind == "f":
        return rgb_of(colours, options, journal), stored
    alpha = eight_bits(values[..., count : count + 1], PixelOptions(), Journal())
    together = np.concatenate([colours, alpha], axis=-1)
    if layout.extra[0] == _ASSOCIATED:
        mode = "RGBa" if count == 3 else "La"
        premultiplied = Image.frombytes(mode, layout.size, together.tobytes())
        together = np.asarray(premultiplied.convert("RGBA" if count == 3 else "LA"))
    return rgb_of(together, options, journal), stored


def _load(file: BinaryIO, layout: Layout) -> npt.NDArray[Any]:
    """Return the values of the first page, shape (height, width) or (height, width, channels)."""
    try:
        import tifffile
    except ModuleNotFoundError as error:
        raise PixelError(
            f"{layout.channels} channels of {layout.bits} bits need the package tifffile; install "
            "it with: pip install 'colabel[formats]'"
        ) from error
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages.first
            values: npt.NDArray[Any] = page.asarray(maxworkers=1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise PixelError(
            f"its compression is not read in this kind of TIFF ({error}); install imagecodecs, or "
            "write it anew: gdal_translate -co COMPRESS=DEFLATE OLD NEW"
        ) from error
    if layout.separate:
        values = np.moveaxis(values, 0, -1)
    width, height = layout.size
    if values.shape[:2] != (height, width):
        raise PixelError(f"its values have the shape {values.shape}; convert it to a plain image")
    return values

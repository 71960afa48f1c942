"""Image files of any kind, opened as upright RGB, or refused by name."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol, final, runtime_checkable

from PIL import Image, ImageFile, UnidentifiedImageError, features

from colabel.data.completeness import describe_missing_pixels
from colabel.data.dicom import is_dicom, read_dicom
from colabel.data.headers import check_bytes, check_header
from colabel.data.pixels import (
    Alpha,
    Decoded,
    Journal,
    PixelError,
    PixelOptions,
    check_size,
    orientation_of,
    to_rgb,
    turn,
)
from colabel.data.png16 import is_deep, read_deep
from colabel.data.records import ImageSource, Records
from colabel.data.tiff import note_layout, pillow_reads, read_layout, read_tiff
from colabel.data.tiff_pieces import check_pieces
from colabel.errors import ImageError, NotEnoughMemoryError
from colabel.foreign import open_plain
from colabel.limits import MAX_PIXELS

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Formats that Pillow decodes, recognised by content; JPEG includes the MPO files of some cameras,
and AVIF is one of them where Pillow was built with it. DICOM is read besides."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"}
    | {".avif", ".dcm", ".dicom"}
)
"""Endings of image files, in lower case."""

if features.check("avif"):
    FORMATS = (*FORMATS, "AVIF")

_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_MOVING = ("GIF", "PNG", "WEBP", "AVIF")


def identify(file: BinaryIO, formats: Sequence[str] = FORMATS) -> ImageFile.ImageFile:
    """Return an image whose header is read and whose pixels are not.

    This is what ``PIL.Image.open`` does, without its limit on pixels: that is a number of the
    whole process, and warns where a program may have turned warnings into errors. The caller has
    to apply :func:`colabel.data.pixels.check_size`.

    Args:
        file: the encoded image, seekable.
        formats: those to try, in Pillow's words.

    Raises:
        UnidentifiedImageError: if it is none of these.
    """
    file.seek(0)
    prefix = file.read(16)
    for name in formats:
        if name not in Image.OPEN:
            Image.init()
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:
            continue
        try:
            file.seek(0)
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError("of no known format")


def decode(file: BinaryIO, name: str, options: PixelOptions | None = None) -> Decoded:
    """Return the image in a binary stream upright, as RGB, fully decoded.

    What is done to each kind of pixels stands in ``docs/data.md``; whatever is lost or guessed is
    named in ``changes``.

    An image with less data than its header claims is refused, also where the decoder would
    fill up with grey (JPEG) or black (PNG). A header that claims less than the data holds
    cannot be told from an honest one.

    Args:
        file: the encoded image, seekable.
        name: what to call it in messages.
        options: default: those of :class:`PixelOptions`.

    Raises:
        ImageError: if the image cannot be decoded or is too large; names it, with the reason.
        NotEnoughMemoryError: if it may be in order, and the memory is not enough for it.
    """
    try:
        return _decode(file, options or PixelOptions())
    except PixelError as error:
        raise ImageError(f"{name}: {error}.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_unknown(file)}") from error
    except Exception as error:  # decoders fail on hostile bytes in every way there is
        if isinstance(error, MemoryError) or str(error).startswith("out of memory"):  # Pillow's
            raise NotEnoughMemoryError(
                f"{name}: the memory is not enough to decode it; end other programs, set fewer "
                "workers, or allow fewer pixels (data.max_pixels)."
            ) from error
        if _is_ours(error):
            raise
        raise ImageError(
            f"{name}: cannot be decoded ({error or type(error).__name__}); "
            "replace or remove the file."
        ) from error


def _is_ours(error: Exception) -> bool:
    """Tell whether an error is a mistake in a line of this package, not one in the file."""
    if not isinstance(error, (NameError, AttributeError, AssertionError, ImportError)):
        return False
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    module = "" if place is None else str(place.tb_frame.f_globals.get("__name__"))
    return module.split(".")[0] == "colabel"


def _decode(file: BinaryIO, options: PixelOptions) -> Decoded:
    journal = Journal()
    if is_dicom(file):
        image, stored = read_dicom(file, options, journal)
        return Decoded(image, stored, "DICOM", False, frozenset(journal.changes), journal.peak)
    check_pieces(file)
    layout = read_layout(file)
    if layout is None:
        check_bytes(file, options)
        check_header(file, options)
    elif not pillow_reads(layout, options):
        check_size(layout.size, options)
        pixels, stored = read_tiff(file, layout, options, journal)
        return Decoded(
            turn(pixels, layout.orientation),
            stored,
            "TIFF",
            layout.orientation != 1,
            frozenset(journal.changes),
            journal.peak,
        )
    with identify(file) as image:
        check_size(image.size, options)
        stored, kind = image.mode, str(image.format)
        early = orientation_of(image) if kind == "TIFF" else 1  # loading a TIFF turns it
        if kind in _MOVING and getattr(image, "is_animated", False):
            journal.changes.add("pages")
        if layout is not None:
            note_layout(layout, journal)
        if is_deep(image):
            pixels = read_deep(image, lambda: identify(file, ("PNG",)), options, journal)
        else:
            image.load()
            white_is_zero = layout is not None and layout.white_is_zero
            pixels = to_rgb(image, options, journal, inverted=white_is_zero)
        missing = describe_missing_pixels(file, image)
        if missing is not None:
            raise PixelError(f"{missing}; replace or remove the file")
        if _has_other_profile(image):
            journal.changes.add("profile")
        upright = turn(pixels.copy() if pixels is image else pixels, orientation_of(image))
        turned = orientation_of(image) != 1 or early != 1
    changes = frozenset(journal.changes)
    return Decoded(upright, stored, kind, turned, changes, journal.peak)


def _has_other_profile(image: Image.Image) -> bool:
    """Tell whether an image has a colour profile that is not one of sRGB."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return False
    return b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile


def _unknown(file: BinaryIO) -> str:
    """Say of a file that no decoder takes what it is."""
    file.seek(4)
    if file.read(4) == b"ftyp" and file.read(4) in _HEIC:
        return (
            "a HEIC photo, which is not read; save it as JPEG, such as with: "
            "heif-convert PHOTO.heic PHOTO.jpg"
        )
    return (
        f"not an image of a known format (expected one of {', '.join(FORMATS)}, DICOM); "
        "convert or remove the file."
    )


def open_image(
    path: Path | str,
    *,
    scale: float | None = None,
    alpha: Alpha = "white",
    bands: Sequence[int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Return an image file upright and as RGB: what a model sees of it, before it is resized.

    Args:
        path: of the file.
        scale: value of 16-bit or floating-point pixels that becomes 255; default: the full range
            of 16 bits.
        alpha: ``"white"`` lays transparent pixels over white, ``"ignore"`` takes the colours as
            they are.
        bands: channels of an image of more than three that become red, green and blue, from 1 on.
        max_pixels: width times height above which nothing is decoded.

    Raises:
        ImageError: if the file is missing or cannot be decoded; names it, with the reason.
        ConfigError: if an option is out of range.
    """
    chosen = None if bands is None else tuple(bands)
    return FileImages([path], options=PixelOptions(scale, alpha, chosen, max_pixels)).open(0)


@final
class FileImages:
    """Images in files, each opened when asked for.

    Args:
        paths: one path per image.
        root: folder the paths are relative to, for relative ones; ``None`` for the current one.
        options: how pixels are read; default: those of :class:`PixelOptions`.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        root: Path | None = None,
        *,
        options: PixelOptions | None = None,
    ) -> None:
        # plain strings: a hundred thousand Path objects cost memory in every worker
        if root is None:
            self._paths = tuple(map(str, paths))
        else:
            base = str(root)
            self._paths = tuple(os.path.join(base, path) for path in paths)
        self.options = options or PixelOptions()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def locate(self, index: int) -> str:
        """Return the path of image ``index``."""
        return self._paths[index]

    def select(self, indices: Sequence[int]) -> FileImages:
        """Return these images, in this order."""
        return FileImages([self._paths[int(index)] for index in indices], options=self.options)

    def with_options(self, options: PixelOptions) -> FileImages:
        """Return the same images, read with other options."""
        return FileImages(self._paths, options=options)

    def open(self, index: int) -> Image.Image:
        """Return image ``index`` as :func:`decode` does.

        Raises:
            ImageError: if the file is missing, no plain file, or cannot be decoded.
        """
        return self.read(index).image

    def read(self, index: int) -> Decoded:
        """Return image ``index`` with what was done to it.

        Raises:
            ImageError: if the file is missing, no plain file, or cannot be decoded.
        """
        path = self._paths[index]
        try:
            with open_plain(path) as file:
                return decode(file, path, self.options)
        except FileNotFoundError as error:
            raise ImageError(
                f"{path}: no such file; check the path in the labels, or restore the image."
            ) from error
        except OSError as error:
            raise ImageError(
                f"{path}: cannot be read ({error.strerror}); expected an image."
            ) from error
        except ValueError as error:  # a zero byte, which no path may have
            if isinstance(error, ImageError) or "\0" not in path:
                raise
            raise ImageError(f"{path!r}: no such file; correct the path in the labels.") from error


@runtime_checkable
class EncodedSource(Protocol):
    """An image source that decodes encoded images, and says what was done to them."""

    def read(self, index: int) -> Decoded:
        """Return image ``index`` with what was done to it."""
        ...

    def with_options(self, options: PixelOptions) -> ImageSource:
        """Return the same images, read with other options."""
        ...


def read_with(records: Records, options: PixelOptions) -> Records:
    """Return records whose image files are read with these options."""
    images = records.images
    if not isinstance(images, EncodedSource):
        return records
    return replace(records, images=images.with_options(options))

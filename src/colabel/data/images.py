"""Image files of any kind, opened as upright RGB, or refused by name."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, final

import numpy as np
from PIL import Image, UnidentifiedImageError

from colabel.data.completeness import describe_missing_pixels
from colabel.data.paths import find_files
from colabel.errors import DataError, ImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Formats that are decoded, recognised by content; JPEG includes the MPO files of some cameras."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"}
)
"""Endings of image files, in lower case."""

MAX_PIXELS = 89_478_485
"""Largest image that is decoded: where Pillow starts to warn of a decompression bomb."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        # the pixels are good; a broken comment about them is no reason to refuse the image
        return 1


def _flatten(image: Image.Image) -> Image.Image:
    """Return an image with transparency as RGB over white."""
    layers = image.convert("RGBA")
    canvas = Image.new("RGBA", layers.size, (255, 255, 255, 255))
    canvas.alpha_composite(layers)
    return canvas.convert("RGB")


def _scale_16_bit(image: Image.Image) -> Image.Image:
    """Return an integer image as RGB, 0..65535 becoming 0..255."""
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ValueError(
            f"its pixels run from {low} to {high}, expected 0 to 65535; "
            "convert the file to 8 or 16 bits"
        )
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return _flatten(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _scale_16_bit(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; convert it to 8 or 16 bits")
    return image.convert("RGB")


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Return an open image upright and as RGB, as :func:`decode` does.

    Raises:
        ValueError: if its pixels cannot be brought to 8 bits without guessing their range.
    """
    upright = _UPRIGHT.get(_orientation(image))
    pixels = _to_rgb(image)
    return pixels if upright is None else pixels.transpose(upright)


def decode(file: BinaryIO, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the image in a binary stream upright, as RGB, fully decoded.

    The EXIF orientation is applied. Transparency is laid over white: what is drawn on a
    transparent page is mostly dark, and would vanish over black. 16-bit grey values are scaled
    by the full range, 65535 becoming 255, never by what one image happens to hold. CMYK and the
    other colour spaces go through Pillow's plain conversion; colour profiles are not applied.
    Of several frames or pages the first is taken.

    An image with less data than its header claims is refused, also where the decoder would
    fill up with grey (JPEG) or black (PNG). A header that claims less than the data holds
    cannot be told from an honest one.

    Args:
        file: the encoded image, seekable.
        name: what to call it in messages.
        max_pixels: width times height above which nothing is decoded. Pillow has a limit of
            its own at 178,956,970 pixels.

    Raises:
        ImageError: if the image cannot be decoded or is too large; names it, with the reason.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{name}: {width} x {height} pixels are more than the limit of {max_pixels}; "
                    "shrink the image, or raise max_pixels if you trust it."
                )
            image.load()
            missing = describe_missing_pixels(file, image)
            if missing is not None:
                raise ImageError(f"{name}: {missing}; replace or remove the file.")
            pixels = to_upright_rgb(image)
            return pixels.copy() if pixels is image else pixels
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{name}: {error} Its header claims more pixels than are decoded; shrink the image."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image of a known format (expected one of {', '.join(FORMATS)}); "
            "convert or remove the file."
        ) from error
    except Exception as error:  # decoders fail on hostile bytes in every way there is
        raise ImageError(
            f"{name}: cannot be decoded ({error or type(error).__name__}); "
            "replace or remove the file."
        ) from error


@final
class FileImages:
    """Images in files, each opened when asked for.

    Args:
        paths: one path per image.
        root: folder the paths are relative to, for relative ones; ``None`` for the current one.
        max_pixels: see :func:`decode`.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        root: Path | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        base = "" if root is None else str(root)
        # plain strings: a hundred thousand Path objects cost memory in every worker
        self._paths = tuple(os.path.join(base, path) for path in paths)
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def locate(self, index: int) -> str:
        """Return the path of image ``index``."""
        return self._paths[index]

    def select(self, indices: Sequence[int]) -> FileImages:
        """Return these images, in this order."""
        chosen = [self._paths[int(index)] for index in indices]
        return FileImages(chosen, max_pixels=self.max_pixels)

    def open(self, index: int) -> Image.Image:
        """Return image ``index`` as :func:`decode` does.

        Raises:
            ImageError: if the file is missing, no plain file, or cannot be decoded.
        """
        path = self._paths[index]
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise ImageError(f"{path}: not a plain file; expected an image.")
            with open(path, "rb") as file:
                return decode(file, path, max_pixels=self.max_pixels)
        except FileNotFoundError as error:
            raise ImageError(
                f"{path}: no such file; check the path in the labels, or restore the image."
            ) from error
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error


def find_images(
    root: Path, names: Sequence[str], *, source: Path, require_images: bool
) -> tuple[FileImages, tuple[str, ...]]:
    """Return the images of these names, with a note about those that are missing.

    Args:
        root: folder the names are relative to.
        names: relative paths with forward slashes.
        source: the file that lists them, for messages.
        require_images: refuse if not one of the files exists: the folder must be wrong.

    Returns:
        The images, and a note for :class:`Records` where some are missing.

    Raises:
        DataError: if there are names, none of them exists and ``require_images`` is set.
    """
    paths, missing = find_files(root, names, IMAGE_SUFFIXES)
    images = FileImages(paths)
    notes = _ending_notes(names, paths, frozenset(missing))
    if not missing:
        return images, notes
    if require_images and len(missing) == len(names):
        raise DataError(
            f"none of the {len(names)} images listed in {source} exists; the first was looked for "
            f"at {paths[0]}. {_remedy(root, names[0])}"
        )
    return images, (
        *notes,
        f"{len(missing)} of {len(names)} image files are missing, first {paths[missing[0]]}",
    )


def _ending_notes(
    names: Sequence[str], paths: Sequence[str], missing: frozenset[int]
) -> tuple[str, ...]:
    """Say how many names were completed by the ending of a file."""
    completed = [
        position
        for position, name in enumerate(names)
        if position not in missing
        and os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES
        and os.path.splitext(paths[position])[1].lower() in IMAGE_SUFFIXES
    ]
    if not completed:
        return ()
    first = completed[0]
    return (
        f"{len(completed)} names without an ending matched to files, such as {names[first]} to "
        f"{os.path.basename(paths[first])}",
    )


_MOST_LISTED = 50_000


def _remedy(root: Path, name: str) -> str:
    """Say where a file of this name lies below the folder, and what to do."""
    leaf = name.rsplit("/", 1)[-1]
    bare = os.path.splitext(leaf)[1].lower() not in IMAGE_SUFFIXES
    listed = 0
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        listed += len(files)
        for file in files:
            stem, ending = os.path.splitext(file)
            if file == leaf or (bare and stem == leaf and ending.lower() in IMAGE_SUFFIXES):
                base = folder if "/" not in name else folder.removesuffix(os.path.dirname(name))
                return f"{os.path.join(folder, file)} exists: set the option images={base}."
        if listed > _MOST_LISTED:
            break
    ending = (
        f" The name {leaf!r} has no ending such as .jpg; a file with the same name and the ending "
        "of an image would be found."
        if bare
        else ""
    )
    return "Check the folder, give it as the option images, or unpack the images there." + ending

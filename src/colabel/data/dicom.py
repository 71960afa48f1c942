"""DICOM files with one picture, shown as their display window says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from colabel.data.pixels import Journal, PixelError, PixelOptions, check_size, eight_bits
from colabel.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
_GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(file: BinaryIO) -> bool:
    """Tell whether a file is DICOM, by its content."""
    file.seek(_PREAMBLE)
    return file.read(4) == b"DICM"


def read_dicom(file: BinaryIO, options: PixelOptions, journal: Journal) -> tuple[Image.Image, str]:
    """Return the picture of a DICOM file as RGB, and how it is stored.

    Grey values are rescaled (slope and intercept, or a table), then shown through the first
    display window or, without one, the table of display values. Where the file has neither, 255 is
    ``options.scale`` or else the largest number of its bits, which is noted. MONOCHROME1 is
    inverted. Colours are converted to RGB.

    Args:
        file: the DICOM file.
        options: the scale for files without a window, and the largest number of pixels.
        journal: hears what was guessed.

    Raises:
        PixelError: if there is no picture or more than one, or a decoder is missing.
    """
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise PixelError(
            "a DICOM file needs the package pydicom; install it with: "
            "pip install 'colabel[formats]'"
        ) from error
    if file.seek(0, 2) > MAX_BYTES:
        raise PixelError(f"the file is larger than {MAX_BYTES >> 30} GiB; export its picture")
    file.seek(0)
    dataset = pydicom.dcmread(file)
    return _picture(dataset, options, journal)


def _picture(dataset: Dataset, options: PixelOptions, journal: Journal) -> tuple[Image.Image, str]:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise PixelError(
            f"it has {frames} frames, and a label is about one picture; export the frame that the "
            "labels describe as a file of its own"
        )
    if "PixelData" not in dataset:
        raise PixelError(
            f"it holds no pixels ({dataset.get('Modality') or 'unknown modality'}); remove it, or "
            "export the picture again"
        )
    check_size((int(dataset.Columns), int(dataset.Rows)), options)
    kind = str(dataset.PhotometricInterpretation)
    if kind in _GREY:
        grey = _shown(_values(dataset), dataset, options, journal)
        image = Image.fromarray(255 - grey if kind == "MONOCHROME1" else grey)
        return image.convert("RGB"), "L" if dataset.BitsAllocated <= 8 else "I;16"
    if kind == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        colours = apply_color_lut(_values(dataset), dataset)
        return Image.fromarray(eight_bits(colours, PixelOptions(), journal)), "P"
    if kind == "RGB" or kind.startswith("YBR"):
        colours = _values(dataset)  # pydicom has made RGB of them
        if colours.dtype == np.uint8:
            return Image.fromarray(colours), "RGB"
    raise PixelError(
        f"pixels of the kind {kind} with {dataset.BitsAllocated} bits are not read; export the "
        "picture as PNG"
    )


def _values(dataset: Dataset) -> npt.NDArray[Any]:
    """Return the stored values, decompressed."""
    from pydicom.pixels.utils import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        values: npt.NDArray[Any] = pixel_array(dataset)
    except (RuntimeError, NotImplementedError) as error:
        raise PixelError(
            f"its pixels are compressed as {syntax.name}, which is not decoded here "
            f"({str(error).splitlines()[0]}); install a decoder such as python-gdcm, or write the "
            "file without compression: gdcmconv --raw OLD NEW"
        ) from error
    return values


def _shown(
    stored: npt.NDArray[Any], dataset: Dataset, options: PixelOptions, journal: Journal
) -> npt.NDArray[np.uint8]:
    """Return grey values as they are meant to be shown, before MONOCHROME1 is inverted."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    values = np.asarray(apply_modality_lut(stored, dataset))
    if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        centre, width = (_first(dataset[name].value) for name in ("WindowCenter", "WindowWidth"))
        return _windowed(values, centre, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
    if dataset.get("VOILUTSequence"):
        table = dataset.VOILUTSequence[0]
        return _stretched(apply_voi(values, dataset), 0, 2 ** table.LUTDescriptor[2] - 1)
    if options.scale is not None:
        return eight_bits(values.astype(np.float64), options, journal)
    bits = int(dataset.BitsStored)
    if bits > 8:
        journal.changes.add("no window")
    signed = int(dataset.PixelRepresentation) == 1
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope = float(dataset.get("RescaleSlope") or 1)
    intercept = float(dataset.get("RescaleIntercept") or 0)
    ends = sorted((slope * lowest + intercept, slope * highest + intercept))
    return _stretched(values, *ends)


def _first(value: Any) -> float:
    """Return the first of the windows that a file offers."""
    return float(value if isinstance(value, (int, float)) else value[0])


def _windowed(
    values: npt.NDArray[Any], centre: float, width: float, function: str
) -> npt.NDArray[np.uint8]:
    """Return values through a display window.

    Source: DICOM PS3.3, C.11.2.1.2 (linear) and C.11.2.1.3 (sigmoid, linear exact).
    """
    if function == "SIGMOID":
        shown = 255 / (1 + np.exp(-4 * (values - centre) / width))
        return np.floor(shown + 0.5).astype(np.uint8)
    if function == "LINEAR_EXACT":
        return _stretched(values, centre - width / 2, centre + width / 2)
    lowest = (
        centre - width / 2
    )  # the standard's C - 0.5 - (W - 1) / 2; it ends a step below C + W / 2
    return _stretched(values, lowest, lowest + width - 1)


def _stretched(values: npt.NDArray[Any], lowest: float, highest: float) -> npt.NDArray[np.uint8]:
    """Return values with ``lowest`` at 0 and ``highest`` at 255, limited to these."""
    if highest <= lowest:
        return np.where(values > lowest, 255, 0).astype(np.uint8)
    share = (np.asarray(values, dtype=np.float64) - lowest) / (highest - lowest)
    return np.floor(share.clip(0, 1) * 255 + 0.5).astype(np.uint8)

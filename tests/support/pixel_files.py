"""Image files with exactly these stored values, written from the specifications of the formats."""

import io
import struct
import zlib

import numpy as np

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6  # PNG colour types
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, CIE_LAB = (
    0,
    1,
    2,
    5,
    8,
)  # TIFF photometric interpretations
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # kinds of extra channels


def png(values, colour_type, *, clear=None, palette=None):
    """Return a PNG of uint8 or uint16 values, with a transparent colour or palette entries."""
    values = np.asarray(values)
    height, width = values.shape[:2]
    bits = 8 * values.dtype.itemsize

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if palette is not None:
        content += chunk(b"PLTE", bytes(palette))
    if clear is not None:
        one_byte = colour_type == PALETTE
        content += chunk(
            b"tRNS", b"".join(struct.pack(">B" if one_byte else ">H", c) for c in clear)
        )
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in values)
    return content + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(
    values, photometric, *, order="<", extra=(), separate=False, orientation=None, following=None
):
    """Return an uncompressed TIFF of one page, or two; ``following`` is the second's kind."""
    values = np.asarray(values)
    one_bit = values.dtype == np.bool_
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    planes = np.moveaxis(values, -1, 0) if separate else values
    if one_bit:
        pixels = np.packbits(values, axis=1).tobytes()
    else:
        pixels = planes.astype(values.dtype.newbyteorder(order)).tobytes()
    bits = 1 if one_bit else 8 * values.dtype.itemsize
    sample_format = {"u": 1, "b": 1, "i": 2, "f": 3}[values.dtype.kind]
    strips = channels if separate else 1
    content = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)

    def page(start, kind, last):
        """Return the tags of a page and its pixels, to be written at byte ``start``."""
        fields = [
            (254, "I", [kind]), (256, "I", [width]), (257, "I", [height]),
            (258, "H", [bits] * channels), (259, "H", [1]), (262, "H", [photometric]),
            (273, "I", [0] * strips), (277, "H", [channels]), (278, "I", [height]),
            (279, "I", [len(pixels) // strips] * strips), (284, "H", [2 if separate else 1]),
            (338, "H", list(extra)), (339, "H", [sample_format] * channels),
        ]  # fmt: skip
        if orientation is not None:
            fields.append((274, "H", [orientation]))
        fields = sorted(field for field in fields if field[2])
        beyond = start + 2 + 12 * len(fields) + 4
        long = sum(
            struct.calcsize(code) * len(entry) for _, code, entry in fields
            if struct.calcsize(code) * len(entry) > 4
        )  # fmt: skip
        first_pixel = beyond + long
        directory, tail = struct.pack(order + "H", len(fields)), b""
        for tag, code, entry in fields:
            if tag == 273:
                entry = [first_pixel + n * (len(pixels) // strips) for n in range(strips)]
            body = struct.pack(f"{order}{len(entry)}{code}", *entry)
            type_number = {"H": 3, "I": 4}[code]
            directory += struct.pack(order + "HHI", tag, type_number, len(entry))
            if len(body) > 4:
                directory += struct.pack(order + "I", beyond + len(tail))
                tail += body
            else:
                directory += body.ljust(4, b"\0")
        after = first_pixel + len(pixels)
        return directory + struct.pack(order + "I", 0 if last else after) + tail + pixels

    content += page(len(content), 0, following is None)
    if following is not None:
        content += page(len(content), following, True)
    return content


def dicom(values, photometric="MONOCHROME2", **elements):
    """Return an uncompressed DICOM file; ``elements`` are set or, where None, taken away."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    values = np.asarray(values)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset("made.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else values.shape[2]
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    for name, value in elements.items():
        if name == "TransferSyntaxUID":
            meta.TransferSyntaxUID = value
        elif value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()

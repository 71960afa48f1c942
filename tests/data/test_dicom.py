"""DICOM files made with pydicom; what they show, computed by hand from the standard."""

import io
import sys

import numpy as np
import pytest
from pixel_files import dicom

from colabel.data.images import decode, open_image
from colabel.data.pixels import PixelOptions
from colabel.errors import ImageError

COMPUTED = np.array([[-1000, 0, 40, 400, 3000]], np.int16)  # Hounsfield units


@pytest.fixture
def _pydicom():
    pytest.importorskip("pydicom")


pytestmark = pytest.mark.usefixtures("_pydicom")


def read(content, **options):
    return decode(io.BytesIO(content), "one.dcm", PixelOptions(**options))


def grey(decoded):
    pixels = np.asarray(decoded.image)
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


def test_the_first_window_is_applied_to_rescaled_values():
    # C.11.2.1.2.1: ((x - (40 - 0.5)) / (400 - 1) + 0.5) * 255; stored as (x + 1000) / 2
    stored = ((COMPUTED + 1000) // 2).astype(np.uint16)
    content = dicom(
        stored, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=[40, 300],
        WindowWidth=[400, 1500],
    )  # fmt: skip
    decoded = read(content)
    expected = [min(max(((x - 39.5) / 399 + 0.5) * 255, 0), 255) for x in COMPUTED[0].tolist()]
    assert grey(decoded) == [int(value + 0.5) for value in expected] == [0, 102, 128, 255, 255]
    assert decoded.changes == frozenset()
    assert (decoded.format, decoded.mode) == ("DICOM", "I;16")


def test_a_narrow_window_ends_where_the_standard_says():
    content = dicom(np.array([[0, 1, 2, 3, 4]], np.uint16), WindowCenter=2, WindowWidth=5)
    expected = [((x - 1.5) / 4 + 0.5) * 255 for x in range(4)]  # 31.9, 95.6, 159.4, 223.1
    assert grey(read(content)) == [round(value) for value in expected] + [255]


def test_monochrome1_is_inverted():
    shown = {"WindowCenter": 40, "WindowWidth": 400}
    plain = grey(read(dicom(COMPUTED, **shown)))
    assert grey(read(dicom(COMPUTED, "MONOCHROME1", **shown))) == [255 - value for value in plain]


@pytest.mark.parametrize(
    ("function", "width", "expected"),
    [
        ("LINEAR", 1, [0, 0, 0, 255, 255]),  # at most the centre less a half is black
        ("LINEAR_EXACT", 80, [0, 0, 128, 255, 255]),
        ("SIGMOID", 400, [0, 102, 128, 248, 255]),  # 255 / (1 + exp(-4 (x - 40) / 400))
    ],
)
def test_other_functions_of_the_window(function, width, expected):
    content = dicom(COMPUTED, WindowCenter=40.6, WindowWidth=width, VOILUTFunction=function)
    if function != "LINEAR":
        content = dicom(COMPUTED, WindowCenter=40, WindowWidth=width, VOILUTFunction=function)
    assert grey(read(content)) == expected


def test_without_a_window_the_bits_are_the_range_and_it_is_said():
    twelve_bits = np.array([[0, 2048, 4095]], np.uint16)
    decoded = read(dicom(twelve_bits, BitsStored=12, HighBit=11))
    assert grey(decoded) == [0, 128, 255]
    assert decoded.changes == {"no window"}
    signed = np.array([[-32_768, 0, 32_767]], np.int16)
    assert grey(read(dicom(signed))) == [0, 128, 255]
    assert read(dicom(np.array([[0, 255]], np.uint8))).changes == frozenset()


def test_scale_stands_in_for_a_window_and_not_against_one():
    values = np.array([[0, 500, 1000]], np.uint16)
    assert grey(read(dicom(values), scale=1000)) == [0, 128, 255]
    shown = dicom(values, WindowCenter=500.5, WindowWidth=1001)
    assert grey(read(shown, scale=10)) == [0, 128, 255]


def test_a_table_of_display_values_is_used():
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor = [3, 10, 8]  # three entries, the first for 10, of 8 bits
    table.add_new("LUTData", "US", [200, 100, 0])
    content = dicom(np.array([[0, 10, 11, 12, 99]], np.uint8), VOILUTSequence=[table])
    assert grey(read(content)) == [200, 200, 100, 0, 0]


@pytest.mark.filterwarnings("ignore:The value length")
def test_colours_are_converted_to_rgb():
    colours = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    assert (np.asarray(read(dicom(colours, "RGB")).image) == colours).all()
    # Y 100 without colour difference is grey; Cr 228 adds 1.402 * 100 to red
    ybr = np.array([[[100, 128, 128], [100, 128, 228]]], np.uint8)
    shown = np.asarray(read(dicom(ybr, "YBR_FULL")).image)[0].tolist()
    assert shown == [[100, 100, 100], [240, 29, 100]]


def test_a_palette_is_applied():
    names = ("Red", "Green", "Blue")
    tables = {f"{name}PaletteColorLookupTableDescriptor": [2, 0, 16] for name in names}
    data = {
        f"{name}PaletteColorLookupTableData": np.array([0, top], np.uint16).tobytes()
        for name, top in zip(names, (65_535, 25_765, 257), strict=True)
    }
    content = dicom(np.array([[0, 1]], np.uint8), "PALETTE COLOR", **tables, **data)
    assert np.asarray(read(content).image)[0].tolist() == [[0, 0, 0], [255, 100, 1]]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"NumberOfFrames": 30}, "30 frames.*export the frame"),
        ({"PixelData": None}, r"no pixels \(OT\)"),
        ({"TransferSyntaxUID": "1.2.840.10008.1.2.4.80"}, "JPEG-LS.*install a decoder"),
        ({"PhotometricInterpretation": "HSV"}, "pixels of the kind HSV"),
        ({"Rows": 5000, "Columns": 50_000}, r"50000 x 5000 pixels.*data\.max_pixels=250000000"),
    ],
)
def test_what_is_no_single_picture_is_refused_with_what_to_do(changed, words):
    values = np.array([[1, 2], [3, 4]], np.uint8)
    if "TransferSyntaxUID" in changed:
        from pydicom.encaps import encapsulate

        changed = changed | {"PixelData": encapsulate([b"\xff\xd8\xff\xd9"])}
    with pytest.raises(ImageError, match=rf"one\.dcm: .*{words}"):
        read(dicom(values, **changed))


def test_fewer_pixels_than_claimed_are_refused():
    with pytest.raises(ImageError, match=r"one\.dcm: cannot be decoded"):
        read(dicom(np.ones((40, 40), np.uint8), PixelData=bytes(100)))


def test_a_dicom_file_is_known_by_its_content(tmp_path):
    (tmp_path / "scan").write_bytes(dicom(np.array([[0, 255]], np.uint8)))
    assert np.asarray(open_image(tmp_path / "scan"))[0, :, 0].tolist() == [0, 255]


def test_a_missing_package_is_named(monkeypatch):
    content = dicom(np.array([[0, 255]], np.uint8))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"needs the package pydicom.*colabel\[formats\]"):
        read(content)

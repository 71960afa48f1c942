import os
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from fakes import encode, jpeg_claiming, messy_images, png_claiming, ramp
from PIL import Image

from colabel.data.images import FileImages, open_image, read_with
from colabel.data.pixels import PixelOptions
from colabel.data.records import Records
from colabel.errors import ImageError
from colabel.limits import MAX_PIXELS, MAX_SIDE


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    return messy_images(tmp_path_factory.mktemp("messy"))


def open_bytes(folder, content, name="one.img", **options):
    (folder / name).write_bytes(content)
    return open_image(folder / name, **options)


@pytest.mark.parametrize(
    "name",
    ["rgb.png", "plain.bmp", "lossless.webp", "plain.ppm", "png_called.jpg"],
)
def test_lossless_formats_give_the_pixels_that_were_written(messy, name):
    image = FileImages([messy[name]]).open(0)
    assert image.mode == "RGB"
    assert image.tobytes() == ramp().tobytes()


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("UPPER.JPG", 12), ("progressive.jpeg", 20), ("cmyk.jpg", 12), ("palette.png", 60)],
)
def test_lossy_formats_come_close(messy, name, tolerance):
    image = FileImages([messy[name]]).open(0)
    assert image.mode == "RGB"
    difference = np.asarray(image, dtype=int) - np.asarray(ramp(), dtype=int)
    assert np.abs(difference).max() <= tolerance


def test_every_messy_image_opens_as_rgb_of_its_size(messy):
    images = FileImages(list(messy.values()))
    for index, name in enumerate(messy):
        image = images.open(index)
        assert image.mode == "RGB"
        assert image.size == ((16, 24) if name == "turned.jpg" else (24, 16)), name


def test_exif_orientation_is_applied_for_all_eight_values(tmp_path):
    upright = ramp()
    stored_as = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # to be turned by 270 degrees
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for kind in ("PNG", "TIFF"):
        for value, operation in stored_as.items():
            stored = upright if operation is None else upright.transpose(operation)
            exif = Image.Exif()
            exif[0x0112] = value
            shown = open_bytes(tmp_path, encode(stored, kind, exif=exif))
            assert shown.tobytes() == upright.tobytes(), (kind, value)


def test_an_orientation_that_means_nothing_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 77
    assert open_bytes(tmp_path, encode(ramp(), "PNG", exif=exif)).tobytes() == ramp().tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_leaves_the_image_upright(tmp_path):
    image = open_bytes(tmp_path, encode(ramp(), "PNG", exif=b"Exif\x00\x00MM\x00\x2bgarbage"))
    assert image.tobytes() == ramp().tobytes()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_the_full_range_not_by_the_content(tmp_path, kind):
    values = np.array([[0, 128, 129, 257, 4095, 32768, 65406, 65407, 65535]], dtype=np.uint16)
    image = open_bytes(tmp_path, encode(Image.fromarray(values), kind))
    expected = [round(int(value) * 255 / 65535) for value in values[0]]
    assert np.asarray(image)[0].tolist() == [[value] * 3 for value in expected]


def test_wider_integers_and_floats_are_refused(tmp_path):
    for pixels in (np.full((2, 2), 70000, np.int32), np.full((2, 2), -1, np.int32)):
        with pytest.raises(ImageError, match=r"expected 0 to 65535; .*data\.scale"):
            open_bytes(tmp_path, encode(Image.fromarray(pixels), "TIFF"))
    with pytest.raises(ImageError, match="floating-point"):
        open_bytes(tmp_path, encode(Image.new("F", (2, 2)), "TIFF"))


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)
    pixels[0, :, :3] = (100, 50, 0)
    pixels[0, :, 3] = (0, 51, 255)
    image = open_bytes(tmp_path, encode(Image.fromarray(pixels), "PNG"))
    # 51 / 255 = one fifth of the colour, four fifths of white
    assert np.asarray(image)[0].tolist() == [[255, 255, 255], [224, 214, 204], [100, 50, 0]]
    palette = Image.new("P", (2, 2), 0)
    palette.putpixel((1, 1), 1)
    palette.putpalette([9, 9, 9] * 256)
    shown = open_bytes(tmp_path, encode(palette, "PNG", transparency=0))
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((1, 1)) == (9, 9, 9)


def test_the_first_frame_is_taken(messy):
    image = np.asarray(FileImages([messy["frames.gif"]]).open(0), dtype=int)
    assert np.abs(image - np.asarray(ramp(), dtype=int)).mean() < 20


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_files_are_refused_by_name(tmp_path, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), kind)
    with pytest.raises(ImageError, match=r"short\.img: .*(replace|convert) or remove"):
        open_bytes(tmp_path, content[: int(len(content) * share)], name="short.img")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"\x00" * 64,
    ],
    ids=["empty", "text", "svg", "pdf", "zeros"],
)
def test_what_is_no_image_is_refused(tmp_path, content):
    with pytest.raises(ImageError, match="not an image of a known format"):
        open_bytes(tmp_path, content)


def test_formats_outside_the_list_are_refused(tmp_path):
    with pytest.raises(ImageError, match="known format"):
        open_bytes(tmp_path, encode(ramp(), "ICO"))


def test_a_bomb_is_refused_by_its_header_with_its_size(tmp_path):
    honest = encode(ramp(), "PNG")
    with pytest.raises(ImageError, match=r"one\.img: 9000 x 9900 pixels .* limit of 1000000"):
        open_bytes(tmp_path, png_claiming(honest, 9000, 9900), max_pixels=1_000_000)
    with pytest.raises(ImageError, match=f"10000 x 9000 .* {MAX_PIXELS}.*max-pixels 90000000"):
        open_bytes(tmp_path, png_claiming(honest, 10_000, 9_000))
    with pytest.raises(ImageError, match=r"100000 x 100000 .*data\.max_pixels=10000000000"):
        open_bytes(tmp_path, png_claiming(honest, 100_000, 100_000))


def test_pillows_own_limit_is_neither_needed_nor_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # warnings are errors here
    assert open_bytes(tmp_path, encode(ramp(), "PNG")).tobytes() == ramp().tobytes()
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_side_that_could_not_be_resized_is_refused(tmp_path):
    honest = encode(ramp(), "PNG")
    with pytest.raises(ImageError, match=r"1 x 300001 pixels: sides of more than 300000"):
        open_bytes(tmp_path, png_claiming(honest, 1, MAX_SIDE + 1))


def test_the_limit_itself_is_allowed(tmp_path):
    content = encode(ramp((24, 16)), "PNG")
    assert open_bytes(tmp_path, content, max_pixels=24 * 16).size == (24, 16)
    with pytest.raises(ImageError, match="24 x 16"):
        open_bytes(tmp_path, content, max_pixels=24 * 16 - 1)


@pytest.mark.parametrize("size", [(24, 17), (24, 64), (25, 16), (48, 32), (8000, 8000)])
def test_a_png_that_claims_more_than_it_holds_is_refused(tmp_path, size):
    with pytest.raises(ImageError, match=r"one\.img"):
        open_bytes(tmp_path, png_claiming(encode(ramp(), "PNG"), *size))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "RGB"])
def test_an_honest_black_png_is_not_mistaken_for_a_lying_one(tmp_path, mode):
    for size in ((1, 1), (7, 5), (24, 16)):
        image = Image.new(mode, size)
        assert open_bytes(tmp_path, encode(image, "PNG")).size == size
        taller = (size[0], size[1] + 9)
        with pytest.raises(ImageError, match="data ends before the last row"):
            open_bytes(tmp_path, png_claiming(encode(image, "PNG"), *taller))


def interlaced_png(size):
    """Return a black grey-scale PNG in Adam7 order, written from the specification."""
    width, height = size
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):  # fmt: skip
        columns = len(range(left, width, across))
        rows += b"".join(b"\x00" * (1 + columns) for _ in range(top, height, down) if columns)

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (17, 23)])
def test_interlaced_png(tmp_path, size):
    assert open_bytes(tmp_path, interlaced_png(size)).size == size
    for more in (1, 2, 8):
        with pytest.raises(ImageError):
            open_bytes(tmp_path, png_claiming(interlaced_png(size), size[0], size[1] + more))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("height", [90, 400])
def test_a_jpeg_that_claims_more_than_it_holds_is_refused(tmp_path, mode, progressive, height):
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    honest = encode(Image.fromarray(noise).convert(mode), "JPEG", progressive=progressive)
    assert open_bytes(tmp_path, honest).size == (48, 64)
    with pytest.raises(ImageError, match=f"claims 48 x {height} pixels, but the data ends"):
        open_bytes(tmp_path, jpeg_claiming(honest, 48, height))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("colour", [(128, 128, 128), (127, 127, 127), (0, 0, 0)])
@pytest.mark.parametrize("bar", [0, 40])
def test_an_honest_jpeg_with_a_grey_bar_is_not_mistaken(tmp_path, progressive, colour, bar):
    image = ramp((48, 64))
    image.paste(colour, (0, bar, 48, 64))
    content = encode(image, "JPEG", progressive=progressive, optimize=True)
    assert open_bytes(tmp_path, content).size == (48, 64)
    assert open_bytes(tmp_path, content + b"trailing bytes \xff\xd9").size == (48, 64)


def test_jpeg_with_restart_markers(tmp_path):
    image = ramp((48, 64))
    image.paste((128, 128, 128), (0, 40, 48, 64))
    content = encode(image, "JPEG", restart_marker_rows=1)
    assert b"\xff\xd0" in content
    assert open_bytes(tmp_path, content).size == (48, 64)
    with pytest.raises(ImageError, match="data ends before the last row"):
        open_bytes(tmp_path, jpeg_claiming(content, 48, 300))


def test_a_cut_jpeg_with_an_end_mark_put_back_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), "JPEG")
    with pytest.raises(ImageError, match="data ends before the last row"):
        open_bytes(tmp_path, content[: len(content) * 6 // 10] + b"\xff\xd9")


def test_random_damage_is_either_survived_or_named(messy, tmp_path):
    generator = np.random.default_rng(0)
    messages = []
    for path in messy.values():
        content = bytearray(path.read_bytes())
        for _ in range(12):
            damaged = bytearray(content)
            for position in generator.integers(0, len(content), 6):
                damaged[position] = generator.integers(256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    image = open_bytes(tmp_path, bytes(damaged), max_pixels=10**6)
                except ImageError as error:
                    messages.append(str(error))
                else:
                    assert image.mode == "RGB"
    assert messages
    assert all("one.img" in message for message in messages)


def test_files_that_cannot_be_read_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    images = FileImages(["missing.jpg", "folder.jpg", "pipe.jpg", "no/such.jpg"], tmp_path)
    with pytest.raises(ImageError, match=r"missing\.jpg: no such file"):
        images.open(0)
    for index in (1, 2):
        with pytest.raises(ImageError, match=r"not a plain file|a folder, expected a file"):
            images.open(index)
    with pytest.raises(ImageError, match="no such file"):
        images.open(3)


def test_positions_names_and_selection(messy):
    names = ["rgb.png", "grey.jpg", "UPPER.JPG"]
    images = FileImages(names, messy["rgb.png"].parent)
    chosen = images.select([2, 0, 2])
    assert len(images) == 3
    assert [chosen.locate(index) for index in range(len(chosen))] == [
        str(messy[name]) for name in ("UPPER.JPG", "rgb.png", "UPPER.JPG")
    ]
    assert chosen.open(1).tobytes() == ramp().tobytes()


def test_selection_keeps_the_limit(messy):
    images = FileImages([messy["rgb.png"]], options=PixelOptions(max_pixels=10)).select([0])
    with pytest.raises(ImageError, match="limit of 10"):
        images.open(0)


def test_records_are_read_with_other_options(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    Image.new("RGBA", (2, 2), (10, 20, 30, 51)).save(tmp_path / "b.png")
    images = FileImages(["a.png", "b.png"], tmp_path)
    records = Records(("a", "b"), images, np.eye(2, dtype=np.int8), ("cat", "dog"))
    plain = read_with(records, PixelOptions(alpha="ignore")).subset([1])
    assert plain.images.open(0).getpixel((0, 0)) == (10, 20, 30)
    assert records.images.open(1).getpixel((0, 0)) == (206, 208, 210)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("colabel.data.headers.MAX_METADATA_BYTES", 0)
    with pytest.raises(ImageError, match="the file is larger than"):
        open_bytes(tmp_path, encode(ramp(), "BMP"), max_pixels=100)


@pytest.mark.slow
def test_the_readers_do_not_import_torch():
    code = "import sys, colabel.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

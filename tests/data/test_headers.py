"""Files that are small to write and dear to read."""

import io
import struct
import subprocess
import sys
import zlib

import pytest
from pictures import encoded, picture
from PIL import Image

from colabel.data.decode import load_squashed
from colabel.data.images import FileImages, decode
from colabel.errors import ImageError, NotEnoughMemoryError

JPEG = encoded(picture(40, 30))
PROGRESSIVE = encoded(picture(40, 30), progressive=True)
PNG = encoded(picture(40, 30), "PNG")
GIF = encoded(picture(40, 30), "GIF")
PPM = encoded(picture(40, 30), "PPM")
PIXELS = GIF.index(b",", 13 + 3 * 256)  # where the first frame of the GIF begins


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def larger(content, width, height):
    """Return a JPEG whose header claims another size."""
    frame = content.index(b"\xff\xc2") + 5
    return content[:frame] + struct.pack(">HH", height, width) + content[frame + 4 :]


SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
DEAR = {
    "padding": (JPEG[:2] + b"\xff" * 20_000_000 + JPEG[2:], "padding"),
    "junk": (JPEG[:2] + b"j" * 20_000_000 + JPEG[2:], "padding"),
    "segments": (JPEG[:2] + b"\xff\xfe\0\2" * 20_000 + JPEG[2:], "parts"),
    "passes": (larger(PROGRESSIVE[:-2] + SCAN * 300 + b"\xff\xd9", 9000, 9000), "17 times"),
    "chunks before": (PNG[:33] + chunk(b"tEXt", b"x\0y") * 120_000 + PNG[33:], "parts"),
    "chunks behind": (PNG[:-12] + chunk(b"tEXt", b"x\0y") * 120_000 + PNG[-12:], "parts"),
    "empty chunks": (PNG[:-12] + chunk(b"IDAT", b"") * 120_000 + PNG[-12:], "parts"),
    "comment": (GIF[:PIXELS] + b"!\xfe" + b"\1c" * 20_000 + b"\0" + GIF[PIXELS:], "blocks"),
    "late comment": (GIF[:-1] + b"!\xfe" + b"\1c" * 200_000 + b"\0" + GIF[PIXELS:], "blocks"),
    "no frame": (GIF[:PIXELS] + b"j" * 20_000 + GIF[PIXELS:], "blocks"),
    "long line": (PPM.replace(b"P6\n", b"P6\n#" + b"c" * 2_000_000 + b"\n", 1), "header"),
    "spaces": (PPM.replace(b"P6\n", b"P6\n" + b" " * 2_000_000, 1), "header"),
    "numbers": (b"P3\n4000 3000\n255\n" + b"1 " * 18_000_000, "text"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", DEAR)
def test_what_is_built_to_cost_is_refused_before_it_is_decoded(kind, tmp_path, monkeypatch):
    content, words = DEAR[kind]
    monkeypatch.delattr("colabel.data.images.identify")  # no decoder is asked
    with pytest.raises(ImageError, match=words):
        decode(io.BytesIO(content), "dear")
    monkeypatch.delattr("colabel.data.decode.identify")
    path = tmp_path / "dear"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=words):
        load_squashed(FileImages([path]), 0, 32)


CHEAP = {
    "padding": JPEG[:2] + b"\xff" * 1000 + JPEG[2:],
    "notes": JPEG[:2] + (b"\xff\xe1\xff\xff" + b"a" * 65533) * 100 + JPEG[2:],
    "trailer": JPEG + bytes(10**6),
    "passes": PROGRESSIVE,
    "passes of a small one": larger(PROGRESSIVE[:-2] + SCAN * 100 + b"\xff\xd9", 40, 30),
    "text": PNG[:33] + chunk(b"tEXt", b"x\0y") * 1000 + PNG[33:],
    "comment": GIF[:PIXELS] + b"!\xfe" + (b"\xff" + b"c" * 255) * 2000 + b"\0" + GIF[PIXELS:],
    "line": PPM.replace(b"P6\n", b"P6\n# a comment with words\n", 1),
}


@pytest.mark.parametrize("kind", CHEAP)
def test_what_is_only_unusual_is_read(kind):
    assert decode(io.BytesIO(CHEAP[kind]), "unusual").image.size == (40, 30)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "webp", "ppm", "dcm"])
def test_a_file_of_ten_gigabytes_is_not_read(tmp_path, ending):
    kinds = {"jpg": JPEG, "png": PNG, "gif": GIF, "ppm": PPM, "dcm": bytes(128) + b"DICM"}
    content = kinds.get(ending) or encoded(picture(40, 30), ending)
    path = tmp_path / f"long.{ending}"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(10 << 30)
    with pytest.raises(ImageError, match="the file is larger than"):
        load_squashed(FileImages([path]), 0, 32)


def no_memory(*_arguments, **_options):
    raise MemoryError


@pytest.mark.parametrize("content", [JPEG, PNG, encoded(picture(40, 30), "TIFF")])
@pytest.mark.parametrize("place", ["images.to_rgb", "images.identify"])
def test_too_little_memory_is_not_the_fault_of_the_file(content, place, monkeypatch):
    monkeypatch.setattr(f"colabel.data.{place}", no_memory)
    with pytest.raises(NotEnoughMemoryError, match="dear: the memory is not enough") as refused:
        decode(io.BytesIO(content), "dear")
    assert not isinstance(refused.value, ImageError)


def test_a_mistake_of_the_package_is_not_the_fault_of_the_file(monkeypatch):
    monkeypatch.delattr("colabel.data.images.to_rgb")
    with pytest.raises(NameError):
        decode(io.BytesIO(PNG), "innocent")


@pytest.mark.parametrize("name", ["a" * 300 + ".jpg", "a/" * 3000 + "b.jpg", "a\0.jpg"])
def test_a_path_that_cannot_be_is_named(name):
    with pytest.raises(ImageError, match="a"):
        load_squashed(FileImages([name]), 0, 32)


def test_a_device_behind_a_link_is_not_read(tmp_path):
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name in ("zero.jpg", "loop.jpg"):
        with pytest.raises(ImageError, match="cannot be read"):
            load_squashed(FileImages([name], tmp_path), 0, 32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_beyond_the_memory_of_the_process_is_named_as_such(kind, tmp_path):
    Image.new("RGB", (7000, 7000)).save(tmp_path / "large", kind)
    code = (
        "import resource, sys\n"
        "from colabel.data.images import open_image\n"
        "from colabel.errors import NotEnoughMemoryError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))\n"
        "try:\n    open_image(sys.argv[1])\n"
        "except NotEnoughMemoryError:\n    sys.exit(3)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "large"], check=False, capture_output=True
    )
    assert ended.returncode == 3, ended.stderr.decode()

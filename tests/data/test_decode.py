import os

import numpy as np
import pytest
from pictures import Pictures, encoded, picture, write
from PIL import Image

from colabel.data.decode import load_squashed
from colabel.data.images import FileImages
from colabel.data.pixels import PixelOptions
from colabel.data.transforms import squash
from colabel.errors import ImageError

ORIENTATION = 0x0112


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def careful(images, size):
    """The slow way, which the quick one has to agree with."""
    return np.asarray(squash(images.open(0), size)).astype(int)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 95, "subsampling": 0},
        {"quality": 75, "subsampling": 2},
        {"quality": 90, "progressive": True},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("shape", [(200, 131), (511, 600)])  # below 8 x 64 on one side
def test_an_ordinary_jpeg_is_squashed_as_opened(tmp_path, monkeypatch, options, mode, shape):
    content = encoded(picture(*shape).convert(mode), **options)
    images = FileImages([write(tmp_path, "a.JPG", content)])
    expected = careful(images, 64)
    monkeypatch.delattr(FileImages, "open")  # fails unless the quick way is taken
    assert (load_squashed(images, 0, 64) == expected).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_large_jpeg_is_reduced_within_the_stated_tolerance(
    tmp_path, monkeypatch, orientation, mode
):
    image = picture(700, 530, seed=1).convert(mode)
    content = encoded(image, quality=92, exif=exif(orientation))
    images = FileImages([write(tmp_path, "a.jpg", content)])
    expected = careful(images, 64)
    monkeypatch.delattr(FileImages, "open")  # fails unless the quick way is taken
    difference = np.abs(load_squashed(images, 0, 64) - expected)
    assert 0 < difference.max() <= 16
    assert difference.mean() < 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(tmp_path, orientation):
    content = encoded(picture(80, 60), exif=exif(orientation))
    images = FileImages([write(tmp_path, "a.jpg", content)])
    assert (load_squashed(images, 0, 32) == careful(images, 32)).all()


@pytest.mark.parametrize(
    ("name", "kind", "mode"),
    [
        ("a.png", "PNG", "RGBA"),
        ("a.png", "PNG", "P"),
        ("a.jpg", "PNG", "RGB"),  # the ending lies
        ("a.jpg", "JPEG", "CMYK"),
        ("a.tif", "TIFF", "RGB"),
        ("a.bmp", "BMP", "L"),
    ],
)
def test_other_files_go_the_careful_way(tmp_path, name, kind, mode):
    images = FileImages([write(tmp_path, name, encoded(picture(50, 40).convert(mode), kind))])
    assert (load_squashed(images, 0, 32) == careful(images, 32)).all()


@pytest.mark.parametrize("side", [96, 600])  # decoded whole, and reduced
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.8])
@pytest.mark.parametrize("end_mark", [b"", b"\xff\xd9"])
def test_a_truncated_jpeg_is_refused_by_name(tmp_path, side, kept, end_mark):
    content = encoded(picture(side, side))
    path = write(tmp_path, "broken.jpg", content[: int(kept * len(content))] + end_mark)
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        load_squashed(FileImages([path]), 0, 48)


@pytest.mark.parametrize("side", [64, 600])
def test_a_jpeg_that_ends_in_grey_is_no_error(tmp_path, side):
    image = picture(side, side)
    image.paste((128, 128, 128), (0, side // 2, side, side))
    images = FileImages([write(tmp_path, "grey.jpg", encoded(image))])
    assert (load_squashed(images, 0, 32) == careful(images, 32)).all()


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("missing.jpg", "pipe.jpg", "."):
        with pytest.raises(ImageError):
            load_squashed(FileImages([tmp_path / name]), 0, 32)


def test_an_image_above_the_limit_is_refused(tmp_path):
    images = FileImages(
        [write(tmp_path, "a.jpg", encoded(picture(300, 280)))],
        options=PixelOptions(max_pixels=4000),
    )
    with pytest.raises(ImageError, match="limit of 4000"):
        load_squashed(images, 0, 32)


def test_any_source_is_squashed():
    image = picture(50, 40)
    expected = np.asarray(squash(image, 32))
    assert (load_squashed(Pictures([image]), 0, 32) == expected).all()

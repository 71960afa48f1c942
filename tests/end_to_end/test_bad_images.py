"""Images that cannot be used, or not as they are: named before the first epoch, or left out."""

import json
import shutil

import numpy as np
import pytest
from fakes import encode, jpeg_claiming, png_claiming, ramp
from PIL import Image
from started_runs import refused, train, write_rows
from tiny_runs import command

import colabel

pytestmark = pytest.mark.usefixtures("blank_charts")


def spoil(path, kind):
    """Replace an image by one that cannot be used; return what the message says of it."""
    picture = ramp((40, 36))
    if kind == "missing":
        path.unlink()
        return "no such file"
    contents = {
        "no image": (b"<html>not found</html>", "not an image of a known format"),
        "empty": (b"", "not an image of a known format"),
        "cut": (encode(picture, "PNG")[:-60], ""),
        "cut jpeg": (encode(picture, "JPEG", quality=95)[:-300], ""),
        "too tall": (png_claiming(encode(picture, "PNG"), 40, 3000), ""),
        "too tall jpeg": (jpeg_claiming(encode(picture, "JPEG"), 40, 3000), ""),
        "bomb": (png_claiming(encode(picture, "PNG"), 12000, 12000), "12000 x 12000 pixels"),
        "huge bomb": (png_claiming(encode(picture, "PNG"), 2**30, 2**30), "pixels"),
    }
    content, message = contents[kind]
    path.write_bytes(content)
    return message


KINDS = (
    "missing", "no image", "empty", "cut", "cut jpeg", "too tall", "too tall jpeg", "bomb",
    "huge bomb",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_cannot_be_used_is_named_before_the_first_epoch(folder, capsys, kind):
    message = spoil(folder / "images" / "03.png", kind)
    printed = refused(folder, capsys)
    assert "images cannot be decoded" in printed
    assert f"{folder / 'images' / '03.png'}: " in printed
    assert message in printed
    assert "data.on_corrupt: skip in a recipe" in printed


def test_images_that_cannot_be_used_are_left_out_if_asked(folder):
    for number, kind in enumerate(KINDS):
        spoil(folder / "images" / f"{number + 3:02}.png", kind)
    rows = [f"images/{number:02}.png,cat;dog,train" for number in range(12)]
    rows += [f"images/{number:02}.png,cat,val" for number in range(12, 16)]
    write_rows(folder, "path,labels,split", *rows)
    changes = ("training.epochs=1", "training.batch_size=3", "data.on_corrupt=skip")
    assert train(folder, *(word for change in changes for word in ("--set", change))) == 0
    assert json.loads((folder / "run" / "model.json").read_text())["data"]["images"] == 3


def test_nothing_is_left_if_every_image_is_corrupt(folder, capsys):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no image")
    assert "nothing is left" in refused(folder, capsys, "--set", "data.on_corrupt=skip")


def test_how_pixels_are_read_is_noted_and_travels_with_the_model(folder, capsys):
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            reflectance = np.asarray(image.convert("L")).astype(np.uint16) * 8
        Image.fromarray(reflectance).save(path)
    assert train(folder, "--set", "training.epochs=1") == 0
    printed = capsys.readouterr().err
    assert printed.count("images nearly black; first: ") == 2  # once for train, once for val
    assert "data.scale" in printed
    shutil.rmtree(folder / "run")
    assert train(folder, "--set", "training.epochs=1", "--set", "data.scale=2040") == 0
    assert "nearly black" not in capsys.readouterr().err
    bright, dark = Image.new("I;16", (40, 36), 2040), Image.new("I;16", (40, 36), 65_535)
    predictor = colabel.load(folder / "run")
    (first, second), (white,) = (
        predictor.predict([bright, dark]),
        predictor.predict(np.full((36, 40, 3), 255, np.uint8)),
    )
    # white comes in a batch of its own, which may round otherwise
    assert first.probabilities == second.probabilities
    assert white.probabilities == pytest.approx(first.probabilities, rel=1e-6)


def test_a_large_image_is_admitted_by_the_setting_that_is_named(folder, capsys):
    Image.new("1", (9500, 9500)).save(folder / "images" / "03.png")
    printed = refused(folder, capsys)
    assert "add --set data.max_pixels=90250000 (train, check)" in printed
    assert train(folder, "--set", "training.epochs=1", "--set", "data.max_pixels=90250000") == 0
    large, run = folder / "images" / "03.png", folder / "run"
    assert command("predict", run, large) == 0
    assert command("predict", run, large, "--max-pixels", "1000") == 1

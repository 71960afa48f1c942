"""What a check says of the pictures themselves, and of what reading them loses."""

import re

import numpy as np
import pytest
from checked_records import labels_only, only, picture, problems, table
from PIL import Image
from pixel_files import BLACK_IS_ZERO, COLOUR_ALPHA, RGB, png, tiff

from colabel.data.check import check_records, describe_changes, verify_images
from colabel.data.images import read_with
from colabel.data.pixels import PixelOptions


def test_messy_images_are_described_as_stored(tmp_path):
    picture(0).convert("L").save(tmp_path / "grey.png")
    ramp = np.linspace(0, 4095, 48 * 40).reshape(40, 48).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "twelve_bit.png")
    Image.fromarray(ramp * 16).save(tmp_path / "sixteen_bit.png")
    picture(1).convert("CMYK").save(tmp_path / "print.jpg")
    lying = Image.Exif()
    lying[0x0112] = 6
    picture(2, size=(60, 40)).save(tmp_path / "lying.jpg", exif=lying)
    upright = Image.Exif()
    upright[0x0112] = 1
    picture(3).save(tmp_path / "upright.jpg", exif=upright)
    Image.new("RGB", (40, 40), (7, 8, 9)).save(tmp_path / "blank.png")
    picture(4, size=(120, 40)).save(tmp_path / "narrow.png")
    picture(5, size=(20, 30)).save(tmp_path / "tiny.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    report = check_records({"train": table(tmp_path, names)})
    assert report.of("error") == ()
    dark = only(report, "nearly black")
    assert dark.severity == "warning"
    assert dark.examples == ("train: twelve_bit.png: grey values 0 to 16 of 255, stored as I;16",)
    assert only(report, "one single tone").examples == ("train: blank.png",)
    assert only(report, "stored lying").examples == ("train: lying.jpg",)
    assert only(report, "three times as long").examples == ("train: narrow.png: 120 x 40",)
    assert only(report, "under 32 pixels").examples == ("train: tiny.png: 20 x 30",)
    mixed = only(report, "3 images stored as greyscale, 6 in colour")
    assert mixed.examples == tuple(
        f"train: {name}.png" for name in ("grey", "sixteen_bit", "twelve_bit")
    )
    assert report.pictures is not None
    assert report.pictures.modes == {"RGB": 5, "I;16": 2, "L": 1, "CMYK": 1}
    assert report.pictures.formats == {"PNG": 6, "JPEG": 3}
    # the lying image counts as it is used
    assert report.pictures.widths == (20, 48, 120)
    assert report.pictures.heights[2] == 60


def test_images_are_nearly_black_whatever_shines_in_them(tmp_path):
    for seed in range(3):
        field = 300 + np.asarray(picture(seed).convert("L")).astype(np.uint16) * 6
        field[5, 5] = 11_500  # one pixel of two thousand
        Image.fromarray(field).save(tmp_path / f"{seed}.png")
    records = table(tmp_path, [f"{seed}.png" for seed in range(3)])
    dark = only(check_records({"train": records}), "nearly black")
    assert (dark.severity, dark.count) == ("warning", 3)
    scale = float(re.search(r"data\.scale=(\d+)", dark.remedy)[1])
    assert 1500 < scale < 300 + 255 * 6 + 1  # what all but the roof stay below
    brighter = read_with(records, PixelOptions(scale=scale))
    assert problems(check_records({"train": brighter}), "nearly black") == []


def test_dark_images_of_eight_bits_have_no_scale(tmp_path):
    Image.fromarray(np.asarray(picture(0)) // 12).save(tmp_path / "dim.png")
    dark = only(check_records({"train": table(tmp_path, ["dim.png"])}), "nearly black")
    assert dark.remedy.startswith("Export them")


CHANGED = {
    "stains": (png(np.full((9, 9, 4), 31, np.uint8), COLOUR_ALPHA), "warning", "half-transparent"),
    "hidden": (png(np.zeros((9, 9, 4), np.uint8), COLOUR_ALPHA), "warning", "wholly transparent"),
    "icon": (
        png(np.array([[[9, 9, 9, 255]] * 8, [[9, 9, 9, 0]] * 8], np.uint8), COLOUR_ALPHA),
        "note", "with transparency, laid over white",
    ),
    "stack": (
        tiff(np.full((9, 9), 99, np.uint8), BLACK_IS_ZERO, following=0),
        "warning", "several pages or frames",
    ),
    "more": (
        tiff(np.full((9, 9, 4), 99, np.uint8), RGB, extra=[0]), "warning", "more channels than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_what_is_lost_in_reading_is_reported_and_noted(tmp_path, kind):
    content, severity, words = CHANGED[kind]
    for name in ("b", "c"):
        (tmp_path / name).write_bytes(content)
    picture(1).save(tmp_path / "a.png")
    records = table(tmp_path, ["a.png", "b", "c"])
    problem = only(check_records({"train": records}), words)
    assert (problem.severity, problem.count) == (severity, 2)
    assert [example.split(": ")[1] for example in problem.examples] == ["b", "c"]
    notes = describe_changes(records, verify_images(records).changes)
    (note,) = (note for note in notes if words in note)
    assert note.startswith("2 of 3 images ")
    assert f"first: {tmp_path / 'b'}" in note


def test_without_decoding_no_image_is_opened():
    splits = {"train": labels_only([[1, 0], [0, 1]])}
    assert check_records(splits, decode=False).pictures is None
    with pytest.raises(AssertionError, match="must not be opened"):
        check_records(splits)

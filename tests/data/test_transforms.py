import math
import random

import numpy as np
import pytest
from pictures import picture
from PIL import Image, ImageChops, ImageEnhance, ImageOps

from colabel.data.transforms import GREY, OPERATIONS, Augment, squash, squash_pixels
from colabel.errors import ConfigError


def pixels(image):
    return np.asarray(image).astype(int)


class Dice(random.Random):
    """Returns the given numbers, then fails."""

    def __init__(self, *numbers):
        super().__init__(0)
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


@pytest.mark.parametrize("shape", [(500, 375), (37, 90), (224, 100), (8, 6), (1, 1), (2000, 3)])
@pytest.mark.parametrize("size", [224, 64])
def test_squash_is_within_one_of_pillow(shape, size):
    image = picture(*shape)
    difference = pixels(squash(image, size)) - pixels(
        image.resize((size, size), Image.Resampling.BILINEAR)
    )
    assert np.abs(difference).max() <= 1


def test_squash_of_the_right_size_changes_nothing():
    image = picture(64, 64)
    assert squash(image, 64) == image


def test_squash_converts_to_rgb():
    assert squash(Image.new("L", (30, 20), 9), 16).getpixel((5, 5)) == (9, 9, 9)


def test_squash_does_not_change_its_input():
    image = picture(30, 20)
    before = image.copy()
    squash(image, 20)
    assert image == before


def test_squash_refuses_an_empty_square():
    with pytest.raises(ConfigError, match="at least 1 pixel, got 0"):
        squash_pixels(np.zeros((4, 4, 3), dtype=np.uint8), 0)


def test_the_operations_are_those_of_the_table():
    assert sorted(OPERATIONS) == sorted(Augment().choices)
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("magnitude", [0.3, 1.0])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_shear_moves_each_pixel_by_the_slope_times_its_coordinate(axis, magnitude, sign):
    image = picture(61, 61)
    sheared = pixels(OPERATIONS[f"shear_{axis}"](image, magnitude, sign))
    original, expected = pixels(image), np.full_like(sheared, GREY[0])
    slope, certain = sign * 0.3 * magnitude, np.zeros(sheared.shape[:2], dtype=bool)
    for row in range(61):
        for column in range(61):
            along, across = (column, row) if axis == "x" else (row, column)
            source = along + 0.5 + slope * (across + 0.5)
            certain[row, column] = abs(source - round(source)) > 0.05  # not between two pixels
            at = math.floor(source)
            if 0 <= at < 61:
                expected[row, column] = original[row, at] if axis == "x" else original[at, column]
    assert certain.mean() > 0.8
    assert (sheared == expected)[certain].all()


@pytest.mark.parametrize(("axis", "sign"), [("x", 1), ("x", -1), ("y", 1), ("y", -1)])
def test_translate_moves_by_a_share_of_the_side(axis, sign):
    image = picture(331, 331)
    moved = OPERATIONS[f"translate_{axis}"](image, 0.5, sign)
    by = (75 * sign, 0) if axis == "x" else (0, 75 * sign)
    expected = Image.new("RGB", image.size, GREY)
    expected.paste(image, by)
    assert moved == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_rotate_turns_by_up_to_thirty_degrees(sign):
    image = picture(64, 64)
    expected = image.rotate(sign * 15.0, fillcolor=GREY)
    assert OPERATIONS["rotate"](image, 0.5, sign) == expected


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
        ("brightness", ImageEnhance.Brightness),
    ],
)
@pytest.mark.parametrize(
    ("magnitude", "sign", "factor"), [(1, 1, 1.9), (1, -1, 0.1), (0.5, -1, 0.55)]
)
def test_enhancements_go_nine_tenths_either_way(name, enhancer, magnitude, sign, factor):
    image = picture(64, 64)
    enhanced = OPERATIONS[name](image, magnitude, sign)
    assert np.abs(pixels(enhanced) - pixels(enhancer(image).enhance(factor))).max() <= 1


@pytest.mark.parametrize(("magnitude", "bits"), [(0.01, 8), (0.25, 7), (0.5, 6), (1.0, 4)])
def test_posterize_keeps_eight_to_four_bits(magnitude, bits):
    image = picture(32, 32)
    mask = 256 - 2 ** (8 - bits)
    assert (pixels(OPERATIONS["posterize"](image, magnitude, 1)) == (pixels(image) & mask)).all()


@pytest.mark.parametrize(("magnitude", "threshold"), [(0.25, 192), (0.5, 128), (1.0, 0)])
def test_solarize_inverts_from_a_threshold_that_falls_to_zero(magnitude, threshold):
    image = picture(32, 32)
    before = pixels(image)
    expected = np.where(before >= threshold, 255 - before, before)
    assert (pixels(OPERATIONS["solarize"](image, magnitude, -1)) == expected).all()


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("autocontrast", ImageOps.autocontrast),
        ("equalize", ImageOps.equalize),
        ("invert", ImageChops.invert),
    ],
)
def test_operations_without_a_range(name, truth):
    image = picture(32, 32)
    assert OPERATIONS[name](image, 0.7, -1) == truth(image)


def test_cutout_paints_half_the_side_in_one_colour():
    image = picture(40, 40)
    # centre at column 20 and row 20, colour (0, 128, 255)
    cut = Augment(operations=0)(image, Dice(0.5, 0.5, 0.0, 0.5, 0.999))
    expected = pixels(image)
    expected[10:30, 10:30] = (0, 128, 255)
    assert (pixels(cut) == expected).all()


def test_cutout_may_lie_partly_outside():
    image = picture(40, 40)
    cut = Augment(operations=0)(image, Dice(0.0, 0.999, 0.0, 0.0, 0.0))
    expected = pixels(image)
    expected[29:40, 0:10] = 0
    assert (pixels(cut) == expected).all()


def test_cutout_comes_before_the_operations_and_leaves_the_input_alone():
    image = Image.new("RGB", (20, 20), (200, 200, 200))
    augment = Augment(operations=1, choices=("invert",))
    out = augment(image, Dice(0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert out.getpixel((10, 10)) == (255, 255, 255)  # black, then inverted
    assert out.getpixel((0, 0)) == (55, 55, 55)
    assert image.getextrema() == ((200, 200),) * 3


def test_a_fixed_magnitude_is_always_taken():
    image = picture(20, 20)
    augment = Augment(operations=1, cutout=0, magnitude=0.5, choices=("brightness",))
    assert augment(image, Dice(0.0, 0.9, 0.0)) == OPERATIONS["brightness"](image, 0.5, 1)


def test_a_drawn_magnitude_covers_the_half_open_range():
    image = picture(20, 20)
    augment = Augment(operations=1, cutout=0, choices=("brightness",))
    assert augment(image, Dice(0.0, 0.0, 0.0)) == OPERATIONS["brightness"](image, 1.0, 1)
    assert augment(image, Dice(0.0, 0.75, 0.9)) == OPERATIONS["brightness"](image, 0.25, -1)


def test_every_operation_is_drawn_equally_often(monkeypatch):
    counts = dict.fromkeys(OPERATIONS, 0)

    def count(name):
        def apply(image, magnitude, sign):
            counts[name] += 1
            return image

        return apply

    monkeypatch.setattr(
        "colabel.data.transforms.OPERATIONS", {name: count(name) for name in OPERATIONS}
    )
    generator, image = random.Random(0), Image.new("RGB", (4, 4))
    for _ in range(7000):
        Augment()(image, generator)
    assert all(900 < drawn < 1100 for drawn in counts.values()), counts


def test_flips_every_other_image_when_asked():
    image = picture(12, 9)
    augment = Augment(operations=0, cutout=0, horizontal_flip=True)
    assert augment(image, Dice(0.49)) == ImageOps.mirror(image)
    assert augment(image, Dice(0.5)) == image


def test_is_a_function_of_image_and_generator():
    image, augment = picture(48, 48), Augment()
    once = [augment(image, random.Random(seed)) for seed in range(20)]
    assert once == [augment(image, random.Random(seed)) for seed in range(20)]
    assert len({out.tobytes() for out in once}) == 20
    assert all(out.size == (48, 48) and out.mode == "RGB" for out in once)


def test_does_not_touch_global_randomness():
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    Augment()(picture(16, 16), random.Random(3))
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": -1}, "operations must be 0 or more, got -1"),
        ({"cutout": 1.5}, "cutout must be from 0 to 1, got 1.5"),
        ({"magnitude": 0.0}, "magnitude must be above 0"),
        ({"choices": ("sheer_x",)}, "did you mean 'shear_x'"),
        ({"choices": ()}, "choices is empty"),
    ],
)
def test_refuses_what_cannot_be_drawn(options, message):
    with pytest.raises(ConfigError, match=message):
        Augment(**options)


@pytest.mark.parametrize(("height", "limit"), [(5000, 2**17), (5003, 2**17), (700, 2**10)])
def test_a_very_high_picture_is_averaged_over_rows_first(monkeypatch, height, limit):
    ramp = np.linspace(0, 255, height).astype(np.uint8)
    pixels = np.repeat(np.repeat(ramp[:, None, None], 3, axis=1), 3, axis=2)
    plain = squash_pixels(pixels, 64).astype(int)
    monkeypatch.setattr("colabel.data.transforms.MAX_RESIZING_BYTES", limit)
    reduced = squash_pixels(pixels, 64).astype(int)
    assert reduced.shape == (64, 64, 3)
    assert np.abs(plain - reduced).max() <= 2

import random

import numpy as np
import pytest
import torch
from pictures import Pictures, picture, records_of, some_records
from PIL import Image

from colabel.data.cache import PixelCache
from colabel.data.dataset import EvaluationImages, TrainingImages, without_corrupt
from colabel.data.transforms import Augment, squash
from colabel.errors import ConfigError, ImageError

SIZE = 24


def training(records, **options):
    options = {"size": SIZE, "augment": Augment(), "seed": 5} | options
    return TrainingImages(records, **options)


def test_evaluation_images_are_squashed_and_nothing_else():
    records = some_records(3)
    pixels, targets, index = EvaluationImages(records, size=SIZE)[2]
    expected = np.asarray(squash(records.images.open(2), SIZE))
    assert pixels.dtype == torch.uint8
    assert targets.dtype == torch.int8
    assert pixels.shape == (3, SIZE, SIZE)
    assert (pixels.permute(1, 2, 0).numpy() == expected).all()
    assert targets.tolist() == records.targets[2].tolist()
    assert index == 2
    assert len(EvaluationImages(records, size=SIZE)) == 3


def test_training_images_apply_the_augmentation_to_the_squashed_image():
    records = some_records(2)

    def upside_down(image, generator):
        return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)

    pixels, targets, index = training(records, augment=upside_down)[1, 0]
    expected = np.asarray(squash(records.images.open(1), SIZE))[::-1]
    assert (pixels.permute(1, 2, 0).numpy() == expected).all()
    assert (targets.tolist(), index) == (records.targets[1].tolist(), 1)


def test_without_augmentation_training_and_evaluation_see_the_same():
    records = some_records(2)
    plain = training(records, augment=None)[1, 3][0]
    assert torch.equal(plain, EvaluationImages(records, size=SIZE)[1][0])


def test_pixels_do_not_depend_on_what_was_drawn_before():
    keys = [(index, epoch) for epoch in range(3) for index in range(4)]
    first, second = training(some_records(4)), training(some_records(4))
    forwards = {key: first[key][0] for key in keys}
    random.seed(1)
    torch.manual_seed(1)
    backwards = {key: second[key][0] for key in reversed(keys)}
    assert all(torch.equal(forwards[key], backwards[key]) for key in keys)


def test_seed_epoch_index_and_view_each_change_the_augmentation():
    records = records_of(Pictures([picture(40, 30)] * 2))
    two = training(records, views=2)
    seen = [
        *two[0, 0][0],
        *two[0, 1][0],
        *two[1, 0][0],
        *training(records, views=2, seed=6)[0, 0][0],
    ]
    assert len({pixels.numpy().tobytes() for pixels in seen}) == 8


def test_views_are_stacked_and_the_first_is_what_one_view_gives():
    records = some_records(2)
    pixels, _, _ = training(records, views=3)[1, 0]
    assert pixels.shape == (3, 3, SIZE, SIZE)
    assert torch.equal(pixels[0], training(records)[1, 0][0])


def test_an_image_is_decoded_once_for_all_its_views():
    records = some_records(2)
    _ = training(records, views=4)[1, 0]
    assert records.images.opened == [1]


def test_returned_tensors_share_no_memory_with_the_cache():
    records = some_records(1)
    cache = PixelCache(images=1, size=SIZE, limit=10**6)
    dataset = training(records, augment=None, cache=cache)
    before = dataset[0, 0][0].clone()
    for _ in range(2):
        dataset[0, 0][0].zero_()
    assert torch.equal(dataset[0, 0][0], before)


@pytest.mark.parametrize("room", [0, 2, 5])
def test_pixels_are_the_same_with_and_without_a_cache(room):
    records = some_records(5)
    cache = PixelCache(images=5, size=SIZE, limit=room * SIZE * SIZE * 3)
    keys = [(index, epoch) for epoch in range(3) for index in range(5)]
    expected = [training(records)[key][0] for key in keys]
    records.images.opened.clear()
    cached = training(records, cache=cache)
    assert all(torch.equal(cached[key][0], e) for key, e in zip(keys, expected, strict=True))
    assert sorted(records.images.opened) == sorted(
        [index for index in range(room)] + [index for index in range(room, 5)] * 3
    )


def test_a_corrupt_image_is_named():
    dataset = training(records_of(Pictures([picture(8, 8)] * 2, broken=[1])))
    with pytest.raises(ImageError, match=r"picture-1\.png"):
        dataset[1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"size": 0}, "image size must be at least 1 pixel, got 0"),
        (
            {"cache": PixelCache(images=2, size=SIZE, limit=9)},
            "2 images of 24 pixels, these are 3",
        ),
        (
            {"cache": PixelCache(images=3, size=8, limit=9)},
            "3 images of 8 pixels, these are 3 of 24",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        training(some_records(3), **options)


def test_without_corrupt_images_the_records_stay_themselves():
    records = some_records(2)
    assert without_corrupt(records, [], on_corrupt="stop") is records


def test_corrupt_images_stop_the_run_by_name():
    corrupt = [(index, f"photo-{index}.jpg: truncated") for index in range(12)]
    with pytest.raises(ImageError) as caught:
        without_corrupt(some_records(13), corrupt, on_corrupt="stop")
    message = str(caught.value)
    assert "12 of 13 images cannot be decoded" in message
    assert "photo-0.jpg: truncated" in message
    assert "photo-10.jpg" not in message
    assert "and 2 more" in message
    assert "data.on_corrupt: skip" in message


def test_corrupt_images_are_left_out_with_a_note():
    records = some_records(4)
    kept = without_corrupt(records, [(1, "b"), (3, "d")], on_corrupt="skip")
    assert kept.ids == ("id 0", "id 2")
    assert (kept.targets == records.targets[[0, 2]]).all()
    assert kept.notes == (
        "2 of 4 images cannot be decoded and were left out (data.on_corrupt: skip): id 1, id 3",
    )


def test_nothing_left_is_an_error():
    with pytest.raises(ImageError, match="nothing is left"):
        without_corrupt(some_records(1), [(0, "a.jpg: broken")], on_corrupt="skip")

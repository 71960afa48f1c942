"""What the number of training images changes in the epochs of a recipe, in words."""

import pytest

from colabel.config import load_config
from colabel.workflows.enough_images import told_of_epochs


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (6400, []),
        (6001, ["batches of 32 leave out 17 of 6001 images"]),
        (640, ["29 epochs in place of 10, since there are 640 training images"]),
        (
            55,
            [
                "batches of 32 leave out 23 of 55 images",
                "100 epochs in place of 10, since there are 55 training images",
            ],
        ),
    ],
)
def test_what_batches_leave_out_and_a_small_set_adds_is_told(images, expected):
    config = load_config("laptop-bce")
    told = list(told_of_epochs(config, config.for_images(images), images))
    assert len(told) == len(expected)
    for sentence, part in zip(told, expected, strict=True):
        assert part in sentence

"""What the number of training images, and their labels, change and hinder, in words."""

import numpy as np
import pytest
from checked_records import labels_only

from colabel.config import change_config, load_config
from colabel.workflows.enough_images import told_of_epochs, told_of_labels


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


def test_who_says_how_many_epochs_a_warm_start_has_has_so_many():
    epochs, images = "training.warm_start.epochs=3", "training.warm_start.images=6000"
    for changes, expected in (([], 100), ([epochs], 3), ([epochs, images], 100), ([images], 100)):
        for order in (changes, changes[::-1]):
            planned = load_config("laptop-bce", order).for_images(60)
            assert planned.training.warm_start.epochs == expected
    others = (
        change_config(load_config("laptop-bce"), [epochs]),
        load_config("laptop-bce", training__warm_start__epochs=3),  # as ablations do
    )
    assert {each.for_images(60).training.warm_start.epochs for each in others} == {3}
    both = load_config("laptop-bce", [images], training__warm_start__epochs=3)
    assert both.training.warm_start.images == 6000


def test_labels_that_cannot_be_learned_are_named():
    targets = np.ones((9, 9), dtype=np.int8)
    targets[::2, :2] = 0  # both kinds are there
    targets[:, 2] = 0
    targets[1:, 3] = -1  # present or unknown
    targets[:, 4] = -1
    names = [f"label{number}" for number in range(9)]
    assert list(told_of_labels(labels_only(targets, names))) == [
        "train: present in no training image, so not learned: label2, label4",
        "train: absent in no training image, so answered with yes for every image: label3, "
        "label5, label6, label7, label8",
    ]
    assert not list(told_of_labels(labels_only(targets[:, :2], names[:2])))

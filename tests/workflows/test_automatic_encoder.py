"""``train auto``: when the encoder stays, and when its frozen stages see an image once."""

import math
import re

import pytest
from automatic_plans import AUGMENTED, HEAD_STEP, STEP_AT_96, only_the_first, plan
from tiny_runs import write_tiny_table

from colabel.config import load_config
from colabel.config.budget import Budget
from colabel.models import Encoder
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime
from colabel.workflows import automatic
from colabel.workflows.candidates import (
    MOST_EPOCHS,
    MOST_KEPT_EPOCHS,
    Candidate,
    first_epochs,
    head_epochs,
    with_values,
)
from colabel.workflows.reading_time import Reading
from colabel.workflows.ways import (
    ENCODING,
    HEAD,
    HEAD_EPOCH,
    TO_BEGIN,
    Speed,
    Ways,
)

HEAD_OF_1400 = head_epochs(1400) * ((1400 // 32) * HEAD * HEAD_STEP + HEAD_EPOCH)


def read_at_once(monkeypatch):
    only_the_first(monkeypatch)
    reading = Reading(decode=0.0, augment=0.0, side=480)
    monkeypatch.setattr(automatic, "measure_reading", lambda *_: reading)


def test_little_time_goes_into_larger_images_of_a_frozen_encoder(machine, many):
    read_at_once(machine)
    least = TO_BEGIN + TO_FINISH + HEAD_OF_1400
    little = plan(many, Budget(minutes=(least + 0.4) / 60))
    short, long = little.config, plan(many, Budget(minutes=30)).config
    assert short.training.freeze_encoder
    learned_from = 1400  # undivided data is divided 70 : 15 : 15
    assert (short.training.epochs, short.training.learning_rate) == (
        head_epochs(learned_from),
        3e-3,
    )
    assert (short.augmentation.operations, short.augmentation.horizontal_flip) == (0, False)
    assert short.head.feature_length == 8
    assert "left as it came" in little.reasons[0]
    assert short.description == little.reasons[0]
    assert not long.training.freeze_encoder
    kept = plan(many, Budget(minutes=2), "training.freeze_encoder=false").config
    assert not kept.training.freeze_encoder


def test_between_the_two_the_classifier_comes_first_and_the_frozen_stages_see_an_image_once(
    machine, many
):
    read_at_once(machine)
    chosen = plan(many, Budget(minutes=0.4), "data.image_size=96")
    config = chosen.config
    warm_start, main = config.stages()
    assert (warm_start.name, warm_start.frozen) == ("warm_start", True)
    assert warm_start.epochs == head_epochs(1400)
    assert warm_start.head_learning_rate == 1e-3
    assert warm_start.terms["classification"].label_smoothing == 0.1
    assert (main.learning_rate, main.head_learning_rate) == (1e-4, 1e-3)
    assert config.head.feature_length == 8
    assert (config.augmentation.operations, config.augmentation.horizontal_flip) == (0, True)
    assert config.training.minutes == 0.4
    # of the mirror images the frozen stages alone
    encoding = ENCODING * (1700 * 0.0001 + 1400 * 0.00005)
    head = HEAD_OF_1400
    left = 24 - TO_BEGIN - TO_FINISH - encoding - head
    epoch = (1400 // 32) * STEP_AT_96 / 2 + 300 * 0.00005
    assert main.epochs == math.ceil(left / epoch - 0.02)
    (told, *_) = chosen.reasons
    assert "96 pixels: every image and mirror image passes its frozen stages once and 13" in told
    learn = re.search(r"that are not frozen learn for ([\d.]+) epochs of about", told)
    assert float(learn[1]) == pytest.approx(left / epoch, abs=0.1)


def test_a_part_of_an_epoch_after_the_classifier_is_worth_more_than_a_classifier_alone(
    machine, many
):
    read_at_once(machine)
    changes = ("data.image_size=96",)
    ways_of = {}
    least = TO_BEGIN + TO_FINISH + HEAD_OF_1400
    for more in (0.4, 0.9, 3.2, 5.2):
        config = plan(many, Budget(minutes=(least + more) / 60), *changes).config
        stays, mirrored = config.training.freeze_encoder, config.augmentation.horizontal_flip
        ways_of[more] = "stays" if stays else (config.training.epochs, mirrored)
    assert ways_of == {0.4: "stays", 0.9: (1, False), 3.2: (2, False), 5.2: (3, True)}


def test_what_comes_before_the_epochs_is_all_that_is_encoded_and_the_classifier():
    whole, rest = StepTime(1.0, 0.01), StepTime(0.5, 0.002)
    speed = Speed(96, whole, HEAD_STEP, rest, numbers=100)
    reading = Reading(decode=0.0, augment=0.0, side=480)
    for left, mirrored in ((40, False), (300, True)):
        estimates = Ways(load_config("auto"), 640, 100, reading, lambda left=left: left)
        option = estimates.estimate("kept", Candidate("any", 73.0, "weights"), 96, speed)
        assert option.mirrored == mirrored
        head = head_epochs(640) * (20 * HEAD * HEAD_STEP + HEAD_EPOCH)
        mirrors = 640 * (0.01 - 0.002) if mirrored else 0
        assert option.before == pytest.approx(ENCODING * (740 * 0.01 + mirrors) + head)
        assert (option.training, option.validation) == pytest.approx((20 * 0.5, 100 * 0.002))
        epochs = (left - TO_BEGIN - TO_FINISH - option.before) / (
            option.training + option.validation
        )
        assert option.epochs == pytest.approx(min(epochs, 8))


def test_an_encoder_that_the_user_freezes_is_left_as_it_came(machine, many):
    only_the_first(machine)
    change = "training.freeze_encoder=true"
    config = plan(many, Budget(minutes=1), change).config
    assert config.training.freeze_encoder
    assert (config.training.learning_rate, config.head.feature_length) == (3e-3, 8)
    assert config.augmentation.operations == 0
    augmented = plan(many, Budget(minutes=1), change, AUGMENTED).config
    assert (augmented.training.learning_rate, augmented.augmentation.operations) == (1e-4, 1)


def test_mirror_images_are_kept_where_they_fit_into_the_memory(machine, many):
    only_the_first(machine)
    # 55 kB are kept of an image at 96 pixels
    for megabytes, mirrored in ((175, True), (155, False)):
        changes = ("data.image_size=96", f"data.cache_mb={megabytes}")
        config = plan(many, Budget(minutes=0.5), *changes).config
        assert config.training.warm_start.epochs
        assert config.augmentation.horizontal_flip == mirrored
        assert config.training.epochs == (7 if mirrored else MOST_KEPT_EPOCHS)


@pytest.mark.parametrize(
    "changes",
    [
        (AUGMENTED,),
        ("augmentation.magnitude=0.3",),
        ("augmentation.cutout=0.2", "augmentation.operations=0"),
        ("method=kmcl",),
        ("head.pooling.name=max",),
        ("encoder.freeze_stages=0",),
        ("training.warm_start.epochs=0",),
        ("data.cache_mb=1",),  # what is kept of 1700 images takes a hundred
    ],
)
def test_nothing_is_kept_where_that_was_not_measured_or_cannot_be(machine, many, changes):
    only_the_first(machine)
    chosen = plan(many, Budget(minutes=1), "data.image_size=96", *changes)
    assert not chosen.config.training.warm_start.epochs
    assert all("passes its frozen stages" not in reason for reason in chosen.reasons)


@pytest.mark.parametrize(
    ("changes", "mirrored"),
    [
        ((), True),
        (("augmentation.horizontal_flip=false",), False),
        (("augmentation.horizontal_flip=true",), True),
        (("augmentation.operations=0", "augmentation.cutout=0"), True),
    ],
)
def test_who_does_not_want_images_mirrored_or_changed_has_the_classifier_first(
    machine, many, changes, mirrored
):
    """Such wishes are what is done by itself, so nothing else is lost by them."""
    only_the_first(machine)
    chosen = plan(many, Budget(minutes=0.5), "data.image_size=96", *changes).config
    assert chosen.training.warm_start.epochs == head_epochs(1400)
    assert chosen.augmentation.horizontal_flip == mirrored
    assert chosen.augmentation.operations == 0


def test_images_that_have_to_be_mirrored_are_kept_with_their_mirror_images_or_not_at_all():
    whole, rest = StepTime(1.0, 0.01), StepTime(0.5, 0.002)
    speed = Speed(96, whole, HEAD_STEP, rest, numbers=100)
    reading = Reading(decode=0.0, augment=0.0, side=480)
    config = load_config("auto")
    candidate = Candidate("any", 73.0, "weights")
    for left, free in ((40, False), (300, True)):
        either, must, no = (
            Ways(config, 640, 100, reading, lambda left=left: left, mirroring).estimate(
                "kept", candidate, 96, speed
            )
            for mirroring in ((False, True), (True,), (False,))
        )
        assert (either.mirrored, must.mirrored, no.mirrored) == (free, True, False)
        assert must.before > no.before
        assert no.fits
        assert must.fits
    small = with_values(config, {"data.cache_mb": 4})  # of 3.0 MB and 2.6 of mirror images
    large = Speed(96, whole, HEAD_STEP, rest, numbers=1000)
    for mirroring, fits in (((False, True), True), ((True,), False)):
        option = Ways(small, 640, 100, reading, lambda: 300, mirroring).estimate(
            "kept", candidate, 96, large
        )
        assert (option.mirrored, option.fits) == (False, fits)


def test_other_losses_than_cross_entropy_have_a_shorter_start(machine, many):
    only_the_first(machine)
    size = "data.image_size=96"
    chosen = plan(many, Budget(minutes=0.5), size, "method=asl").config
    assert chosen.terms["classification"].label_smoothing == 0
    assert plan(many, Budget(minutes=0.5), size).config.terms["classification"].label_smoothing
    of_others, of_cross_entropy = (
        first_epochs(load_config("auto", changes), 6000) for changes in (["method=asl"], [])
    )
    assert (of_others, of_cross_entropy) == (3, 10)
    assert chosen.training.warm_start.epochs == first_epochs(chosen, 1400) == head_epochs(1400)


def test_nothing_is_kept_of_an_encoder_that_cannot_be_halted(machine, many):
    only_the_first(machine)
    machine.setattr(Encoder, "find_halfway", lambda *_: None)
    chosen = plan(many, Budget(minutes=1), "data.image_size=96")
    assert not chosen.config.training.warm_start.epochs


def test_a_rate_of_the_user_is_that_after_the_classifier_alone(machine, many):
    only_the_first(machine)
    changes = ("training.learning_rate=5e-5", "training.head_learning_rate=0.002")
    _, main = plan(many, Budget(minutes=0.4), "data.image_size=96", *changes).config.stages()
    assert (main.learning_rate, main.head_learning_rate) == (5e-5, 0.002)


def test_few_images_are_trained_on_where_there_is_time_for_it(machine, tmp_path):
    """Not left to a classifier alone, which loses on images unlike those of ImageNet."""
    only_the_first(machine)
    few = write_tiny_table(tmp_path, images=200)
    chosen = plan(few, Budget(minutes=20))
    assert not chosen.config.training.freeze_encoder
    assert chosen.config.training.epochs == MOST_EPOCHS
    fewest = write_tiny_table(tmp_path / "fewest", images=60)  # a step an epoch
    training = plan(fewest, Budget(minutes=20)).config.training
    assert training.freeze_encoder or training.warm_start.epochs


@pytest.mark.parametrize(
    "change",
    [
        "encoder.freeze_stages=2",
        "training.head_learning_rate=x3",
        "training.learning_rate=1e-4",
        "augmentation.operations=2",
        "augmentation.horizontal_flip=true",
        "encoder.weights=null",
    ],
)
def test_the_encoder_stays_only_where_nobody_says_how_it_is_trained(machine, tmp_path, change):
    only_the_first(machine)
    fewest = write_tiny_table(tmp_path, images=60)
    untrained = ["encoder.freeze_stages=0"] if change.startswith("encoder.weights") else []
    chosen = plan(fewest, Budget(minutes=20), change, *untrained)
    assert not chosen.config.training.freeze_encoder
    assert all("left as it came" not in reason for reason in chosen.reasons)

"""``train auto``: what it chooses by given times, and the command from end to end."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import timm
import yaml
from safetensors.torch import save_file
from tiny_runs import command, write_tiny_table

from colabel.build.division import open_training_data
from colabel.build.records import decoding_threads
from colabel.config import changed_keys, load_config
from colabel.config.budget import Budget
from colabel.errors import ConfigError, ImageError
from colabel.models import Classifier, Encoder, Head, LinearHead, build_encoder
from colabel.training.clock import TO_FINISH
from colabel.training.timing import StepTime
from colabel.workflows import affordable, automatic, candidates, ways
from colabel.workflows.candidates import (
    ENCODERS,
    MOST_EPOCHS,
    MOST_KEPT_EPOCHS,
    SIZES,
    Candidate,
    expected_gain,
    head_epochs,
)
from colabel.workflows.reading_time import Reading, measure_reading
from colabel.workflows.ways import (
    ENCODING,
    HEAD_EPOCH_SECONDS,
    HEAD_SECONDS,
    TO_BEGIN,
    Speed,
    Ways,
)

STEP_AT_96 = 0.1
AUGMENTED = "augmentation.operations=1"
"""Said by the user, so nothing is kept of the images."""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine on which a step at 96 pixels takes a tenth of a second, scoring a hundredth.

    What follows the frozen stages takes half of that.
    """

    def measure(stage, *, image_size, halfway=False, **_):
        scale = (image_size / 96) ** 2 * (0.5 if halfway else 1.0)
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    encoder = build_encoder("test_efficientnet", freeze_stages=3)
    model = Classifier(encoder, Head(LinearHead(encoder.width, 3)))
    monkeypatch.setattr(affordable, "measure_step", measure)
    monkeypatch.setattr(affordable, "measure_score", lambda *_: 1.0)  # bfloat16 is slow on it
    monkeypatch.setattr(affordable, "build_model", lambda *_: model)
    monkeypatch.setattr(affordable, "build_stages", lambda *_: [None])
    reading = Reading(decode=0.001, augment=0.0, side=480)
    monkeypatch.setattr(automatic, "measure_reading", lambda *_: reading)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"")
    monkeypatch.setattr(candidates, "weights_at_hand", lambda _: file)
    # planning itself takes no time, however busy the machine is that runs the tests
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    for module in (affordable, automatic):
        monkeypatch.setattr(module, "time", clock)
    return monkeypatch


@pytest.fixture
def table(tmp_path):
    return write_tiny_table(tmp_path, images=600)


def plan(table, budget, *changes, **options):
    config = load_config("auto", changes)
    return automatic.plan_training(
        config, budget, data=str(table), changed=changed_keys(changes), cpu=True, **options
    )


def only_the_first(monkeypatch):
    monkeypatch.setattr(candidates, "ENCODERS", ENCODERS[:1])


def read_at_once(monkeypatch):
    only_the_first(monkeypatch)
    reading = Reading(decode=0.0, augment=0.0, side=480)
    monkeypatch.setattr(automatic, "measure_reading", lambda *_: reading)


def test_more_time_gives_larger_images_and_more_epochs(machine, table):
    only_the_first(machine)
    chosen = []
    for minutes in (0.3, 1, 4, 60):
        config = plan(table, Budget(minutes=minutes), AUGMENTED).config
        chosen.append((config.data.image_size, config.training.epochs))
        assert config.training.minutes == minutes
    sizes, epochs = zip(*chosen, strict=True)
    assert list(sizes) == sorted(sizes)
    assert list(epochs) == sorted(epochs)
    assert sizes[0] < sizes[-1] == SIZES[-1]
    assert epochs[-1] == MOST_EPOCHS


def test_the_epochs_are_those_that_fit(machine, table):
    only_the_first(machine)
    config = plan(table, Budget(minutes=0.5), "data.image_size=96", AUGMENTED).config
    training = (600 * 0.7 // 32) * STEP_AT_96  # undivided data is divided 70 : 15 : 15
    left = 30 - TO_BEGIN - TO_FINISH
    assert config.training.epochs == pytest.approx(left / training, rel=0.15)
    assert config.training.workers == 0


def test_little_time_goes_into_larger_images_of_a_frozen_encoder(machine, tmp_path):
    read_at_once(machine)
    many = write_tiny_table(tmp_path, images=2000)
    least = TO_BEGIN + TO_FINISH + 12 * (1700 * HEAD_SECONDS + HEAD_EPOCH_SECONDS)
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
    machine, tmp_path
):
    read_at_once(machine)
    many = write_tiny_table(tmp_path, images=2000)
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
    head = 12 * (1700 * HEAD_SECONDS + HEAD_EPOCH_SECONDS)
    left = 24 - TO_BEGIN - TO_FINISH - encoding - head
    epoch = (1400 // 32) * STEP_AT_96 / 2 + 300 * 0.00005
    assert main.epochs == math.ceil(left / epoch - 0.02)
    (told, *_) = chosen.reasons
    assert "96 pixels: every image and mirror image passes its frozen stages once and 12" in told
    learn = re.search(r"that are not frozen learn for ([\d.]+) epochs of about", told)
    assert float(learn[1]) == pytest.approx(left / epoch, abs=0.1)


def test_a_part_of_an_epoch_after_the_classifier_is_worth_more_than_a_classifier_alone(
    machine, tmp_path
):
    read_at_once(machine)
    many = write_tiny_table(tmp_path, images=2000)
    changes = ("data.image_size=96",)
    ways_of = {}
    least = TO_BEGIN + TO_FINISH + 12 * (1700 * HEAD_SECONDS + HEAD_EPOCH_SECONDS)
    for more in (0.4, 0.9, 3.2, 5.2):
        config = plan(many, Budget(minutes=(least + more) / 60), *changes).config
        stays, mirrored = config.training.freeze_encoder, config.augmentation.horizontal_flip
        ways_of[more] = "stays" if stays else (config.training.epochs, mirrored)
    assert ways_of == {0.4: "stays", 0.9: (1, False), 3.2: (2, False), 5.2: (3, True)}


def test_what_comes_before_the_epochs_is_all_that_is_encoded_and_the_classifier():
    whole, rest = StepTime(1.0, 0.01), StepTime(0.5, 0.002)
    speed = Speed(96, whole, rest, numbers=100)
    reading = Reading(decode=0.0, augment=0.0, side=480)
    for left, mirrored in ((40, False), (300, True)):
        estimates = Ways(load_config("auto"), 640, 100, reading, lambda left=left: left)
        option = estimates.estimate("kept", Candidate("any", 73.0, "weights"), 96, speed)
        assert option.mirrored == mirrored
        head = head_epochs(640) * (740 * HEAD_SECONDS + HEAD_EPOCH_SECONDS)
        mirrors = 640 * (0.01 - 0.002) if mirrored else 0
        assert option.before == pytest.approx(ENCODING * (740 * 0.01 + mirrors) + head)
        assert (option.training, option.validation) == pytest.approx((20 * 0.5, 100 * 0.002))
        epochs = (left - TO_BEGIN - TO_FINISH - option.before) / (
            option.training + option.validation
        )
        assert option.epochs == pytest.approx(min(epochs, 8))


def test_an_encoder_that_the_user_freezes_is_left_as_it_came(machine, tmp_path):
    only_the_first(machine)
    many = write_tiny_table(tmp_path, images=2000)
    change = "training.freeze_encoder=true"
    config = plan(many, Budget(minutes=1), change).config
    assert config.training.freeze_encoder
    assert (config.training.learning_rate, config.head.feature_length) == (3e-3, 8)
    assert config.augmentation.operations == 0
    augmented = plan(many, Budget(minutes=1), change, AUGMENTED).config
    assert (augmented.training.learning_rate, augmented.augmentation.operations) == (1e-4, 1)


def test_mirror_images_are_kept_where_they_fit_into_the_memory(machine, tmp_path):
    only_the_first(machine)
    many = write_tiny_table(tmp_path, images=2000)  # 55 kB each at 96 pixels
    for megabytes, mirrored in ((175, True), (155, False)):
        changes = ("data.image_size=96", f"data.cache_mb={megabytes}")
        config = plan(many, Budget(minutes=0.5), *changes).config
        assert config.training.warm_start.epochs
        assert config.augmentation.horizontal_flip == mirrored
        assert config.training.epochs == (6 if mirrored else MOST_KEPT_EPOCHS)


@pytest.mark.parametrize(
    "changes",
    [
        (AUGMENTED,),
        ("augmentation.horizontal_flip=false",),
        ("method=kmcl",),
        ("head.pooling.name=max",),
        ("encoder.freeze_stages=0",),
        ("training.warm_start.epochs=0",),
        ("data.cache_mb=1",),  # what is kept of 1700 images takes a hundred
    ],
)
def test_nothing_is_kept_where_that_was_not_measured_or_cannot_be(machine, tmp_path, changes):
    only_the_first(machine)
    many = write_tiny_table(tmp_path, images=2000)
    chosen = plan(many, Budget(minutes=1), "data.image_size=96", *changes)
    assert not chosen.config.training.warm_start.epochs
    assert all("passes its frozen stages" not in reason for reason in chosen.reasons)


def test_nothing_is_kept_of_an_encoder_that_cannot_be_halted(machine, tmp_path):
    only_the_first(machine)
    machine.setattr(Encoder, "find_halfway", lambda *_: None)
    many = write_tiny_table(tmp_path, images=2000)
    chosen = plan(many, Budget(minutes=1), "data.image_size=96")
    assert not chosen.config.training.warm_start.epochs


def test_a_rate_of_the_user_is_that_after_the_classifier_alone(machine, tmp_path):
    only_the_first(machine)
    many = write_tiny_table(tmp_path, images=2000)
    changes = ("training.learning_rate=5e-5", "training.head_learning_rate=0.002")
    _, main = plan(many, Budget(minutes=0.4), "data.image_size=96", *changes).config.stages()
    assert (main.learning_rate, main.head_learning_rate) == (5e-5, 0.002)


def test_what_the_user_sets_is_kept(machine, table):
    config = plan(
        table, Budget(minutes=2), "data.image_size=160", "encoder.freeze_stages=2",
        "training.workers=3", "method=kmcl",
    ).config  # fmt: skip
    assert (config.data.image_size, config.encoder.freeze_stages) == (160, 2)
    assert (config.training.workers, config.method.name) == (3, "kmcl")


def test_images_are_never_enlarged(machine, table):
    small = Reading(decode=0.001, augment=0.0, side=150)
    machine.setattr(automatic, "measure_reading", lambda *_: small)
    assert plan(table, Budget(minutes=60)).config.data.image_size == 128
    tiny = replace(small, side=20)
    machine.setattr(automatic, "measure_reading", lambda *_: tiny)
    assert plan(table, Budget(minutes=60)).config.data.image_size == SIZES[0]


def test_a_budget_below_one_epoch_is_refused_with_what_is_needed(machine, table):
    with pytest.raises(
        ConfigError, match=r"too small: the quickest choice.*at least --budget \d+s"
    ) as no:
        plan(table, Budget(minutes=0.04))
    needed = int(re.search(r"--budget (\d+)s", str(no.value))[1])
    assert plan(table, Budget(minutes=needed / 60)).config.training.epochs >= 1


def test_epochs_take_the_most_accurate_encoder_at_the_size_of_its_weights(machine, table):
    config = plan(table, Budget(epochs=3)).config
    assert config.encoder.name == max(ENCODERS, key=lambda each: each.accuracy).name
    assert (config.data.image_size, config.training.epochs) == (224, 3)
    assert config.training.minutes is None


@pytest.mark.parametrize("key", ["training.epochs=3", "training.minutes=2"])
def test_a_setting_that_the_budget_decides_is_refused(machine, table, key):
    with pytest.raises(ConfigError, match=r"--budget decides about training\.\w+; leave one"):
        plan(table, Budget(minutes=1), key)


def test_no_weights_at_hand_is_told_with_what_to_do(machine, table):
    machine.setattr(candidates, "weights_at_hand", lambda _: None)
    with pytest.raises(ConfigError, match=r"no weights of mobilenetv2_100 or .*none are fetched"):
        plan(table, Budget(minutes=1))
    with pytest.raises(ConfigError, match="no weights of resnet18 are on this machine"):
        plan(table, Budget(minutes=1), "encoder.name=resnet18")
    with pytest.raises(ConfigError, match="no encoder named 'resnet5O'; did you mean 'resnet50'"):
        plan(table, Budget(minutes=1), "encoder.name=resnet5O")
    asked = plan(table, Budget(minutes=1), "encoder.weights=pretrained").config
    assert (asked.encoder.name, asked.encoder.weights) == ("mobilenetv2_100", "pretrained")


def test_corrupt_images_are_left_out_of_the_sample_as_of_training(table):
    records = open_training_data(load_config("auto", [f"data.source={table}"]).data, seed=0)
    train = records.records["train"]
    for position in (0, len(train) - 1):
        (table.parent / train.ids[position]).write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"2 of 24 images cannot (.|\n)*data.on_corrupt: skip"):
        measure_reading(train, load_config("auto"))
    skipping = load_config("auto", ["data.on_corrupt=skip"])
    assert measure_reading(train, skipping).augment > 0


@pytest.mark.parametrize("change", ["method=probmcl", "training.warm_start.epochs=1"])
def test_a_method_of_two_stages_has_no_budget_of_time(machine, table, change):
    with pytest.raises(ConfigError, match=r"budget of time is for .* has 2 \(.*--budget 3epochs"):
        plan(table, Budget(minutes=1), change)
    assert plan(table, Budget(epochs=3), change).config.training.epochs == 3


def test_a_batch_of_the_user_is_not_made_smaller(machine, table):
    with pytest.raises(ConfigError, match=r"a batch of 500 cannot be filled from 4\d\d "):
        plan(table, Budget(minutes=1), "training.batch_size=500")
    assert plan(table, Budget(minutes=1)).config.training.batch_size == 32


def test_settings_within_a_group_are_the_user_s_too(machine, table):
    changes = ["encoder={name: resnet18, weights: null, freeze_stages: 0}", "training={epochs: 2}"]
    with pytest.raises(ConfigError, match=r"decides about training\.epochs"):
        plan(table, Budget(minutes=1), *changes)
    encoder = plan(table, Budget(minutes=1), changes[0]).config.encoder
    assert (encoder.name, encoder.weights) == ("resnet18", None)


def test_an_accurate_encoder_wins_where_it_fits():
    quick, slow = Candidate("quick", 73.0), Candidate("slow", 80.0)
    two = {"images": 6000, "epochs": 2, "steps": 374}
    gain = {each: expected_gain(192, each.accuracy, **two) for each in (quick, slow)}
    assert gain[slow] - gain[quick] == pytest.approx(7)
    assert expected_gain(192, 80.0, images=6000, epochs=1, steps=187) < gain[slow]


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


def test_bfloat16_is_taken_where_it_is_quicker(machine, table):
    def measure(stage, *, image_size, accelerator, **_):
        share = 0.5 if accelerator.mixed_precision == "bf16" else 1.0
        scale = share * (image_size / 96) ** 2
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    only_the_first(machine)
    machine.setattr(affordable, "measure_step", measure)
    budget, size = Budget(minutes=0.5), ("data.image_size=96", AUGMENTED)
    plain = plan(table, budget, *size).config
    assert plain.training.precision == "no"  # a look at scoring was enough
    machine.setattr(affordable, "measure_score", lambda *_: 0.0)
    quick = plan(table, budget, *size)
    assert quick.config.training.precision == "bf16"
    assert "in bf16, in which a step takes 0.50 of its time in float32 here" in quick.reasons[-1]
    assert quick.config.training.epochs > 1.5 * plain.training.epochs
    kept = plan(table, budget, *size, "training.precision=no")
    assert kept.config.training.precision == "no"
    assert all("bf16" not in reason for reason in kept.reasons)


def test_measuring_ends_where_too_much_of_the_time_is_gone(machine, table):
    now = [0.0]
    measured = []

    def measure(stage, *, image_size, limit, **_):
        measured.append(limit)
        now[0] += 7
        return StepTime(0.01, 0.001)

    machine.setattr(affordable, "measure_step", measure)
    for module in (affordable, automatic):
        machine.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    plan(table, Budget(minutes=0.5), "data.image_size=96", AUGMENTED)
    assert measured == [1.0, 1.0]  # one encoder of four, and that one once more
    now[0] = 0.0
    plan(table, Budget(minutes=20), "data.image_size=96", AUGMENTED)
    assert set(measured[2:]) == {24.0}
    assert len(measured[2:]) == len(ENCODERS) + 1


def test_a_choice_that_turns_out_slower_is_judged_anew_with_what_was_found(machine, table):
    """At its own size a step takes ten times what was thought: the others are scaled from that."""
    only_the_first(machine)
    sizes = []

    def measure(stage, *, image_size, **_):
        slower = 10 if sizes else 1
        sizes.append(image_size)
        scale = slower * (image_size / 96) ** 2
        return StepTime(STEP_AT_96 * scale, 0.0001 * scale)

    machine.setattr(affordable, "measure_step", measure)
    quick = plan(table, Budget(minutes=1), AUGMENTED, "training.batch_size=16")
    assert len(sizes) == 3  # the first look, the best by that, and the best by what that found
    epochs = quick.config.training.epochs
    size = quick.config.data.image_size
    left = 60 - TO_BEGIN - TO_FINISH - 0.001 * 510 / decoding_threads(1)
    epoch = (420 // 16) * 10 * STEP_AT_96 * (size / 96) ** 2
    assert epochs == pytest.approx(left / epoch, abs=1)
    assert size < sizes[1]


def test_nothing_is_measured_again_where_too_much_of_the_time_is_gone(machine, table):
    now, sizes = [0.0], []

    def measure(stage, *, image_size, **_):
        sizes.append(image_size)
        now[0] += 16
        return StepTime(0.01, 0.0001)

    only_the_first(machine)
    machine.setattr(affordable, "measure_step", measure)
    for module in (affordable, automatic):
        machine.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    plan(table, Budget(minutes=1), AUGMENTED)
    assert len(sizes) == 1


def test_no_difference_is_told_that_the_rule_cannot_know(machine, table):
    only_the_first(machine)
    machine.setattr(ways, "expected_gain", lambda size, *_, **__: 1000.0 if size == 96 else 0.0)
    chosen = plan(table, Budget(minutes=20), AUGMENTED)
    assert "; more than 20 points of mAP less by the rule" in chosen.reasons[1]


def test_a_budget_of_epochs_says_what_was_given(machine, table):
    only_the_first(machine)
    own = plan(table, Budget(epochs=2), "data.image_size=64", "encoder.weights=null",
               "encoder.freeze_stages=0").reasons[0]  # fmt: skip
    assert own.endswith("mobilenetv2_100, which was given, at 64 pixels, the size was given")
    found = plan(table, Budget(epochs=2)).reasons[0]
    assert "the most accurate encoder whose weights are on this machine, at 224 pixels" in found


@pytest.mark.slow
def test_the_command_chooses_trains_and_goes_on(tmp_path, capsys):
    table = write_tiny_table(tmp_path, images=120)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_efficientnet", num_classes=0).state_dict(), weights)
    out = tmp_path / "run"
    arguments = [
        "train", "auto", "--data", table, "--budget", "15s", "--cpu", "--set",
        "encoder.name=test_efficientnet", "--set", f"encoder.weights={weights}",
        "--set", "encoder.freeze_stages=0", "--set", "training.batch_size=8",
    ]  # fmt: skip
    assert not command(*arguments, "--print")
    recipe = yaml.safe_load(capsys.readouterr().out)
    assert recipe["training"]["minutes"] == 0.25
    assert not command(*arguments, "--out", out)
    told = capsys.readouterr()
    assert "chosen for 15 seconds: test_efficientnet at" in told.err
    assert (out / "model.safetensors").is_file()
    begun = yaml.safe_load((out / "config.yaml").read_text())
    assert begun["data"]["source"] == str(table)
    assert not command(*arguments, "--out", out, "--resume")  # it is complete
    assert command(*arguments, "--set", "method=asl", "--out", out, "--resume") == 2
    assert 'method.name was "bce", is "asl"' in capsys.readouterr().err
    changed = ["3epochs" if word == "15s" else word for word in arguments]
    assert command(*changed, "--out", out, "--resume") == 2
    assert "was begun with a budget of 15 seconds, now it is 3 epochs" in capsys.readouterr().err


def test_the_budget_and_its_recipe_go_together(capsys):
    assert command("train", "auto") == 2
    assert "--budget 20m" in capsys.readouterr().err
    assert command("train", "shapes-bce", "--budget", "3m") == 2
    assert "--budget is for the recipe auto" in capsys.readouterr().err
    assert command("train", "auto", "--budget", "3m", "--resume") == 2
    assert "add --out FOLDER" in capsys.readouterr().err
    assert command("train", "auto", "--budget", "soon") == 2
    assert "expected a budget such as" in capsys.readouterr().err

"""``train auto``: what it chooses by given times, and the command from end to end."""

import re
from dataclasses import replace

import pytest
import timm
import yaml
from automatic_plans import AUGMENTED, STEP_AT_96, only_the_first, plan
from safetensors.torch import save_file
from tiny_runs import command, write_tiny_table

from colabel.config.budget import Budget
from colabel.errors import ConfigError
from colabel.training.clock import TO_FINISH
from colabel.workflows import automatic, candidates, ways
from colabel.workflows.candidates import ENCODERS, MOST_EPOCHS, SIZES, Candidate, expected_gain
from colabel.workflows.reading_time import Reading
from colabel.workflows.ways import TO_BEGIN


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


def test_epochs_have_the_classifier_first_as_a_time_has(machine, table):
    for epochs, mirrored in ((1, False), (3, True), (8, True)):
        chosen = plan(table, Budget(epochs=epochs))
        config = chosen.config
        assert config.training.warm_start.epochs > 10  # there are 600 images
        assert config.augmentation.horizontal_flip == mirrored
        assert (config.augmentation.operations, config.head.feature_length) == (0, 8)
        (told,) = chosen.reasons
        assert f"learns alone for {config.training.warm_start.epochs} epochs before" in told
        assert ("mirrored and not augmented otherwise" in told) == mirrored
    for budget, change in ((9, "training.seed=0"), (3, AUGMENTED), (3, "head.pooling.name=max")):
        chosen = plan(table, Budget(epochs=budget), change)
        assert not chosen.config.training.warm_start.epochs
        assert chosen.config.augmentation.operations == 1
        assert chosen.reasons[0].endswith("all learns from the start")


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


def test_no_difference_is_told_that_the_rule_cannot_know(machine, table):
    only_the_first(machine)
    machine.setattr(ways, "expected_gain", lambda size, *_, **__: 1000.0 if size == 96 else 0.0)
    chosen = plan(table, Budget(minutes=20), AUGMENTED)
    assert "; more than 20 points of mAP less by the rule" in chosen.reasons[1]


def test_a_budget_of_epochs_says_what_was_given(machine, table):
    only_the_first(machine)
    own = plan(table, Budget(epochs=2), "data.image_size=64", "encoder.weights=null",
               "encoder.freeze_stages=0").reasons[0]  # fmt: skip
    assert "mobilenetv2_100, which was given, at 64 pixels, the size was given;" in own
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

"""The learning rate of the head, the warm start, and the word no."""

import pytest
import yaml
from pydantic import ValidationError

from colabel.config import check_config, load_config
from colabel.errors import ConfigError
from colabel.settings import Training


@pytest.mark.parametrize(
    ("given", "kept", "rate"),
    [
        ("x1", "x1", 2e-4),
        ("x10", "x10", 2e-3),
        ("x0.5", "x0.5", 1e-4),
        (0.01, 0.01, 0.01),
        (3, 3.0, 3.0),
        ("0.01", 0.01, 0.01),
        ("1e-3", 1e-3, 1e-3),
    ],
)
def test_the_heads_learning_rate_is_a_number_or_a_multiple(given, kept, rate):
    training = Training(head_learning_rate=given)
    assert training.head_learning_rate == kept
    assert type(training.head_learning_rate) is type(kept)
    assert training.rate_of_head(2e-4) == pytest.approx(rate)


@pytest.mark.parametrize(
    "given",
    ["fast", "x", "x0", "x-1", "10x", "xx2", "xnan", "xinf", 0, -1, True, None, float("nan")],
)
def test_other_rates_of_the_head_are_refused(given):
    expected = (
        f"expected a positive number, or a multiple of learning_rate such as x10, got {given!r}"
    )
    with pytest.raises(ValidationError) as caught:
        Training(head_learning_rate=given)
    assert expected in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("learning_rate", 0.5), ("images", 900)])
def test_what_belongs_to_a_warm_start_without_epochs_is_refused(key, value):
    changes = [f"training.warm_start.{key}={value}"]
    with pytest.raises(ConfigError) as caught:
        load_config("laptop-csra", changes)
    assert (
        f"training.warm_start: {key} is {value} and no epochs are given, so there is no warm "
        "start that it would be for; set training.warm_start.epochs to 1 or more"
        in str(caught.value)
    )
    assert load_config("laptop-csra", [*changes, "training.warm_start.epochs=1"])
    assert load_config("laptop-csra", [*changes, f"training.warm_start.{key}=null"])


@pytest.mark.parametrize("change", ["training.warm_start={}", "training.warm_start.epochs=0"])
def test_no_epochs_switch_a_warm_start_off_with_all_that_a_recipe_says_of_it(change):
    config = load_config("laptop-kmcl", [change])
    assert len(config.stages()) == len(config.for_images(10).stages()) == 1
    assert check_config(yaml.safe_load(config.to_yaml())) == config


@pytest.mark.parametrize("word", ["no", "No", "off", "false", "'no'"])
def test_no_mixed_precision_is_asked_for_by_the_word_no(tmp_path, word):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"method: kmcl\ntraining: {{precision: {word}}}\n")
    changed = load_config("coco2014-kmcl-tresnet-m", [f"training.precision={word}"])
    assert load_config(recipe).training.precision == changed.training.precision == "no"


@pytest.mark.parametrize("word", ["yes", "true", "0", "null"])
def test_other_words_that_are_no_precision_are_refused(word):
    with pytest.raises(
        ConfigError, match="precision: input should be 'no', 'bf16' or 'fp16', got"
    ):
        load_config("laptop-bce", [f"training.precision={word}"])

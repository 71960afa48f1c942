"""Spaces of a sweep: what is read from words, what is refused, and where numbers stay."""

import math

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from colabel.config import load_config, recipe_names
from colabel.errors import ConfigError
from colabel.methods import METHODS
from colabel.methods.spaces import OWN, default_space
from colabel.workflows.sweep.space import (
    Choice,
    Range,
    brief_names,
    fit_space,
    own_settings,
    parse_dimension,
    read_space,
    with_settings,
)

RATE = "training.learning_rate"
numbers = st.floats(-1e6, 1e6, allow_nan=False)
names = st.text("abcdefghij_", min_size=1, max_size=8)


@given(low=numbers, high=numbers, scale=st.sampled_from(["", " log", " linear"]))
def test_a_range_holds_the_numbers_that_were_written(low, high, scale):
    assume(low < high)
    text = f"{low!r}..{high!r}{scale}"
    if scale == " log" and low <= 0:
        with pytest.raises(ConfigError, match="logarithmic and must be above 0"):
            parse_dimension(RATE, text)
        return
    found = parse_dimension(RATE, text)
    assert (found.low, found.high, found.whole, found.multiple) == (low, high, False, False)
    wide = low > 0 and high >= 10 * low
    assert found.logarithmic == (scale == " log" or (not scale and wide))


@given(low=st.integers(-1000, 1000), span=st.integers(1, 1000), share=st.floats(0, 1))
def test_whole_numbers_stay_whole_and_within(low, span, share):
    found = parse_dimension("training.batch_size", f"{low}..{low + span}")
    assert (found.low, found.high, found.whole) == (low, low + span, True)
    setting = found.setting(low + round(share * span))
    assert isinstance(setting, int)
    assert low <= setting <= low + span
    assert found.number_of(setting) == setting
    assert found.number_of(low + 0.5) is None


@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.5, 1e4), share=st.floats(0, 1))
def test_what_is_tried_lies_in_the_range_to_its_last_digit(low, factor, share):
    for found in (Range(low, low * factor), Range(low, low * factor, multiple=True)):
        setting = found.setting(low * factor**share)
        number = found.number_of(setting)
        assert number is not None or found.multiple  # x%g is as written in the recipe
        assert float(str(setting).removeprefix("x")) == pytest.approx(
            low * factor**share, rel=6e-4
        )


@given(low=numbers, high=numbers)
def test_a_space_in_words_is_read_as_the_same_space(low, high):
    assume(float(f"{low:.12g}") < float(f"{high:.12g}"))
    found = parse_dimension(RATE, f"{low:.12g}..{high:.12g}")
    again = parse_dimension(RATE, str(found))
    assert (again.low, again.high, again.logarithmic) == (found.low, found.high, found.logarithmic)


@given(st.lists(names, min_size=2, max_size=6, unique=True))
def test_words_are_choices_in_their_order(words):
    assume(not {"y", "n", "yes", "no", "on", "off", "null"} & set(words))
    found = parse_dimension("encoder.name", "|".join(words))
    assert found == Choice(tuple(words)) == parse_dimension("encoder.name", words)
    assert [found.setting(found.number_of(word)) for word in words] == words
    assert found.number_of("zzz") is None


@given(
    st.dictionaries(
        st.lists(names, min_size=2, max_size=3).map(".".join), st.integers(1, 99), min_size=1
    )
)
def test_several_keys_with_commas_are_those_given_one_by_one(ends):
    parts = [f"{key}={end}..{end + 5}" for key, end in ends.items()]
    assert read_space([",".join(parts)]) == read_space(parts)
    assert list(read_space(parts)) == list(ends)


def test_values_keep_their_kind():
    found = parse_dimension("a.b", "true|null|3|0.5|word|[8, 4]")
    assert found.values == (True, None, 3, 0.5, "word", (8, 4))
    assert found.labels == ("true", "null", "3", "0.5", "word", "[8, 4]")
    assert found.setting("null") is None


def test_a_file_gives_what_words_give(tmp_path):
    path = tmp_path / "space.yaml"
    keys = {RATE: "1e-5..1e-2", "training.head_learning_rate": "x1..x50", "head.covariance": "a|b"}
    path.write_text(yaml.safe_dump(keys))
    assert read_space([str(path)]) == read_space([f"{key}={text}" for key, text in keys.items()])
    path.write_text("head.covariance: [isotropic, diagonal]\n")
    assert read_space([str(path), f"{RATE}=1..2"])["head.covariance"].values == (
        "isotropic",
        "diagonal",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{RATE}", "not understood: expected key=low..high"),
        (f"{RATE}=3", "not understood"),
        (f"{RATE}=a..b", "not understood"),
        (f"{RATE}=1..2 lgo", "not understood"),
        (f"{RATE}=x1..2", "not understood"),
        (f"{RATE}=2..1", "is empty"),
        (f"{RATE}=1..1", "is empty"),
        (f"{RATE}=nan..1", "is empty"),
        (f"{RATE}=1..inf", "is empty"),
        (f"{RATE}=-1..1 log", "must be above 0"),
        ("head.covariance=a|a", "at least two values, each once"),
        ("nowhere.yaml", "not understood"),
    ],
)
def test_what_is_no_space_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        read_space([text])


@pytest.mark.parametrize("text", ["- 1\n", "a: {b: 1}\n", "a: [x]\n", "1: 2..3\n"])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_space([str(path)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.learning_rat=1e-5..1e-2", "did you mean 'learning_rate'"),
        (
            "training.learning_rate=-1..1",
            r"the space has training.learning_rate=-1: (?s:.*)got -1",
        ),
        ("head.covariance=isotropic|diagnal", "covariance=diagnal"),
        ("terms.contrastiv.weight=0..1", "did you mean 'contrastive'"),
        ("terms.contrastive.weight=x1..x2", "terms.contrastive.weight=x1"),
        ("training.seed=0..5", "not tuned: the best seed"),
        ("data.source=a|b", "not tuned: scores on other images"),
        ("data.options.images=a|b", "not tuned"),
        ("data.fraction=0.1..1", "not tuned: more images are better"),
        ("data.division_seed=0|1", "not tuned: scores on other images"),
        ("data.on_corrupt=stop|skip", "not tuned: scores on other images"),
        ("training.workers=0|1", "not tuned: it changes nothing"),
        ("data.validation_fraction=0.1..0.2", "not tuned"),
        ("evaluation.threshold=0.1..0.2", "not tuned"),
        ("training=1..2", "training=1"),
        ("head.pooling=encoder|class_attention", "head.pooling"),
        ("training.epochs=2..4", "--set training.epochs: the space tries"),
    ],
)
def test_a_space_that_the_recipe_has_not_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        fit_space(read_space([text]), load_config("shapes-kmcl"), changed=["training.epochs"])


def test_an_empty_space_is_refused():
    with pytest.raises(ConfigError, match="is empty"):
        fit_space({}, load_config("shapes-kmcl"))


def test_whole_ends_of_a_setting_that_need_not_be_whole_hold_fractions():
    config = load_config("shapes-kmcl")
    space = fit_space(
        read_space(["terms.contrastive.weight=0..1,training.batch_size=16..64"]), config
    )
    assert space["terms.contrastive.weight"].setting(0.25) == 0.25
    assert space["training.batch_size"].whole


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_has_a_default_space_around_its_recipe(method):
    recipes = [f"{place}-{method.replace('_', '-')}" for place in ("shapes", "laptop")]
    there = [recipe for recipe in recipes if recipe in recipe_names()]
    assert there
    for recipe in there:
        config = load_config(recipe)
        usual = default_space(method)
        space = fit_space({key: parse_dimension(key, usual[key]) for key in usual}, config)
        assert own_settings(config, space) is not None
        assert all(dimension.logarithmic for dimension in space.values())
    assert set(OWN) <= set(METHODS)


def test_the_recipe_s_own_settings_are_found_or_not():
    config = load_config("shapes-kmcl", ["training.head_learning_rate=0.1"])
    rates = read_space([f"{RATE}=1e-4..1e-2"])
    assert own_settings(config, rates) == {RATE: 2e-3}
    assert own_settings(config, read_space([f"{RATE}=1e-5..1e-4"])) is None
    assert own_settings(config, read_space(["training.head_learning_rate=x1..x9"])) is None
    assert own_settings(config, read_space(["training.head_learning_rate=0.01..1"])) is not None
    assert own_settings(config, read_space(["head.covariance=isotropic|diagonal"])) == {
        "head.covariance": "isotropic"
    }


def test_a_word_that_yaml_takes_for_a_truth_value_stays_the_recipe_s_word():
    config = load_config("laptop-bce")
    space = fit_space(read_space(["training.precision=no|bf16"]), config)
    assert space["training.precision"].labels == ("no", "bf16")
    assert own_settings(config, space) == {"training.precision": "no"}
    truth = fit_space(read_space(["training.freeze_encoder=no|yes"]), config)
    assert truth["training.freeze_encoder"].values == (False, True)


def test_settings_reach_the_recipe_as_what_they_are():
    config = with_settings(
        load_config("shapes-kmcl"),
        {RATE: 1e-05, "training.head_learning_rate": "x7", "training.clip_gradient": None,
         "encoder.freeze_batch_norm": True},
        of="test",
    )  # fmt: skip
    assert (config.training.learning_rate, config.training.head_learning_rate) == (1e-5, "x7")
    assert config.encoder.freeze_batch_norm is True
    assert math.isclose(config.stages()[0].head_learning_rate, 7e-5)


def test_brief_names_tell_the_keys_apart():
    keys = ["a.weight", "b.weight", "c.a.weight", "rate"]
    brief = brief_names(keys)
    assert len(set(brief.values())) == len(keys)
    assert brief["b.weight"] == "b.weight"
    assert brief["rate"] == "rate"
    assert brief["c.a.weight"] == "c.a.weight"

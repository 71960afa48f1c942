"""Recipes, changes and ablations of any text are taken, or refused in a ConfigError."""

import contextlib
import time

import pytest
import yaml
from damaged_files import damaged, edits
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.config import load_config, read_recipe, recipe_names
from colabel.config.reading import change_config
from colabel.errors import ConfigError
from colabel.workflows.ablation.file import configure, load_ablation

pytestmark = pytest.mark.fuzz

RECIPE = yaml.safe_dump(load_config("laptop-kmcl").to_values(), sort_keys=False).encode()
ABLATION = b"""recipe: shapes-probmcl
key: method.temperature
values: [0.1, 0.2]
seeds: [0, 1]
published: {source: a paper, chosen: 0.1, scores: {0.1: 90.5}}
"""
TEXTS = (
    "2024-01-01", "2024-01-01 12:00:00", "1" * 5000, "-" + "9" * 30, ".nan", "-.inf", "1.0e+999",
    "!!binary aGk=", "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!python/name:os.system",
    "!!int ''", "!!bool maybe", "!!float x", "!!timestamp x", "&a [*a]", "*a", "[" * 60 + "]" * 60,
    "{1: 2}", "{null: 1}", "{[a]: 1}", "{? {a: 1} : 2}", "<<: {a: 1}", "'\\0'", '"\\ud800"',
    "1:30",
    "0x", "0b", "1_000", "~", "yes", "''", "[]", "{}", "null", "{name: kmcl}", "{loss: x}", "1e3",
    "0o17", "1.5", "-1", "0", "3", "true", "text", "a: b: c", "- - -", "|\n x", "\t", "%YAML 9.9",
)  # fmt: skip


def leaves(values, prefix=""):
    """Yield the dotted keys of nested settings."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


KEYS = (
    *leaves(load_config("laptop-kmcl").to_values()),
    "terms.other",
    "data.options.x",
    "nothing",
)
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=8), st.integers().map(str),
                  st.floats().map(str))  # fmt: skip


@contextlib.contextmanager
def soon():
    """Take what is refused, and check that it did not take long."""
    start = time.monotonic()
    with contextlib.suppress(ConfigError):
        yield
    assert time.monotonic() - start < 10


@settings(max_examples=examples(300))
@given(key=st.sampled_from(KEYS), text=texts)
def test_changes_of_any_text(key, text):
    with soon():
        config = change_config(load_config("laptop-kmcl"), [f"{key}={text}"])
        assert config == load_config("laptop-kmcl", [f"{key}={text}"])
        yaml.safe_load(config.to_yaml())


@settings(max_examples=examples(60))
@given(changes=edits)
def test_damaged_recipes(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("recipes") / "mine.yaml"
    path.write_bytes(damaged(RECIPE, changes))
    with soon():
        load_config(path)


@settings(max_examples=examples(100))
@given(key=st.sampled_from(["recipe", "key", "values", "seeds", "metric", "published", "more"]),
       text=texts)  # fmt: skip
def test_ablations_of_any_text(tmp_path_factory, key, text):
    path = tmp_path_factory.mktemp("ablations") / "mine.yaml"
    lines = [line for line in ABLATION.decode().splitlines() if not line.startswith(f"{key}:")]
    path.write_bytes("\n".join([*lines, f"{key}: {text}"]).encode("utf-8", "replace"))
    with soon():
        read = load_ablation(path)
        configure(read, read.recipe, [])


@settings(max_examples=examples(60))
@given(changes=edits)
def test_damaged_ablations(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("ablations") / "mine.yaml"
    path.write_bytes(damaged(ABLATION, changes))
    with soon():
        read = load_ablation(path)
        configure(read, read.recipe, [])


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_that_come_along_hold_plain_values_alone(name):
    assert isinstance(read_recipe(name), dict)

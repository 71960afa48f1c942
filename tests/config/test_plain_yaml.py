import os
import time

import pytest

from colabel.config import load_config
from colabel.config.plain_yaml import parse_yaml
from colabel.errors import ConfigError

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k0: 1, j0: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 40)
)


def refused(text):
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "the recipe")
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert message.startswith("the recipe is not valid YAML: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "more than 100,000 values after the aliases are put in"),
        (MERGES, "more than 100,000 values after the aliases are put in"),
        ("&a [*a]", "holds itself by an alias (line 1, column 1)"),
        ("a: &a {b: *a}", "holds itself by an alias"),
        ("[" * 51 + "]" * 51 + "x", "expected"),
        ("a: " + "[" * 60 + "]" * 60, "groups and lists in each other more than 50 deep"),
        ("a: " + "[" * 100_000, "groups and lists in each other more than 50 deep"),
        ("{a: 2024-01-01}", "2024-01-01 is a date to YAML, and no setting is one; put quotes"),
        ("2024-99-99 25:61:61", "is a date to YAML"),
        ("a: " + "7" * 5000, "is no whole number of at most 64 bits (line 1, column 4)"),
        ("a: 9223372036854775808", "'9223372036854775808' is no whole number"),
        ("a: !!int ''", "'' is no whole number"),
        ("a: !!float x", "'x' is no number"),
        ("a: !!float ''", "'' is no number"),
        ("a: !!bool maybe", "'maybe' is neither true nor false"),
        ("a: !!binary aGVsbG8=", "the tag !!binary; expected plain words"),
        ("a: !!set {b, c}", "the tag !!set; expected"),
        ("a: !!omap [b: 1]", "the tag !!omap; expected"),
        ("a: !!python/object/apply:os.system [x]", "the tag !!python/object/apply:os.system"),
        ("a: !mine b", "the tag !mine"),
        ("a: 1\na: 2", "the key 'a' occurs twice (line 2, column 1)"),
        ("a: *b", "found undefined alias 'b'"),
        ("{[a]: 1}", "found unhashable key"),
        ("a: \x01", "special characters are not allowed"),
    ],
)
def test_what_is_no_plain_value_is_refused(text, reason):
    assert reason in refused(text)


def test_honest_aliases_and_numbers_are_read():
    text = "base: &base {rate: 1.0e-3, layers: [1, 2]}\nother: {<<: *base, rate: 0x10}\n"
    assert parse_yaml(text, "x") == {
        "base": {"rate": 0.001, "layers": [1, 2]},
        "other": {"rate": 16, "layers": [1, 2]},
    }
    assert parse_yaml("9223372036854775807", "x") == 2**63 - 1
    assert parse_yaml("{'2024-01-01': yes, 0: train, ~: 1}", "x") == {
        "2024-01-01": True, 0: "train", None: 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    ["training.epochs=2024-01-01", "training.seed=" + "1" * 5000, "description=!!set {a}",
     "data.bands=[2024-01-01]", "description=*a", "head=" + "[" * 5000],
)  # fmt: skip
def test_a_change_is_refused_in_one_line(change):
    with pytest.raises(ConfigError) as caught:
        load_config("laptop-kmcl", [change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_setting_takes_a_number_that_is_not_finite(value):
    for key in ("data.scale", "training.learning_rate", "data.validation_fraction"):
        with pytest.raises(ConfigError, match=f"{key}: input should be a finite number"):
            load_config("laptop-kmcl", **{key.replace(".", "__"): value})
        with pytest.raises(ConfigError, match=f"{key}: input should be a finite number"):
            load_config("laptop-kmcl", [f"{key}=.{value}"])


def test_recipes_that_are_no_plain_files(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(10 * 2**30)
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name, reason in {
        "pipe": "not a plain file",
        "folder": "a folder, expected a file",
        "large": "10,737,418,240 bytes, where at most 1,048,576 are read",
        "loop": "Too many levels of symbolic links",
    }.items():
        path = tmp_path / f"{name}.yaml"
        with pytest.raises(ConfigError, match=rf"{name}.yaml cannot be read: {reason}; expected"):
            load_config(path)
    for name in ("a\0b", "x" * 5000, "caf\udce9"):
        with pytest.raises(ConfigError, match="there is no recipe and no file called"):
            load_config(name)

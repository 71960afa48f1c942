from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
import yaml

from colabel.build.options import checked_options, known_options, options_of_another
from colabel.build.source import READERS, open_source, options_of_source
from colabel.config import check_config, load_config
from colabel.data import TableOptions
from colabel.errors import ConfigError


def read(
    root: Path,
    *,
    text: str | None = None,
    folder: Path | None = None,
    names: tuple[str, ...] | None = None,
    flag: bool = False,
    share: float = 0.5,
    count: int | None = None,
    word: Literal["a", "b"] = "a",
    number: Literal[1, 2] = 1,
    sizes: Mapping[str, int] | None = None,
) -> Path:
    return root


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        *(("text", one, one) for one in ("#", "|", ",", " ", "1", "007", "null", "true", "[a]")),
        ("folder", "007", Path("007")),
        ("folder", "~/x", Path.home() / "x"),
        ("names", "Sex,Unnamed: 0", ("Sex", "Unnamed: 0")),
        ("names", "Sex", ("Sex",)),
        ("names", "1, 2", ("1", "2")),
        ("names", "", ()),
        ("names", "[]", ()),
        ("names", "['a, b', c]", ("a, b", "c")),
        ("names", "['a", ("['a",)),
        ("flag", "true", True),
        ("flag", "False", False),
        ("share", "1e-1", 0.1),
        ("count", "12", 12),
        ("word", "b", "b"),
        ("number", "2", 2),
        ("sizes", "{train: 3}", {"train": 3}),
    ],
)
def test_a_text_becomes_what_the_reader_declares(option, text, expected):
    known = known_options(read)
    (value,) = checked_options({option: text}, known, key="k", source="s").values()
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("flag", "perhaps", r"k\.flag: .*boolean.*'perhaps'"),
        ("share", "half", r"k\.share: .*number.*'half'"),
        ("word", "c", r"k\.word: .*'a' or 'b'.*'c'"),
        ("sizes", "{train: ", r"k\.sizes: .* is not valid YAML"),
        ("sizes", "train", r"k\.sizes: .*'train'"),
        ("nmaes", "a", r"k\.nmaes: s has no such option; did you mean 'names'"),
        ("root", "a", r"k\.root: s has no such option"),
        ("max_pixels", "9", r"a setting of the data; .*--set data\.max_pixels=9"),
    ],
)
def test_a_text_that_is_none_of_its_type_is_named(option, text, message):
    with pytest.raises(ConfigError, match=message):
        checked_options({option: text}, known_options(read), key="k", source="s")


def test_every_reader_says_which_options_it_knows():
    assert "images" in options_of_source("some/labels.csv")
    assert options_of_source("labels.csv") == known_options(TableOptions)
    assert "difficult" in options_of_source("voc2007:/data")
    assert "ambiguity" in options_of_source("shapes")
    for name in READERS:
        assert options_of_source(f"{name}:/data") == known_options(READERS[name])


@pytest.mark.parametrize("group", ["options", "train_options"])
@pytest.mark.parametrize("text", ["#", "|", ",", " ", "null", "007", "[a, b", "{x", "a=b", ""])
def test_an_option_of_a_reader_stays_the_text_it_is(group, text):
    config = load_config("shapes-kmcl", [f"data.{group}.delimiter={text}"])
    assert getattr(config.data, group)["delimiter"] == text
    assert check_config(yaml.safe_load(config.to_yaml())) == config


@pytest.mark.parametrize("delimiter", ["#", "|", ",", " ", ":"])
def test_a_delimiter_of_the_command_line_divides_the_labels(tmp_path, delimiter):
    (tmp_path / "t.csv").write_text(f'path,labels\na.png,"cat{delimiter}dog"\nb.png,dog\n')
    config = load_config(
        "shapes-kmcl",
        [f"data.options.delimiter={delimiter}", "data.options.require_images=false"],
        data__source=str(tmp_path / "t.csv"),
    )
    records = open_source(config.data)["all"]
    assert records.classes == ("cat", "dog")
    assert records.targets.tolist() == [[1, 1], [0, 1]]


def test_folders_and_columns_stay_with_their_source_and_meaning_goes_along():
    trained = {"images": "/a/pictures", "blank": "unknown", "ignore": ["sex"], "level": "L2"}
    known = known_options(TableOptions)
    options, notes = options_of_another(trained, known, {"images": "/b"})
    assert options == {"blank": "unknown", "images": "/b"}
    carried, left = notes
    assert carried == "option blank=unknown is carried over from training"
    assert left.startswith("not used here")
    assert left.endswith("training data: ignore=['sex'], level=L2 (--option)")
    assert options_of_another(trained, known, {"blank": "absent"})[0] == {"blank": "absent"}
    assert options_of_another({}, known, {}) == ({}, ())

import pytest

from colabel.config import load_config, read_recipe, recipe_names
from colabel.errors import ConfigError


def refused(*changes):
    """Return the message about a recipe with these changes."""
    with pytest.raises(ConfigError) as caught:
        load_config("shapes-kmcl", changes)
    return str(caught.value)


def test_changes_are_read_as_yaml_and_the_last_one_holds():
    config = load_config(
        "shapes-kmcl",
        [
            "training.epochs=3",
            "training.learning_rate=1e-3",
            "data.validation=null",
            "encoder.freeze_batch_norm=true",
            "encoder.options={drop_rate: 0.5}",
            "data.options.ambiguity=0.4",
            "training.epochs=4",
        ],
    )
    assert config.training.epochs == 4
    assert config.training.learning_rate == 1e-3
    assert config.data.validation is None
    assert config.encoder.freeze_batch_norm is True
    assert config.encoder.options == {"drop_rate": 0.5}
    assert config.data.options == {"ambiguity": "0.4"}  # text: its reader knows the type


def test_values_of_a_caller_come_after_the_changes():
    config = load_config("shapes-kmcl", ["data.source=a.csv"], data__source="b.csv")
    assert config.data.source == "b.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epochs", "expected key.path=value, got 'training.epochs'"),
        ("=3", "expected key.path=value, got '=3'"),
        ("training.epochs.more=3", "training.epochs.more: training.epochs is a value, not a gro"),
        ("training.epochs=[", "the value of 'training.epochs=[' is not valid YAML"),
        ("description=!!python/name:os.system", "is not valid YAML"),
        ("training={epochs: 3, seed: 1, 'epochs': 4}", "the key 'epochs' occurs twice"),
        (f"data.options={'[' * 5000}", "is not valid YAML: groups and lists in each other"),
    ],
)
def test_a_change_that_cannot_be_read_is_named(change, message):
    assert message in refused(change)


def test_a_recipe_is_read_by_name_or_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("\ufefftraining: {epochs: 7}\n", encoding="utf-8")
    assert load_config(path).training.epochs == 7
    assert load_config(str(path)).training.epochs == 7
    assert read_recipe("shapes-kmcl")["method"] == {"name": "kmcl"}
    assert "shapes-kmcl" in recipe_names()


def test_a_recipe_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"called 'shape-kmcl'; did you mean 'shapes-kmcl'\?"):
        load_config("shape-kmcl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"training: {epochs: 3", "not valid YAML"),
        (b"training: {epochs: 3}\ndata: {}\ntraining: {seed: 1}\n", "'training' occurs twice"),
        (b"training:\n  epochs: 3\n  epochs: 3\n", "the key 'epochs' occurs twice"),
        (b"description: " + b"[" * 5000, "more than 50 deep"),
        (b"- training\n- data\n", "must be a YAML mapping"),
        (b"", "must be a YAML mapping"),
        (b"\xff\xfe\x00", "not a UTF-8 text file"),
        (b"description: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"mine.yaml.*{message}"):
        load_config(path)


def test_a_repeated_key_is_named_with_its_line():
    message = refused("training={epochs: 3, epochs: 4}")
    assert "'epochs' occurs twice" in message
    assert "line 1, column 13" in message


def test_a_key_may_stand_in_two_groups_and_replace_a_merged_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "data: {options: {seed: 1}}\n"
        "training: &usual {epochs: 3, seed: 1}\n"
        "augmentation: {operations: 1}\n"
    )
    assert load_config(path).training.seed == 1
    path.write_text("data: {options: {seed: {a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}}}}\n")
    assert load_config(path).data.options["seed"]["b"] == {"x": 1, "y": 3}

import pytest
import yaml
from pydantic import ValidationError

from colabel.config import check_config, load_config, read_recipe, recipe_names
from colabel.errors import ConfigError


def refused(*changes):
    """Return the message about a recipe with these changes."""
    with pytest.raises(ConfigError) as caught:
        load_config("shapes-kmcl", changes)
    return str(caught.value)


def test_defaults_are_the_papers():
    config = check_config({})
    assert config.method.model_dump() | {"weights": None} == {
        "name": "kmcl", "covariance": "isotropic", "initialisation": "linear",
        "feature_length": 8, "weights": None, "temperature": 0.2, "effective_dim": None,
        "per_dimension": True, "reduction": "sum", "detach_focusing": True, "gamma_positive": 0,
        "gamma_negative": 4, "margin": 0.05,
    }  # fmt: skip
    assert config.method.weights.model_dump() == {
        "classification": 0.1, "contrastive": 0.3, "reconstruction": 1.0,
    }  # fmt: skip
    training = config.training
    assert (training.epochs, training.learning_rate, training.weight_decay) == (40, 2e-4, 1e-4)
    assert (training.warm_up, training.ema_decay) == (0.2, 0.9997)
    assert (config.augmentation.operations, config.augmentation.cutout) == (2, 0.5)


def test_changes_are_read_as_yaml_and_the_last_one_holds():
    config = load_config(
        "shapes-kmcl",
        [
            "training.epochs=3",
            "training.learning_rate=1e-3",
            "data.validation=null",
            "encoder.freeze_batch_norm=true",
            "encoder.options={drop_rate: 0.5}",
            "training.epochs=4",
        ],
    )
    assert config.training.epochs == 4
    assert config.training.learning_rate == 1e-3
    assert config.data.validation is None
    assert config.encoder.freeze_batch_norm is True
    assert config.encoder.options == {"drop_rate": 0.5}


def test_values_of_a_caller_come_after_the_changes():
    config = load_config("shapes-kmcl", ["data.source=a.csv"], data__source="b.csv")
    assert config.data.source == "b.csv"


def test_a_configuration_never_changes():
    config = check_config({})
    with pytest.raises(ValidationError, match="frozen"):
        config.training.epochs = 3


def test_yaml_of_a_configuration_gives_it_back():
    config = load_config(
        "voc2007-kmcl-tresnet-m",
        [
            "description='Zähne: yes, \"no\"'",
            "data.options={difficult: absent}",
            "method.margin=0",
        ],
    )
    text = config.to_yaml()
    assert check_config(yaml.safe_load(text)) == config
    assert "gamma_negative: 4" in text  # what the recipe leaves to the defaults is written too


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("trainin={}", "unknown key 'trainin'; did you mean 'training'?"),
        ("method.temprature=1", "unknown key 'method.temprature'; did you mean 'temperature'?"),
        ("method.weights.contrast=1", "did you mean 'contrastive'?"),
        ("data.zzz=1", "unknown key 'data.zzz'; expected one of: cache_mb, image_size,"),
        ("published={metric: mAP, value: 1, source: x, run: 'no', sorce: y}", "'source'?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(change, message):
    assert message in refused(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "training.epochs=0",
            "training.epochs: input should be greater than or equal to 1, got 0",
        ),
        ("training.epochs=many", "training.epochs: input should be a valid integer"),
        ("training.learning_rate=0", "greater than 0, got 0"),
        ("training.learning_rate=.inf", "training.learning_rate: input should be a finite number"),
        ("training.learning_rate=.nan", "training.learning_rate: input should be a finite number"),
        ("training.precision=fp8", "training.precision: input should be 'no', 'bf16' or 'fp16'"),
        ("training.seed=-1", "training.seed"),
        (f"training.seed={2**63}", "training.seed"),
        ("data.validation_fraction=1", "data.validation_fraction: input should be less than 1"),
        ("data.image_size=8", "data.image_size"),
        ("data.on_corrupt=ignore", "data.on_corrupt: input should be 'stop' or 'skip'"),
        ("augmentation.cutout=2", "augmentation.cutout"),
        ("evaluation.protocol=coco", "'noninterpolated', 'voc11' or 'interpolated'"),
        ("method.temperature=0", "method.temperature"),
        ("method.margin=1", "method.margin"),
        ("method.covariance=full", "method.covariance"),
        ("method.weights.contrastive=-1", "method.weights.contrastive"),
        ("training=", "training: input should be a valid dictionary"),
        ("data={1: 2}", "data.1: keys should be strings"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(change, message):
    assert message in refused(change)


def test_every_problem_is_told_at_once():
    message = refused("training.epoch=3", "training.batch_size=0", "data.sorce=x")
    assert len(message.splitlines()) == 4


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ("method.name=kmc", "got 'kmc'"),
        ("method={covariance: diagonal}", "got 'none'"),
        ("method={name: [kmcl]}", "got ['kmcl']"),
    ],
)
def test_an_unknown_method_is_named(change, got):
    assert refused(change).endswith(f"method.name must be one of kmcl, probmcl, asl, bce, {got}")


@pytest.mark.parametrize("covariance", ["diagonal", "shared_diagonal"])
def test_a_message_about_a_whole_group_does_not_print_it(covariance):
    message = refused(f"method={{name: kmcl, covariance: {covariance}, effective_dim: 3}}")
    assert message.endswith(
        f"method: effective_dim is for isotropic kernels; covariance is {covariance}"
    )
    missing = refused("published={metric: mAP}")
    assert "published.value: field required" in missing
    assert "{" not in missing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epochs", "expected key.path=value, got 'training.epochs'"),
        ("=3", "expected key.path=value, got '=3'"),
        ("training.epochs.more=3", "training.epochs.more: training.epochs is a value, not a gro"),
        ("training.epochs=[", "the value of 'training.epochs=[' is not valid YAML"),
        ("description=!!python/name:os.system", "is not valid YAML"),
        ("training={epochs: 3, seed: 1, 'epochs': 4}", "the key 'epochs' occurs twice"),
        (f"data.options={'[' * 5000}", "is not valid YAML: maximum recursion depth"),
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
        (b"description: " + b"[" * 5000, "maximum recursion depth"),
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


def test_the_gradient_is_clipped_by_the_name_the_message_gives():
    assert load_config("shapes-kmcl", ["training.clip_gradient=0.5"]).training.clip_gradient == 0.5
    assert check_config({}).training.clip_gradient is None
    assert "unknown key 'training.clip'" in refused("training.clip=0.5")
    assert "greater than 0" in refused("training.clip_gradient=0")


def test_what_a_group_in_two_splits_does_is_stop_or_allow():
    assert check_config({}).data.shared_groups == "stop"
    assert "'stop' or 'allow'" in refused("data.shared_groups=skip")

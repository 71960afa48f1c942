"""A wrong setting is named with its key as a recipe has it, and with what may stand there."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from colabel.config import load_config
from colabel.errors import ConfigError
from colabel.settings import Settings, explain_problems


class Round(Settings):
    name: Literal["round"] = "round"
    radius: float = Field(1, gt=0)
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2)


class Square(Settings):
    name: Literal["square"] = "square"
    inner: Annotated["Round | Square", Field(discriminator="name")] = Round()


Shape = Annotated[Round | Square, Field(discriminator="name")]


class Owner(Settings):
    first: str
    shape: Shape = Round()
    shapes: dict[str, Shape] = Field(default_factory=dict)
    spare: Round | None = None
    numbers: dict[str, int] = Field(default_factory=dict)


def lines(**values):
    with pytest.raises(ValidationError) as caught:
        Owner.model_validate({"first": "a"} | values)
    return explain_problems(caught.value, Owner)


def line(**values):
    (only,) = lines(**values)
    return only


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shap": 1}, "unknown key 'shap'; did you mean 'shape'?"),
        ({"zzz": 1}, "unknown key 'zzz'; expected one of: first, numbers, shape, shapes, spare"),
        (
            {"shape": {"name": "round", "radios": 1}},
            "unknown key 'shape.radios'; did you mean 'radius'?",
        ),
        (
            {"shapes": {"a": {"name": "round", "radios": 1}}},
            "unknown key 'shapes.a.radios'; did you mean 'radius'?",
        ),
        ({"spare": {"radios": 1}}, "unknown key 'spare.radios'; did you mean 'radius'?"),
        (
            {"shape": {"name": "square", "inner": {"name": "square", "iner": 1}}},
            "unknown key 'shape.inner.iner'; did you mean 'inner'?",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_of_its_group(values, message):
    assert line(**values) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shape": {"name": "oval"}}, "shape.name must be one of round, square, got 'oval'"),
        ({"shape": {"radius": 2}}, "shape.name must be one of round, square, got 'none'"),
        ({"shapes": {"a": {"name": 3}}}, "shapes.a.name must be one of round, square, got 3"),
        (
            {"shape": {"name": "square", "inner": {"name": "oval"}}},
            "shape.inner.name must be one of round, square, got 'oval'",
        ),
        ({"spare": {"name": "square"}}, "spare.name: input should be 'round', got 'square'"),
    ],
)
def test_a_word_that_names_no_group_is_told_the_choices(values, message):
    assert line(**values) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first": 3}, "first: input should be a valid string, got 3"),
        (
            {"shape": {"name": "round", "radius": 0}},
            "shape.radius: input should be greater than 0, got 0",
        ),
        ({"spare": {"radius": 0}}, "spare.radius: input should be greater than 0, got 0"),
        (
            {"shapes": {"a": {"name": "square", "inner": {"name": "round", "radius": -1}}}},
            "shapes.a.inner.radius: input should be greater than 0, got -1",
        ),
        (
            {"shape": {"name": "round", "sizes": (3, 0)}},
            "shape.sizes.1: input should be greater than or equal to 1, got 0",
        ),
        ({"numbers": {"b": "x"}}, "numbers.b: input should be a valid integer"),
        ({"numbers": 3}, "numbers: expected a group of keys with values, got 3"),
        ({"shape": 3}, "shape: expected a group of keys with values"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(values, message):
    assert line(**values).startswith(message)


def test_what_is_missing_is_named_without_the_group_it_is_missing_from():
    with pytest.raises(ValidationError) as caught:
        Owner.model_validate({})
    assert explain_problems(caught.value, Owner) == ["first: is missing"]


def test_every_problem_has_a_line():
    found = lines(shap=1, numbers={"a": "x"}, shape={"name": "oval"})
    assert [text.split(":")[0].split(" ")[0] for text in found] == [
        "shape.name", "numbers.a", "unknown",
    ]  # fmt: skip


# --- the keys of recipes

LOSSES = (
    "asymmetric, binary_cross_entropy, deep_supervision, focal, kernel_contrastive, "
    "mixture_contrastive, mixture_likelihood, reconstruction, similarity_dissimilarity, "
    "supervised_contrastive, two_way, zlpr"
)
METHODS = (
    "asl, bce, csra, focal, kmcl, ml_decoder, ml_gcn, mulsupcon, probmcl, query2label, tdrg, "
    "two_way, zlpr"
)
POOLINGS = (
    "average, class_attention, csra, encoder, generalised_mean, max, ml_decoder, query2label"
)
HEADS = "csra, features, kernel_mixture, linear, mixture_density, ml_gcn, tdrg"


def refused(*changes, recipe="shapes-kmcl"):
    """Return the message about a recipe with these changes."""
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, changes)
    return str(caught.value).removeprefix("the recipe cannot be used:\n  ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("trainin={}", "unknown key 'trainin'; did you mean 'training'?"),
        ("method.weights={}", "unknown key 'method.weights'; expected one of: name"),
        ("head.covarince=1", "unknown key 'head.covarince'; did you mean 'covariance'?"),
        ("head.pooling.nam=x", "unknown key 'head.pooling.nam'; did you mean 'name'?"),
        (
            "terms.contrastive.temprature=1",
            "unknown key 'terms.contrastive.temprature'; did you mean 'temperature'?",
        ),
        (
            "terms.classification={loss: binary_cross_entropy, margin: 0}",
            "unknown key 'terms.classification.margin'; expected one of: label_smoothing, loss, "
            "reduction, weight",
        ),
        (
            "data.zzz=1",
            "unknown key 'data.zzz'; expected one of: alpha, bands, cache_mb, division_seed, "
            "fraction, image_size, max_pixels, on_corrupt, options, scale, "
            "shared_groups, source, test, train, train_options, validation, validation_fraction, "
            "verify",
        ),
        (
            "published={metric: mAP, value: 1, source: x, run: 'no', sorce: y}",
            "unknown key 'published.sorce'; did you mean 'source'?",
        ),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest(change, message):
    assert refused(change) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("terms.contrast.weight=1", "did you mean 'contrastive'?"),
        ("terms.zzz=null", "expected one of: classification, contrastive, reconstruction"),
    ],
)
def test_a_term_that_the_method_does_not_have_needs_a_loss(change, message):
    name = change[: change.index("=")].removesuffix(".weight")
    assert refused(change) == (
        f"{name}: the method has no such term, and one of your own needs a loss; {message}"
    )


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
        ("training.warm_start.epochs=-1", "training.warm_start.epochs: input should be gr"),
        ("data.validation_fraction=1", "data.validation_fraction: input should be less than 1"),
        ("data.image_size=8", "data.image_size"),
        ("data.on_corrupt=ignore", "data.on_corrupt: input should be 'stop' or 'skip'"),
        ("augmentation.cutout=2", "augmentation.cutout"),
        ("evaluation.protocol=coco", "'noninterpolated', 'voc11' or 'interpolated'"),
        ("terms.contrastive.temperature=0", "terms.contrastive.temperature: input should be gr"),
        ("terms.classification.margin=1", "terms.classification.margin: input should be less th"),
        ("head.covariance=full", "head.covariance: input should be 'isotropic', 'diagonal',"),
        ("terms.contrastive.weight=-1", "terms.contrastive.weight: input should be greater than"),
        ("training=", "training: expected a group of keys with values"),
        ("terms=3", "terms: expected a group of keys with values, got 3"),
        ("terms.contrastive=3", "terms.contrastive: expected a group of keys with values"),
        ("method=3", "method: expected a group of keys with values"),
        ("data={1: 2}", "data.1: keys should be strings"),
    ],
)
def test_a_wrong_setting_is_named_with_its_key(change, message):
    assert message in refused(change)


def test_every_problem_of_a_recipe_is_told_at_once():
    message = refused("training.epoch=3", "training.batch_size=0", "data.sorce=x")
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ("method.name=kmc", "got 'kmc'"),
        ("method=kmc", "got 'kmc'"),
        ("method={covariance: diagonal}", "got 'none'"),
        ("method={name: [kmcl]}", "got ['kmcl']"),
    ],
)
def test_an_unknown_method_is_named(change, got):
    assert refused(change) == f"method.name must be one of {METHODS}, {got}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("head.name=kernel", f"head.name must be one of {HEADS}, got 'kernel'"),
        (
            "head.pooling.name=x",
            f"head.pooling.name must be one of {POOLINGS}, got 'x'",
        ),
        (
            "terms.contrastive.loss=kernel",
            f"terms.contrastive.loss must be one of {LOSSES}, got 'kernel'",
        ),
        ("terms.mine={loss: mine}", f"terms.mine.loss must be one of {LOSSES}, got 'mine'"),
    ],
)
def test_an_unknown_word_is_told_the_choices(change, message):
    assert refused(change) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("head.hidden=[4,0]", "head.hidden.1: input should be greater than or equal to 1, got 0"),
        ("head.projection=0", "head.projection: input should be greater than or equal to 1"),
        ("head.feature_length=0", "head.feature_length: input should be greater than 0"),
        ("terms.contrastive.threshold=1.5", "terms.contrastive.threshold: input should be less"),
        ("terms.contrastive.threshold=-0.5", "terms.contrastive.threshold: input should be gr"),
        ("terms.contrastive.overlap=dice", "terms.contrastive.overlap: input should be 'jaccard'"),
        ("terms.contrastive.similarity=gaussian", "terms.contrastive.similarity: input should be"),
        ("terms.contrastive.effective_dim=0", "terms.contrastive.effective_dim: input should be"),
        ("terms.likelihood.weight=-1", "terms.likelihood.weight: input should be greater than or"),
        ("method.classification.epochs=0", "method.classification.epochs: input should be great"),
        ("method.classification.learning_rate=0", "method.classification.learning_rate: input"),
        ("method.classification.epoch=3", "unknown key 'method.classification.epoch'; did you"),
        (
            "method.classification.head.feature_length=0",
            "method.classification.head.feature_length: input should be greater than 0, got 0",
        ),
        (
            "method.classification.head.name=x",
            f"method.classification.head.name must be one of {HEADS}, got 'x'",
        ),
        (
            "method.classification.terms.classification.loss=x",
            f"method.classification.terms.classification.loss must be one of {LOSSES}, got 'x'",
        ),
        (
            "method.classification.terms.classification.margn=x",
            "unknown key 'method.classification.terms.classification.margn'; did you mean 'margi",
        ),
    ],
)
def test_settings_of_both_stages_are_named_with_their_keys(change, message):
    assert refused(change, recipe="shapes-probmcl").startswith(message)


def test_a_message_about_a_whole_group_does_not_print_it():
    message = refused("published={metric: mAP}")
    assert "published.value: is missing" in message
    assert "{" not in message


def test_a_million_wrong_values_make_a_short_message():
    (tail,) = lines(shape={"name": "round", "sizes": [0] * 1000})[-1:]
    assert tail == "and 980 more"
    assert len(line(spare="x" * 10**6)) < 400
    assert len(line(first=list(range(10**6)))) < 400

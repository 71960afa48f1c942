import pytest
import torch
import yaml
from tiny_runs import command

from colabel.build.source import READERS
from colabel.build.stages import build_model, build_stages
from colabel.config import check_config, load_config, read_recipe, recipe_names
from colabel.models import list_encoders
from colabel.settings import EncoderSettings

RECIPES = recipe_names()
OWN = {
    "description": True, "method": True, "head": True, "terms": True,
    "training": {"head_learning_rate": True},
}  # fmt: skip
"""What a recipe may have beside its neighbour's: validation chose the rate of its head, too."""
AT_ONCE = [
    "training.warm_start={}", "head.feature_length=null", "augmentation.operations=1",
    "terms.classification.label_smoothing=0",
]  # fmt: skip
"""Changes of cross-entropy's recipe, in which the classifier learns first, for other heads."""
SIDE = 64  # of the images of one step: four positions of the small encoder, for heads that choose


@pytest.fixture(params=RECIPES)
def recipe(request):
    return request.param, load_config(request.param)


def test_the_published_rows_and_the_laptop_ones_are_there():
    for data in ("voc2007", "coco2014", "adp", "chestxray14"):
        for method in ("kmcl", "asl"):
            for size in "ml":
                assert f"{data}-{method}-tresnet-{size}" in RECIPES
    for name in ("coco2014-probmcl-tresnet-m", "coco2014-probmcl-tresnet-l"):
        assert name in RECIPES
    assert "adp-probmcl-tresnet-l" in RECIPES
    for place in ("shapes", "laptop"):
        assert {f"{place}-{method}" for method in ("kmcl", "probmcl", "asl", "bce")} <= set(
            RECIPES
        )
    for method in ("focal", "zlpr", "two-way", "mulsupcon"):
        assert f"laptop-{method}" in RECIPES
    for place in ("laptop", "coco2014", "voc2007"):
        assert {f"{place}-ml-gcn", f"{place}-tdrg"} <= set(RECIPES)


@pytest.mark.parametrize("method", ["ml-gcn", "tdrg"])
def test_the_graph_methods_differ_from_cross_entropy_in_method_and_rate_of_the_head_alone(method):
    graph, plain = load_config(f"laptop-{method}"), load_config("laptop-bce", AT_ONCE)
    assert graph.model_dump(exclude=OWN) == plain.model_dump(exclude=OWN)
    assert graph.terms["classification"] == plain.terms["classification"]
    for name, value in (("coco2014", 83.0), ("voc2007", 94.0)):
        expected = value if method == "ml-gcn" else {83.0: 84.6, 94.0: 95.0}[value]
        config = load_config(f"{name}-{method}")
        assert config.published.value == expected
        assert (config.encoder.name, config.data.image_size) == ("resnet101", 448)


@pytest.mark.parametrize(
    ("name", "value", "threshold"),
    [
        ("coco2014-probmcl-tresnet-m", 82.8, 0.6),
        ("coco2014-probmcl-tresnet-l", 89.1, 0.6),
        ("adp-probmcl-tresnet-l", 96.9, 0.5),
        ("coco2014-probmcl-paper-literal", 89.1, 0.6),
    ],
)
def test_probmcls_recipes_are_the_papers(name, value, threshold):
    config = load_config(name)
    contrastive, training = config.terms["contrastive"], config.training
    assert config.published.value == value
    assert (contrastive.temperature, contrastive.weight) == (0.2, 0.3)
    assert (contrastive.threshold, contrastive.overlap) == (threshold, "jaccard")
    assert (training.epochs, config.method.classification.epochs) == (80, 40)
    assert (training.batch_size, training.learning_rate) == (128, 1e-4)


def test_every_recipe_is_a_valid_configuration(recipe):
    name, config = recipe
    assert config.description.strip().endswith(".")
    method = config.method.name.replace("_", "-")
    assert f"-{method}-" in f"-{name}-" or name == "auto"
    assert check_config(yaml.safe_load(config.to_yaml())) == config


def test_every_recipe_states_the_learning_rate_of_its_head(recipe):
    name, config = recipe
    assert "head_learning_rate" in read_recipe(name)["training"]
    assert config.stages()[0].head_learning_rate > 0


def test_a_published_number_has_a_source(recipe):
    name, config = recipe
    reader = config.data.source.partition(":")[0]
    if reader in READERS and config.method.name in (
        "kmcl", "probmcl", "ml_gcn", "tdrg",
    ):  # fmt: skip
        assert config.published is not None, f"{name} is for {reader}: which number is expected?"
    if config.published is not None:
        assert config.published.source.strip()
        assert 0 < config.published.value <= 100
        assert config.published.metric in ("mAP", "mAUC")
        assert reader == name.split("-")[0]


def test_a_recipe_names_an_encoder_that_exists(recipe):
    _, config = recipe
    assert config.encoder.name.split(".")[0] in list_encoders(config.encoder.name.split(".")[0])


def test_a_recipe_takes_a_step_on_a_small_encoder(recipe):
    _, config = recipe
    torch.manual_seed(0)
    small = {"encoder": EncoderSettings(name="test_efficientnet")}
    size = 96 if config.method.name == "tdrg" else SIDE  # it needs a map of 3 x 3
    small["data"] = config.data.model_copy(update={"image_size": size})
    config = config.model_copy(update=small)
    model = build_model(config, 4)
    stages = build_stages(model, config)
    first = stages[bool(config.training.warm_start.epochs)]
    assert first.epochs == config.training.epochs
    assert first.learning_rate == config.training.learning_rate
    assert stages[-1].model is model
    for stage in stages:
        _take_a_step(stage, size)


def _take_a_step(stage, size):
    images = torch.randint(0, 256, (6, 3, size, size), dtype=torch.uint8)
    output = stage.model(images)
    targets = torch.randint(-1, 2, (6, 4), dtype=torch.int8)
    loss = sum(term.weight * term(output, targets) for term in stage.objective.terms)
    loss.backward()
    gradients = [
        parameter.grad for parameter in stage.model.parameters() if parameter.grad is not None
    ]
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", [name for name in RECIPES if "-asl-tresnet" in name])
def test_a_baseline_differs_from_kmcl_in_its_method_alone(name):
    baseline, ours = load_config(name), load_config(name.replace("-asl-", "-kmcl-"))
    own = {"description", "published", "method", "head", "terms"}
    assert baseline.model_dump(exclude=own) == ours.model_dump(exclude=own)
    losses = (config.terms["classification"] for config in (baseline, ours))
    first, second = (loss.model_dump(exclude={"weight"}) for loss in losses)
    assert first == second


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("laptop-focal", "laptop-asl"),
        ("laptop-zlpr", "laptop-asl"),
        ("laptop-two-way", "laptop-asl"),
        ("laptop-mulsupcon", "laptop-probmcl"),
    ],
)
def test_a_rival_differs_from_its_neighbour_in_its_method_and_the_rate_of_its_head_alone(
    name, like
):
    rival, neighbour = load_config(name), load_config(like)
    assert rival.model_dump(exclude=OWN) == neighbour.model_dump(exclude=OWN)
    if name == "laptop-mulsupcon":
        assert rival.method.classification == neighbour.method.classification
    else:
        assert rival.head == neighbour.head


def test_the_literal_recipe_of_probmcl_differs_in_its_equations_and_starts_alone():
    literal = load_config("coco2014-probmcl-paper-literal")
    usual = load_config("coco2014-probmcl-tresnet-l")
    own = {"description", "published", "head", "terms", "method"}
    assert literal.model_dump(exclude=own) == usual.model_dump(exclude=own)
    assert not literal.terms["likelihood"].per_dimension
    assert literal.head.initialisation == "paper"
    loss = literal.method.classification.terms["classification"]
    assert (loss.reduction, loss.detach_focusing) == ("mean", False)


WORDS = (
    "no",
    "off",
    "null",
    "~",
    "1e-5",
    "1.0",
    "0x10",
    "1_000",
    "2024-01-01",
    "#",
    "",
    "a: b",
    "é",
)


def test_a_printed_recipe_is_read_back_whatever_its_words_are(tmp_path, capsysbinary):
    options = [f"data.options.name{number}={word}" for number, word in enumerate(WORDS)]
    changes = [
        *options, "training.precision=no", "training.learning_rate=1e-05", "description='no'",
        "training.head_learning_rate=3e-07", "data.bands=[3, 2, 1]", "terms.contrastive=null",
        "training.warm_start={epochs: 2, learning_rate: 1e-3}", f"training.seed={2**63 - 1}",
    ]  # fmt: skip
    config = load_config("coco2014-kmcl-tresnet-m", changes)
    assert tuple(config.data.options.values()) == WORDS
    path = tmp_path / "mine.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path) == config
    arguments = [word for change in changes for word in ("--set", change)]
    assert not command("train", "coco2014-kmcl-tresnet-m", *arguments, "--print")
    path.write_bytes(capsysbinary.readouterr().out)
    assert load_config(path).training == config.training


def test_a_recipe_that_is_printed_by_name_is_read_back(recipe, tmp_path, capsysbinary):
    name, config = recipe
    assert not command("recipes", name)
    path = tmp_path / "mine.yaml"
    path.write_bytes(capsysbinary.readouterr().out)
    assert load_config(path) == config


@pytest.mark.parametrize(("word", "run"), [("no", "no"), ("yes", "yes"), ("'no'", "no")])
def test_whether_a_recipe_was_run_may_be_written_without_quotes(tmp_path, word, run):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"method: kmcl\npublished: {{metric: mAP, value: 1, source: a table, run: {word}}}\n"
    )
    assert load_config(path).published.run == run

import pytest
import torch
import yaml

from colabel.build import READERS, build_classifier, build_stages
from colabel.config import EncoderSettings, check_config, load_config, recipe_names
from colabel.models import list_encoders

RECIPES = recipe_names()


@pytest.fixture(params=RECIPES)
def recipe(request):
    return request.param, load_config(request.param)


def test_the_published_rows_and_the_laptop_ones_are_there():
    for data in ("voc2007", "coco2014", "adp", "chestxray14"):
        for method in ("kmcl", "asl"):
            for size in "ml":
                assert f"{data}-{method}-tresnet-{size}" in RECIPES
    assert {"shapes-kmcl", "shapes-asl"} <= set(RECIPES)


def test_every_recipe_is_a_valid_configuration(recipe):
    name, config = recipe
    assert config.description.strip().endswith(".")
    assert config.method.name in name.split("-")
    assert check_config(yaml.safe_load(config.to_yaml())) == config


def test_a_published_number_has_a_source(recipe):
    name, config = recipe
    reader = config.data.source.partition(":")[0]
    if reader in READERS and config.method.name == "kmcl":
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
    model = build_classifier(
        config.method, EncoderSettings(name="test_efficientnet"), 4, image_size=32
    )
    (stage,) = build_stages(model, config)
    assert (stage.epochs, stage.learning_rate) == (
        config.training.epochs,
        config.training.learning_rate,
    )
    output = model(torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8))
    targets = torch.randint(-1, 2, (6, 4), dtype=torch.int8)
    loss = sum(
        stage.objective.weights[name] * term(output, targets)
        for name, term in stage.objective.terms.items()
    )
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert torch.isfinite(loss)
    assert all(one is None or torch.isfinite(one).all() for one in gradients)
    assert any(one is not None and one.any() for one in gradients)


@pytest.mark.parametrize("name", [name for name in RECIPES if "-asl-tresnet" in name])
def test_a_baseline_differs_from_kmcl_in_its_method_alone(name):
    baseline, ours = (
        load_config(one).model_dump(exclude={"description", "published", "method"})
        for one in (name, name.replace("-asl-", "-kmcl-"))
    )
    assert baseline == ours

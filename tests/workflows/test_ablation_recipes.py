"""The ablations that come along, and the recipes that an ablation is made of."""

import json
from pathlib import Path

import pytest
from ablation_runs import Lines, never, read, start, write_ablation
from drawn_figures import assert_picture
from tiny_runs import RECIPE, command

from colabel.config import load_config
from colabel.errors import ConfigError, RunError
from colabel.metrics import evaluate_scores
from colabel.workflows.ablation import ablation_names, load_ablation, plan_ablation
from colabel.workflows.ablation.file import METRICS, configure
from colabel.workflows.ablation.run import ablate
from colabel.workflows.grid import training as grid_training


@pytest.mark.parametrize("name", ablation_names())
def test_the_ablations_that_come_along_fit_their_recipe(name):
    one = load_ablation(name)
    assert one.description.endswith(".")
    assert one.seeds == (0, 1, 2)
    assert one.published is not None
    assert (len(one.values) == 1) == (name == "kmcl-losses")  # which a figure is drawn of
    assert sum(one.is_chosen(value) for value in one.values) == (
        name not in ("kmcl-data-fraction", "kmcl-losses")
    )
    for recipe in one.recipes:
        configured = configure(one, recipe, ())
        assert len(configured) == len(one.values)
        for value, config in configured:
            assert config.method.name == ("asl" if recipe in one.against else name.split("-")[0])
            assert value in one.values


def test_only_what_the_papers_text_says_is_published():
    scores = {name: load_ablation(name).published.scores for name in ablation_names()}
    assert {name: given for name, given in scores.items() if given} == {
        "probmcl-overlap": {"jaccard": 89.1, "cosine": 88.9},
        "kmcl-similarity": {
            "diagonal": 95.4, "isotropic": 95.2, "shared_diagonal": 95.1, "shared_isotropic": 95.0,
        },
    }  # fmt: skip
    assert {
        "asl-reduction",
        "kmcl-batch-size",
        "kmcl-data-fraction",
        "kmcl-losses",
        "kmcl-reduction",
        "kmcl-similarity",
        "probmcl-temperature",
        "probmcl-threshold",
        "probmcl-weight",
        "probmcl-overlap",
        "probmcl-likelihood",
    } == set(ablation_names())


def test_the_metrics_are_the_numbers_of_a_report():
    report = evaluate_scores([[0.9], [0.1]], [[1], [0]]).to_dict()
    assert {name for name, value in report.items() if isinstance(value, float)} == set(METRICS)


def test_a_recipe_is_looked_for_beside_its_ablation(home, monkeypatch, tmp_path):
    write_ablation(home)
    assert Path(load_ablation(home / "mine.yaml").recipe) == home / "tiny.yaml"
    write_ablation(home, recipe="shapes-kmcl")
    assert load_ablation(home / "mine.yaml").recipe == "shapes-kmcl"


def test_another_recipe_takes_the_place_of_the_ablations(home, monkeypatch):
    write_ablation(home)
    tried = []

    class Seen(Exception):
        pass

    def remember(config, **_):
        tried.append(config)
        raise Seen

    monkeypatch.setattr(grid_training, "train", remember)
    with pytest.raises(Seen):
        start(
            home, recipe="laptop-kmcl", changes=("encoder.weights=null", "encoder.freeze_stages=0")
        )
    assert tried[0].encoder == load_config("laptop-kmcl").encoder.model_copy(
        update={"weights": None, "freeze_stages": 0}
    )
    assert tried[0].terms["contrastive"].temperature == 0.2


def test_ablations_are_listed_without_a_name(capsys):
    assert command("ablate") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ablation_names())
    assert "colabel ablate NAME" in printed
    assert command("recipes") == 0
    assert "probmcl-overlap" not in capsys.readouterr().out


def test_the_default_folder_is_named_after_the_ablation(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    with pytest.raises(AssertionError):
        ablate("mine.yaml", data="labels.csv", cpu=True)
    monkeypatch.setattr(
        grid_training,
        "train",
        lambda _, **options: (_ for _ in ()).throw(RunError(options["out"])),
    )
    with pytest.raises(RunError, match=r"^ablations/mine/0\.2-0$"):
        ablate("mine.yaml", data="labels.csv", cpu=True)


def test_two_recipes_are_tried_over_the_same_values(home):
    (home / "baseline.yaml").write_text(RECIPE.replace("kmcl", "asl"))
    write_ablation(
        home, key="data.fraction", values=[0.5, 1], seeds=[0], against=["baseline.yaml"],
        settings={"training.batch_size": 5, "training.epochs": 3},
        published={"source": "nowhere", "chosen": 1, "scores": {1: 90}},
    )  # fmt: skip
    display = Lines()
    ablated = start(home, changes=["training.epochs=1"], display=display)
    assert display.progress() == [
        "1 of 4: tiny, fraction 0.5, seed 0",
        "2 of 4: baseline, fraction 0.5, seed 0",
        "3 of 4: tiny, fraction 1, seed 0",
        "4 of 4: baseline, fraction 1, seed 0",
    ]
    seen = {}
    for name, method in (("0.5-0", "kmcl"), ("1-0", "kmcl"), ("baseline-0.5-0", "asl")):
        config = load_config(home / "out" / name / "config.yaml")
        assert (config.method.name, config.training.batch_size) == (method, 5)
        assert config.training.epochs == 1
        facts = json.loads((home / "out" / name / "data.json").read_text())
        seen[name] = facts["train"]
    assert seen["0.5-0"] == seen["baseline-0.5-0"]
    assert seen["0.5-0"]["images"] == -(-seen["1-0"]["images"] // 2)
    assert [(one.recipe, one.point.value, one.published) for one in ablated.tried] == [
        ("tiny", 0.5, None), ("tiny", 1.0, 90), ("baseline", 0.5, None), ("baseline", 1.0, None),
    ]  # fmt: skip
    assert [one.chosen for one in ablated.tried] == [False, True, False, False]
    assert [one["recipe"] for one in read(home)["results"]] == ["tiny"] * 2 + ["baseline"] * 2
    assert_picture(home / "out" / "ablation.png")


def test_another_recipe_takes_its_rivals_away_unless_they_are_named():
    alone = plan_ablation("kmcl-data-fraction", recipe="laptop-kmcl")
    assert alone.ablation.recipes == ("laptop-kmcl",)
    both = plan_ablation("kmcl-data-fraction", recipe="laptop-kmcl", against=["laptop-asl"])
    assert both.ablation.recipes == ("laptop-kmcl", "laptop-asl")
    assert len(both.planned) == 2 * len(alone.planned)
    assert len({one.folder for one in both.planned}) == len(both.planned)
    with pytest.raises(ConfigError, match="needs a name of its own"):
        plan_ablation("kmcl-data-fraction", against=["shapes-kmcl"])

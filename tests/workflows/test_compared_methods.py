"""What is compared: which runs are one method, how methods are tuned, and their settings."""

import json
from pathlib import Path

import pytest
from compared_methods import CHANGES, plan, write_home
from tiny_runs import command

from colabel.config import load_config
from colabel.errors import ConfigError, DataError, RunError
from colabel.runs.folder import RunFolder
from colabel.workflows.comparison import configure_methods, recipe_of
from colabel.workflows.comparison import run as comparison_run
from colabel.workflows.comparison.entries import (
    Entry,
    differing_settings,
    group_by_recipe,
    make_entries,
)
from colabel.workflows.comparison.methods import check_split
from colabel.workflows.comparison.run import Trial


def entries(*recipes):
    given = [
        load_config("shapes-kmcl", [f"training.seed={seed}", *changes])
        for seed, changes in recipes
    ]
    folders = [Path(f"{chr(97 + place)}-{config.training.seed}")
               for place, config in enumerate(given)]  # fmt: skip
    return make_entries(folders, given)


def test_runs_that_differ_by_their_seed_alone_are_one_method():
    large = ["training.learning_rate=0.1"]
    given = entries((0, []), (1, ["training.workers=0"]), (0, large), (1, []))
    groups = group_by_recipe(given)
    # the last has the seed of the second, so it stands for itself
    assert [group.places for group in groups] == [(0, 1), (2,), (3,)]
    assert groups[0].seeds == (0, 1)
    assert [group.name for group in groups] == ["a-0 and 1 more", "c-0", "d-1"]
    assert list(differing_settings(groups)) == ["training.learning_rate"]
    assert differing_settings(groups)["training.learning_rate"]["c-0"] == 0.1


def test_seeds_of_one_method_alone_are_compared_with_each_other():
    groups = group_by_recipe(entries((0, []), (1, []), (2, [])))
    assert [group.places for group in groups] == [(0,), (1,), (2,)]


def test_the_common_name_of_seeds_is_that_of_the_method():
    config = [load_config("shapes-kmcl", [f"training.seed={seed}"]) for seed in (0, 12)]
    other = load_config("shapes-bce")
    named = [
        Entry(*one)
        for one in zip(("kmcl-0", "kmcl-12", "x"), (Path(),) * 3, (*config, other), strict=True)
    ]
    assert [group.name for group in group_by_recipe(named)] == ["kmcl", "x"]


def test_methods_are_recipes_of_the_laptop_by_default():
    assert recipe_of("kmcl") == "laptop-kmcl"
    assert recipe_of("laptop_kmcl") == "laptop-kmcl"
    assert recipe_of("coco2014_kmcl_tresnet_m") == "coco2014-kmcl-tresnet-m"


def test_every_method_is_tuned_with_as_many_trials(tmp_path, capsys):
    home = write_home(tmp_path)
    methods = ",".join(str(home / f"tiny_{name}.yaml") for name in ("kmcl", "bce"))
    changes = [part for change in CHANGES for part in ("--set", change)]
    asked = (
        "compare", "--methods", methods, "--data", home / "labels.csv", *changes, "--tune", 2,
        "--seeds", 1, "--out", home / "out", "--draws", 50, "--cpu",
    )  # fmt: skip
    assert command(*asked) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "every method had 2 trials of its own settings on validation first" in shown
    found = (home / "out" / "compare.json").read_bytes()
    tuning = json.loads(found)["tuning"]
    assert tuning["trials"] == 2
    for name, keys in (
        ("tiny_bce", {"training.learning_rate", "training.head_learning_rate"}),
        ("tiny_kmcl", {"terms.contrastive.weight", "terms.classification.weight"}),
    ):
        assert keys <= set(tuning["settings"][name])
        swept = json.loads((home / "out" / "tuning" / name / "sweep.json").read_text())
        assert len(swept["trials"]) == 2
        config = RunFolder(home / "out" / f"{name}-1").config()  # the trials had the seed 0
        chosen = tuning["settings"][name]["training.learning_rate"]
        assert config.training.learning_rate == chosen
    assert command(*asked) == 0  # what has ended is not run again
    assert (home / "out" / "compare.json").read_bytes() == found


def test_settings_of_all_methods(tmp_path):
    home = write_home(tmp_path)
    weights = ("encoder.weights=pretrained",)
    planned = plan(home, changes=weights, encoder="test_vit", epochs=7, frozen=True)
    configs = {planned_.value: planned_.config for planned_ in planned}
    for config in configs.values():
        assert config.encoder.name == "test_vit"
        assert config.training.epochs == 7
        assert config.training.freeze_encoder
        assert config.augmentation.operations == config.augmentation.cutout == 0
        assert config.data.division_seed == 0
        assert config.data.source == str(home / "labels.csv")
    assert [(one.value, one.seed) for one in planned] == [
        ("tiny_kmcl", 0), ("tiny_bce", 0), ("tiny_kmcl", 1), ("tiny_bce", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"changes": ("training.seed=3",)}, "sets training.seed itself; use --seeds"),
        ({"methods": ("tiny_kmcl", "tiny_kmcl")}, "there is a method tiny_kmcl in this"),
        ({"methods": ("tiny_kmcl",), "seeds": 1}, "needs two methods, or one with two seeds"),
        ({"changes": ("training.epoch=3",)}, r"the method .*tiny_kmcl\.yaml: (?s:.*)'epochs'"),
        ({"seeds": 10**6}, "expected at most"),
    ],
)
def test_what_cannot_be_trained_is_told_first(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        plan(write_home(tmp_path), **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("split", "there", "message"),
    [
        ("test", ("train", "val"), "has no split 'test' to compare on; expected one of: train, v"),
        (
            "tset",
            ("train", "test"),
            "has no split 'tset' to compare on; did you mean 'test'? Name",
        ),
        ("test", ("train", "test"), None),
        ("val", ("train",), None),
        ("test", (), None),  # divided here
        ("test=val", ("train", "val"), None),  # data.test
    ],
)
def test_a_split_that_is_not_there_is_told_before_anything_is_trained(
    tmp_path, monkeypatch, capsys, split, there, message
):
    home = write_home(tmp_path)
    table = home / "labels.csv"
    if there:
        head, *rows = table.read_text().splitlines()
        splits = [there[number % len(there)] for number in range(len(rows))]
        lines = [f"{row},{name}" for row, name in zip(rows, splits, strict=True)]
        table.write_text("\n".join([f"{head},split", *lines]))
    begun = []

    def compare_methods(planned, **_):
        begun.append(planned)
        return Trial(None, (), None)

    monkeypatch.setattr(comparison_run, "compare_methods", compare_methods)
    methods = ",".join(str(home / f"tiny_{name}.yaml") for name in ("kmcl", "bce"))
    split, _, name = split.partition("=")
    code = command(
        "compare", "--methods", methods, "--data", table, "--split", split, "--out", home / "out",
        "--set", f"data.test={name or 'test'}",
    )  # fmt: skip
    if message is None:
        assert (code, len(begun)) == (0, 1)
    else:
        assert (code, begun) == (2, [])
        assert message in " ".join(capsys.readouterr().err.split())


def test_the_images_are_only_looked_for_where_a_run_is_left_to_be_trained(tmp_path):
    home = write_home(tmp_path)
    planned = plan(home, seeds=1)
    configs = {one.value: one.config for one in planned}
    (home / "labels.csv").unlink()
    for one in planned:
        with pytest.raises(DataError):
            check_split(configs, "test", out=home / "out", seeds=1)
        one.folder.mkdir(parents=True)
        (one.folder / "result.json").write_text("{}")
    check_split(configs, "test", out=home / "out", seeds=1)


def test_a_folder_with_other_runs_is_kept(tmp_path):
    home = write_home(tmp_path)
    (home / "out" / "tiny_bce-0").mkdir(parents=True)
    (home / "out" / "tiny_bce-0" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"tiny_bce-0 is in the way: it is no run of this compari"):
        plan(home)


def test_a_frozen_encoder_is_no_choice_of_probmcl():
    with pytest.raises(ConfigError, match=r"the method probmcl trains its encoder in a stage of"):
        configure_methods(["bce", "probmcl"], frozen=True)


def test_an_encoder_that_stays_as_it_is_must_have_learned(tmp_path):
    with pytest.raises(ConfigError, match=r"the method .*it would stay as it is drawn"):
        plan(write_home(tmp_path), changes=(), frozen=True)

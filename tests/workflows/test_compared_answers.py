"""What a comparison makes of runs that are not what they seem."""

import shutil

import numpy as np
import pytest
from tiny_runs import RECIPE, change_predictions, command, write_tiny_table

from colabel.config import load_config
from colabel.errors import RunError
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.workflows.comparison.run import compare
from colabel.workflows.comparison.statistics import Pair


@pytest.fixture(scope="module")
def measured(tiny_run, tmp_path_factory):
    """A finished run with predictions for its test split."""
    home = tmp_path_factory.mktemp("measured")
    shutil.copytree(tiny_run, home / "one")
    assert command("evaluate", home / "one", "--cpu") == 0
    return home / "one"


@pytest.fixture
def two(measured, tmp_path):
    """Two copies of it."""
    for name in ("one", "two"):
        shutil.copytree(measured, tmp_path / name)
    return [tmp_path / name for name in ("one", "two")]


def ask(folders, **given):
    return compare(folders, out=folders[0].parent / "out", draws=60, cpu=True, **given).document


def logits_of(folder):
    return Predictions.load(RunFolder(folder).predictions_file("test")).logits


def test_far_logits_are_ranked_by_what_they_are(two):
    """Their probabilities are one and the same, and would all be ties."""
    change_predictions(two[1], logits=10 * logits_of(two[0]) + 60)
    document = ask(two)
    first, second = (run["intervals"]["mAP"] for run in document["runs"])
    assert first == second
    (pair,) = document["pairs"]
    assert (pair["difference"], pair["low"], pair["high"], pair["p"]) == (0, 0, 0, 1)


def test_other_weights_at_the_start_are_another_method(two):
    run = RunFolder(two[1])
    config = run.config()
    changed = config.training.model_copy(update={"seed": 12})
    run.write_config(config.model_copy(update={"training": changed}))
    assert [one["name"] for one in ask(two)["methods"]] == ["one", "two"]  # seeds of one method
    assert ask(two)["differing_settings"] == {}
    encoder = config.encoder.model_copy(update={"weights": "pretrained"})
    run.write_config(config.model_copy(update={"encoder": encoder}))
    document = ask([*two, two[0]])
    assert "encoder.weights" in document["differing_settings"]
    run.write_config(config.model_copy(update={"training": changed, "encoder": encoder}))
    assert len(ask(two)["methods"]) == 2


def test_a_run_that_was_interrupted_is_told(two):
    (two[1] / "result.json").unlink()
    notes = ask(two)["notes"]
    assert "two is not trained to its end; go on with colabel train --resume" in notes
    assert not any(note.startswith("one is not") for note in notes)


def test_the_same_run_three_times(two):
    document = ask([two[0]] * 3)
    assert "one (3) is given more than once" in document["notes"]
    assert [run["name"] for run in document["runs"]] == ["one", "one (2)", "one (3)"]


def test_what_is_no_number_is_named_with_its_run(two):
    logits = logits_of(two[1])
    logits[1, 0] = np.nan
    change_predictions(two[1], logits=logits)
    with pytest.raises(RunError, match=r"two: what the model says of test holds values that are"):
        ask(two)


def test_a_patient_counts_once_where_no_error_was_made(two):
    for folder in two:
        kept = Predictions.load(RunFolder(folder).predictions_file("test"))
        answers = 9.0 * (2 * (kept.targets == 1) - 1)
        groups = tuple(f"p{number % 3}" for number in range(len(kept.ids)))
        change_predictions(folder, logits=answers.astype(np.float32), groups=groups)
    kept = Predictions.load(RunFolder(two[0]).predictions_file("test"))
    present = kept.targets == 1
    trials = [len({kept.groups[row] for row in np.flatnonzero(column)}) for column in present.T]
    low = np.mean([trial / (trial + 1.959963984540054**2) for trial in trials if trial])
    interval = ask(two)["runs"][0]["intervals"]["mAP"]
    assert (interval["interval"], interval["high"]) == ("wilson", 1)
    assert interval["low"] == pytest.approx(low)


def test_classes_that_no_mean_includes_are_named(two):
    kept = Predictions.load(RunFolder(two[0]).predictions_file("test"))
    targets = kept.targets.copy()
    targets[:, 1] = 0
    for folder in two:
        change_predictions(folder, targets=targets)
    assert "mAP, CP, CR, CF1: mean over 2 of 3 classes; no positives: dog" in ask(two)["notes"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, False),
        ({"test": "val"}, True),
        ({"test": "train"}, True),
        ({"test": "fold3", "train": "fold3"}, True),
        ({"test": "fold3", "validation": "fold3"}, True),
        ({"test": "fold3", "validation": "fold2"}, False),
        ({"validation": None}, False),
    ],
)
def test_a_test_split_that_trained_or_chose_is_told_whatever_it_is_called(two, changes, told):
    for folder in two:
        run = RunFolder(folder)
        config = run.config()
        data = config.data.model_copy(update=changes)
        run.write_config(config.model_copy(update={"data": data}))
    about = [note for note in ask(two)["notes"] if "so its scores flatter" in note]
    assert bool(about) == told
    assert all("test, which is" in note and "(data.test)" in note for note in about)


def test_heads_and_losses_that_both_differ_are_told(two):
    told = "heads and losses both differ: which of the two a difference comes from is not told"
    run = RunFolder(two[1])
    recipe = run.path.parent / "other.yaml"
    recipe.write_text(RECIPE.replace("kmcl", "bce"))
    run.write_config(load_config(recipe))
    assert told in ask(two)["notes"]
    recipe.write_text(RECIPE.replace("{name: kmcl}", "{name: kmcl}\nterms: {contrastive: null}"))
    run.write_config(load_config(recipe))
    assert told not in ask(two)["notes"]


def test_a_comparison_of_other_runs_is_not_replaced(two, capsys):
    out = two[0].parent / "out"
    asked = ("compare", *two, "--out", out, "--draws", 20, "--cpu")
    assert command(*asked) == 0
    assert command(*asked) == 0  # the same ones again
    before = (out / "compare.json").read_bytes()
    shutil.copytree(two[0], two[0].parent / "three")
    capsys.readouterr()
    assert command("compare", two[0], two[0].parent / "three", *asked[3:]) == 2
    assert "compares other runs (one, two), which would be lost" in " ".join(
        capsys.readouterr().err.split()
    )
    assert (out / "compare.json").read_bytes() == before


def test_seeds_without_any_difference_disagree_with_none():
    given = dict.fromkeys(("first", "second", "difference", "interval", "p", "p_holm"))
    assert not Pair(**given, by_seed={0: 0.0, 1: 0.1}).seeds_disagree
    assert Pair(**given, by_seed={0: -0.1, 1: 0.1}).seeds_disagree


def test_what_hinders_the_runs_is_told_before_any_trial(tmp_path, capsys):
    table = write_tiny_table(tmp_path)
    names = [str(tmp_path / f"{method}.yaml") for method in ("asl", "bce")]
    for name, method in zip(names, ("asl", "bce"), strict=True):
        (tmp_path / name).write_text(RECIPE.replace("kmcl", method))
        load_config(name)
    asked = ("compare", "--methods", ",".join(names), "--data", table, "--tune", 2, "--cpu")
    out = tmp_path / "out"
    (out / "bce-1").mkdir(parents=True)
    (out / "bce-1" / "notes.txt").write_text("mine")
    assert command(*asked, "--out", out) == 2
    assert "bce-1 is in the way" in capsys.readouterr().err
    assert command(*asked, "--seeds", 10**6, "--out", tmp_path / "other") == 2
    assert "expected at most" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["bce-1"]
    assert not (tmp_path / "other").exists()

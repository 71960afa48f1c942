import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file
from stopping import Watcher, interrupt
from tiny_runs import write_recipe, write_tiny_table

import colabel
from colabel.build import batches
from colabel.config import load_config
from colabel.data.split import read_split_table
from colabel.errors import ConfigError, DataError, WeightsError
from colabel.models import build_encoder
from colabel.runs.predictions import Predictions
from colabel.training import collect_features
from colabel.workflows import train as workflow


class Stopping(Watcher):
    """A display that presses Ctrl-C at the end of the first epoch."""

    def show_epoch(self, _, record):
        if record["epoch"] == 1:
            interrupt()


@pytest.fixture
def home(tmp_path):
    """A recipe, a table with its images in another folder, and weights to begin with."""
    home = tmp_path / "home"
    write_tiny_table(home, images=20)
    write_recipe(home)
    (home / "elsewhere").mkdir()
    (home / "images").rename(home / "elsewhere" / "images")
    weights = build_encoder("test_efficientnet").backbone.state_dict()
    save_file({name: part.contiguous() for name, part in weights.items()}, home / "w.safetensors")
    return home


def train(home, out, *, paths=None, **options):
    paths = paths or home
    changes = [
        f"data.options.images={paths / 'elsewhere'}",
        f"encoder.weights={paths / 'w.safetensors'}",
    ]
    return colabel.train(
        home / "tiny.yaml", data=str(paths / "labels.csv"), changes=changes, out=out, cpu=True,
        **options,
    )  # fmt: skip


def test_a_run_goes_on_to_the_same_bytes_where_data_and_weights_have_moved(home, tmp_path):
    whole = train(home, tmp_path / "whole").folder
    stopped = train(home, tmp_path / "stopped", display=Stopping())
    assert stopped.report is None
    moved = tmp_path / "moved"
    moved.mkdir()
    (home / "elsewhere").rename(moved / "elsewhere")
    (home / "labels.csv").rename(moved / "labels.csv")
    (home / "w.safetensors").unlink()  # the saved state has the weights
    assert train(home, stopped.folder, paths=moved, resume=True).report is not None
    for name in ("model.safetensors", "predictions-val.npz"):
        assert (stopped.folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_without_a_state_needs_its_weights_again(home, tmp_path):
    out = train(home, tmp_path / "run", display=Stopping()).folder
    shutil.rmtree(out / "last")
    (out / "model.safetensors").unlink()
    (home / "w.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no file of weights at .*w\.safe"):
        train(home, out, resume=True)


def test_other_images_are_refused_wherever_they_are(home, tmp_path):
    out = train(home, tmp_path / "run", display=Stopping()).folder
    lines = (home / "labels.csv").read_text().splitlines()
    (home / "labels.csv").write_text("\n".join([lines[0], *lines[1:-1]]))
    with pytest.raises(DataError):
        train(home, out, resume=True)


def test_changes_of_a_configuration_count(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(home / "tiny.yaml", [f"data.options.images={home / 'elsewhere'}"])
    for name, folder in ((None, "run-1"), ("mine", "mine-1")):
        trained = colabel.train(
            config,
            data=str(home / "labels.csv"),
            changes=["training.epochs=1", "terms.contrastive.temperature=0.25"],
            name=name,
            cpu=True,
        )
        assert trained.folder.name == folder
        assert [epoch["epoch"] for epoch in trained.history.epochs] == [1]
        written = load_config(trained.folder / "config.yaml")
        assert (written.training.epochs, written.terms["contrastive"].temperature) == (1, 0.25)
    assert config.training.epochs == 2
    with pytest.raises(ConfigError, match=r"unknown key 'training.epoch'; did you mean 'epochs'"):
        colabel.train(config, changes=["training.epoch=1"], cpu=True)
    with pytest.raises(ConfigError, match=r"training.epochs: .*got 'many'"):
        colabel.train(config, changes=["training.epochs=many"], cpu=True)


def ids_of(run, split, **options):
    colabel.evaluate(run, split=split, cpu=True, **options)
    return Predictions.load(run / f"predictions-{split}.npz").ids


@pytest.fixture
def held_out(tmp_path):
    """A run on a table with the splits train and test, and the table."""
    write_tiny_table(tmp_path, images=20)
    write_recipe(tmp_path)
    table = tmp_path / "labels.csv"
    first, *rows = table.read_text().splitlines()
    rows = [f"{row},{'train' if number < 16 else 'test'}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{first},split", *rows]))
    display = Stopping()
    run = colabel.train(
        tmp_path / "tiny.yaml", data=str(table), out=tmp_path / "run", cpu=True, display=display
    )
    run = colabel.train(
        tmp_path / "tiny.yaml", data=str(table), out=run.folder, cpu=True, resume=True
    )
    (note,) = [note for note in display.notes if "held out" in note]
    assert note.startswith("2 of 16 images of 'train' are held out for validation, as there is")
    return run.folder, table


def test_train_is_what_was_trained_on_and_val_what_chose(held_out):
    run, _ = held_out
    before = (run / "metrics-val.json").read_bytes()
    saved = read_split_table(run / "split.csv")
    parts = {split: ids_of(run, split) for split in ("train", "val", "test")}
    assert [len(parts[split]) for split in ("train", "val", "test")] == [14, 2, 4]
    assert {name: split for split in ("train", "val") for name in parts[split]} == saved
    assert (run / "metrics-val.json").read_bytes() == before
    facts = json.loads((run / "data.json").read_text())
    for split in ("train", "val"):
        written = json.loads((run / f"metrics-{split}.json").read_text())
        assert written["data"]["fingerprint"] == facts[split]["fingerprint"]
    # it is the saved division that counts, not the rule it was made by
    settings = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(settings.replace("seed: 0", "seed: 7"))
    assert ids_of(run, "train") == parts["train"]


def test_a_source_that_has_changed_is_refused_by_name(held_out):
    run, table = held_out
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows[:3], *rows[4:]]))
    for split in ("train", "val"):
        with pytest.raises(DataError, match=r"1 are gone, first images/02.png\. Start a new run"):
            colabel.evaluate(run, split=split, cpu=True)
    with pytest.raises(DataError, match=r"1 are gone, first images/02.png"):
        colabel.train(run.parent / "tiny.yaml", data=str(table), out=run, cpu=True, resume=True)
    assert len(ids_of(run, "test")) == 4


def test_what_a_table_calls_its_splits_stands_in_the_run_too(tmp_path):
    write_tiny_table(tmp_path, images=20)
    write_recipe(tmp_path)
    table = tmp_path / "labels.csv"
    first, *rows = table.read_text().splitlines()
    rows = [f"{row},{number % 3 == 0}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{first},is_valid", *rows]))
    recipe = tmp_path / "tiny.yaml"
    run = colabel.train(recipe, data=str(table), out=tmp_path / "run", cpu=True).folder
    assert read_split_table(run / "split.csv") == {
        f"images/{number:02}.png": "val" if number % 3 == 0 else "train" for number in range(20)
    }


def test_a_second_interruption_says_what_was_saved_before(tmp_path):
    recipe, table = write_recipe(tmp_path), write_tiny_table(tmp_path)
    out = tmp_path / "run"

    def twice():
        interrupt()
        interrupt()

    display = Watcher(5, twice)  # in the second epoch of three steps; the first was saved
    with pytest.raises(KeyboardInterrupt):
        colabel.train(recipe, data=str(table), out=out, cpu=True, display=display)
    assert display.notes[-1] == f"what was saved before is in {out}: resume the run to go on."
    assert colabel.train(recipe, data=str(table), out=out, cpu=True, resume=True).report


def test_an_interruption_before_anything_is_saved_promises_nothing(tmp_path):
    recipe, table = write_recipe(tmp_path), write_tiny_table(tmp_path)

    def twice():
        interrupt()
        interrupt()

    display = Watcher(1, twice)
    with pytest.raises(KeyboardInterrupt):
        colabel.train(recipe, data=str(table), out=tmp_path / "run", cpu=True, display=display)
    assert not [note for note in display.notes if "saved before" in note]


@pytest.mark.parametrize("damage", ["gone", "of other weights"])
def test_a_run_killed_between_its_model_and_its_predictions_tells_those_of_the_model(
    tmp_path, damage
):
    table, recipe, out = write_tiny_table(tmp_path), write_recipe(tmp_path), tmp_path / "run"
    report = colabel.train(recipe, data=str(table), out=out, cpu=True).report
    file = out / "predictions-val.npz"
    before = Predictions.load(file)
    file.unlink()
    if damage == "of other weights":
        replace(before, logits=-before.logits).save(file)
    resumed = colabel.train(recipe, data=str(table), out=out, cpu=True, resume=True)
    assert resumed.report.to_dict() == report.to_dict()
    assert np.array_equal(Predictions.load(file).logits, before.logits)


def test_a_classifier_on_features_that_are_encoded_once_is_not_cut_short(tmp_path):
    table = write_tiny_table(tmp_path)
    changes = [
        "training.freeze_encoder=true", "augmentation.operations=0", "augmentation.cutout=0",
        "training.epochs=5", "training.minutes=0.001",
    ]  # fmt: skip
    trained = colabel.train(
        write_recipe(tmp_path), data=str(table), changes=changes, out=tmp_path / "run", cpu=True
    )
    assert len(trained.history.epochs) == 5


PLAIN = (
    "encoder.freeze_stages=3", "augmentation.operations=0", "augmentation.cutout=0",
    "training.epochs=3",
)  # fmt: skip


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("warm", [0, 2])
def test_what_the_frozen_stages_gave_once_ends_in_the_same_bytes(
    home, tmp_path, warm, mirrored, stopped
):
    def run(name, display, *changes, **options):
        return colabel.train(
            home / "tiny.yaml",
            data=str(home / "labels.csv"),
            changes=[
                *PLAIN,
                f"data.options.images={home / 'elsewhere'}",
                f"encoder.weights={home / 'w.safetensors'}",
                f"training.warm_start.epochs={warm}",
                f"augmentation.horizontal_flip={mirrored}",
                *changes,
            ],
            out=tmp_path / name,
            cpu=True,
            display=display,
            **options,
        )

    anew, once = Watcher(), Stopping() if stopped else Watcher()
    plain = run("anew", anew, "data.cache_mb=0").folder
    kept = run("once", once)
    note = "train: encoding 15 images through the frozen stages once"
    assert note in once.notes
    assert any("mirror images" in each for each in once.notes) == mirrored
    assert note not in anew.notes
    if stopped:
        assert not kept.history.finished
        kept = run("once", Watcher(), resume=True)
    for file in ("model.safetensors", "metrics-val.json"):
        assert (kept.folder / file).read_bytes() == (plain / file).read_bytes()


def test_a_warm_start_takes_its_epochs_and_the_stage_after_it_what_is_left(tmp_path):
    table = write_tiny_table(tmp_path)
    changes = ["training.warm_start.epochs=4", "training.epochs=500", "training.minutes=0.2"]
    began = time.monotonic()
    trained = colabel.train(
        write_recipe(tmp_path), data=str(table), changes=changes, out=tmp_path / "run", cpu=True
    )
    stages = [line["stage"] for line in trained.history.epochs]
    assert stages[:4] == ["warm_start"] * 4
    assert 1 <= len(stages[4:]) < 500
    assert set(stages[4:]) == {"kmcl"}
    assert trained.history.spent is not None
    assert time.monotonic() - began >= trained.history.spent


def test_the_time_is_noted_while_images_are_encoded(tmp_path, monkeypatch):
    noted = []

    def collect(*arguments):
        features = collect_features(*arguments)
        noted.append((tmp_path / "run" / "last" / "spent.json").is_file())
        return features

    monkeypatch.setattr(batches, "collect_features", collect)
    table = write_tiny_table(tmp_path)
    changes = ["training.warm_start.epochs=1", "training.epochs=1", "training.minutes=1"]
    colabel.train(
        write_recipe(tmp_path), data=str(table), changes=changes, out=tmp_path / "run", cpu=True
    )
    assert noted == [True, True]


def test_what_a_run_says_of_its_length_rests_on_how_it_was_trained_and_measured(
    tmp_path, monkeypatch
):
    known = []

    def verdict(epochs, **facts):
        known.append((len(epochs), facts))
        return "too short."

    monkeypatch.setattr(workflow, "verdict", verdict)
    table, recipe, display = write_tiny_table(tmp_path), write_recipe(tmp_path), Watcher()
    frozen = ["training.freeze_encoder=true", "training.minutes=0.01"]
    features = ["augmentation.operations=0", "augmentation.cutout=0"]
    for name, changes in (("pixels", frozen), ("features", [*frozen, *features])):
        trained = colabel.train(
            recipe, data=str(table), changes=changes, out=tmp_path / name, cpu=True,
            display=display,
        )  # fmt: skip
        result = json.loads((tmp_path / name / "result.json").read_text())
        assert trained.verdict == result["verdict"] == "too short."
    (_, cut_short), (epochs, whole) = known
    assert (cut_short["out_of_time"], cut_short["frozen"]) == (True, True)
    assert (epochs, whole["out_of_time"], whole["frozen"]) == (2, False, True)
    told = f"mAP on them is uncertain by about {100 * whole['uncertainty']:.0f} points"
    assert told in " ".join(display.notes)


def test_labels_that_no_training_image_teaches_are_told_once(home, tmp_path):
    table = home / "labels.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *(f"{row.split(',')[0]},cat;dog" for row in rows[:-1]),
                                f"{rows[-1].split(',')[0]},cat"]) + "\n")  # fmt: skip
    display = Watcher()
    shared = workflow.Shared()
    for number in range(2):
        train(home, tmp_path / f"run{number}", display=display, shared=shared)
    told = [note for note in display.notes if "in no training image" in note]
    assert told == [
        "train: absent in no training image, so answered with yes for every image: cat"
    ]

"""Comparisons of tiny runs: what is trained, refused and written, and what the numbers are."""

import json
import shutil
import signal

import numpy as np
import pytest
from compared_methods import plan, write_home
from drawn_figures import assert_picture
from reference import bootstrap as reference
from stopping import Watcher
from tiny_runs import change_predictions, command

from colabel.config import load_config
from colabel.errors import DataError
from colabel.metrics import Resamples
from colabel.runs.folder import RunFolder
from colabel.runs.predictions import Predictions
from colabel.training import run_stage
from colabel.workflows import predicted_split
from colabel.workflows.comparison.run import compare, compare_methods
from colabel.workflows.grid import training as grid_training


def start(home, **given):
    return compare_methods(plan(home), out=home / "out", draws=200, cpu=True, **given)


def never(*_, **__):
    raise AssertionError("nothing may be trained or predicted")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison; read it, do not change it."""
    home = write_home(tmp_path_factory.mktemp("comparison"))
    return home, start(home).comparison


@pytest.fixture
def runs(finished, tmp_path):
    """Copies of its runs, which a test may change."""
    folders = {}
    for folder in sorted(finished[0].glob("out/tiny_*")):
        folders[folder.name] = tmp_path / folder.name
        shutil.copytree(folder, tmp_path / folder.name)
    return folders


def test_every_seed_sees_the_same_images(finished):
    home, comparison = finished
    assert [run["name"] for run in comparison.document["runs"]] == [
        "tiny_kmcl-0", "tiny_kmcl-1", "tiny_bce-0", "tiny_bce-1",
    ]  # fmt: skip
    divisions = {(path / "split.csv").read_text() for path in home.glob("out/tiny_*")}
    assert len(divisions) == 1
    seeds = [load_config(home / f"out/tiny_bce-{seed}/config.yaml") for seed in (0, 1)]
    assert [config.training.seed for config in seeds] == [0, 1]
    written = json.loads((home / "out" / "compare.json").read_text())
    assert written == comparison.document
    assert (written["split"], written["chosen_on"], written["metric"]) == ("test", "val", "mAP")
    assert_picture(home / "out" / "compare.png")
    timings = json.loads((home / "out" / "timings.json").read_text())
    assert timings["tiny_bce-1"]["training_seconds"] > 0
    assert timings["tiny_bce-1"]["peak_memory_mb"] > 0
    assert timings["tiny_bce-1"]["images_per_second"] is None


def test_the_numbers_are_those_of_loops_over_the_drawn_images(finished):
    """Intervals, p values and Holm of the pair of methods, of whole patients."""
    home, comparison = finished
    document = comparison.document
    loaded = [
        Predictions.load(home / "out" / run["name"] / "predictions-test.npz")
        for run in document["runs"]
    ]
    patients = dict.fromkeys(loaded[0].groups)
    assert document["resampled"] == "groups"
    assert document["units"] == len(patients) < document["images"]
    numbers = np.array([list(patients).index(one) for one in loaded[0].groups])
    weights = next(Resamples(document["images"], 200, 0, numbers).blocks()).T.astype(int)
    labels = loaded[0].targets.tolist()
    scores = [one.probabilities.tolist() for one in loaded]
    draws = [reference.drawn_images(row) for row in weights.tolist()]
    values = [
        [reference.mean_average_precision(one, labels, draw)[0] for draw in draws]
        for one in scores
    ]
    for run, drawn in zip(document["runs"], values, strict=True):
        moved = reference.centred(drawn, run["mAP"])
        ends = [reference.percentile(moved, share) for share in (0.025, 0.975)]
        expected = [min(1, max(0, end)) for end in ends]
        interval = run["intervals"]["mAP"]
        assert [interval["low"], interval["high"]] == pytest.approx(expected, abs=1e-12)
    (pair,) = document["pairs"]
    difference = [
        (first + second) / 2 - (third + fourth) / 2
        for first, second, third, fourth in zip(*values, strict=True)
    ]
    difference = reference.centred(difference, pair["difference"])
    assert (pair["first"], pair["second"], pair["metric"]) == ("tiny_kmcl", "tiny_bce", "mAP")
    assert pair["low"] == pytest.approx(reference.percentile(difference, 0.025), abs=1e-12)
    assert pair["high"] == pytest.approx(reference.percentile(difference, 0.975), abs=1e-12)
    assert pair["p"] == pair["p_holm"] == reference.p_value(difference)
    means = [run["mAP"] for run in document["runs"]]
    assert pair["difference"] == pytest.approx(sum(means[:2]) / 2 - sum(means[2:]) / 2)
    assert pair["seeds"] == [
        {"seed": seed, "difference": pytest.approx(means[seed] - means[2 + seed])}
        for seed in (0, 1)
    ]
    assert pair["verdict"] == "no difference" or pair["p_holm"] <= 0.05
    kmcl, bce = document["methods"]
    assert kmcl["seeds"]["values"] == means[:2]
    spread = abs(means[2] - means[3]) / 2**0.5
    assert bce["seeds"]["standard_deviation"] == pytest.approx(spread)
    assert bce["mean"] == pytest.approx((means[2] + means[3]) / 2)


def test_the_metrics_are_those_of_evaluate(finished, runs, tmp_path):
    _, comparison = finished
    assert command("evaluate", runs["tiny_kmcl-1"], "--cpu") == 0
    measured = json.loads((runs["tiny_kmcl-1"] / "metrics-test.json").read_text())
    run = comparison.document["runs"][1]
    for name in ("mAP", "mAUC", "CF1", "OF1"):
        assert run[name] == pytest.approx(measured[name], abs=1e-12)
    for name in ("CF1", "OF1"):
        assert run["operating_point"][name] == measured["operating_point"][name]
    assert [row["AP"] for row in run["per_class"]] == pytest.approx(
        [row["AP"] for row in measured["per_class"]], abs=1e-12
    )
    assert run["parameters"] > 1000
    assert run["macs"] > 1000


def test_a_comparison_that_was_stopped_ends_with_the_same_bytes(finished, tmp_path, monkeypatch):
    home = write_home(tmp_path)
    train, step, names = grid_training.train, run_stage.StageRun._train_step, []

    def stopping(config, **options):
        names.append(options["out"].name)
        if len(names) != 3:
            return train(config, **options)

        def stop_after_the_first(*arguments):
            step(*arguments)
            signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(run_stage.StageRun, "_train_step", stop_after_the_first)
            return train(config, **options)

    monkeypatch.setattr(grid_training, "train", stopping)
    trial = start(home)
    assert trial.interruption.signal == "SIGINT"
    assert trial.comparison is None
    assert not (home / "out" / "compare.json").exists()
    display = Watcher()
    assert start(home, display=display).interruption is None
    assert names == ["tiny_kmcl-0", "tiny_bce-0", "tiny_kmcl-1", "tiny_kmcl-1", "tiny_bce-1"]
    assert "3 of 4: tiny_kmcl, seed 1, going on" in display.notes
    whole = (finished[0] / "out" / "compare.json").read_bytes()
    assert (home / "out" / "compare.json").read_bytes() == whole


def test_what_is_finished_is_neither_trained_nor_predicted_again(finished, monkeypatch):
    home, _ = finished
    before = (home / "out" / "compare.json").read_bytes()
    monkeypatch.setattr(grid_training, "train", never)
    monkeypatch.setattr(predicted_split, "predict_split", never)
    start(home)
    assert (home / "out" / "compare.json").read_bytes() == before


def test_predictions_of_other_weights_or_without_groups_are_made_again(runs, tmp_path):
    folders = [runs["tiny_kmcl-0"], runs["tiny_bce-0"]]
    path = RunFolder(folders[0]).predictions_file("test")
    kept = Predictions.load(path)
    for stale in ({"model": "another"}, {"groups": None}):
        change_predictions(folders[0], logits=np.zeros_like(kept.logits), **stale)
        compare(folders, out=tmp_path / "out", draws=20, cpu=True)
        assert np.array_equal(Predictions.load(path).logits, kept.logits)
        assert Predictions.load(path).groups == kept.groups


def test_a_run_does_not_differ_from_itself(runs, tmp_path):
    one = runs["tiny_kmcl-0"]
    shutil.copytree(one, tmp_path / "copy")
    for folders, names in (
        ([one, tmp_path / "copy"], ["tiny_kmcl-0", "copy"]),
        ([one, one], ["tiny_kmcl-0", "tiny_kmcl-0 (2)"]),
    ):
        document = compare(folders, out=tmp_path / "out", draws=100, cpu=True).document
        assert [run["name"] for run in document["runs"]] == names
        (pair,) = document["pairs"]
        assert [pair["first"], pair["second"]] == names
        assert (pair["difference"], pair["low"], pair["high"]) == (0, 0, 0)
        assert (pair["p"], pair["p_holm"], pair["verdict"]) == (1, 1, "no difference")


def test_a_better_model_is_found(runs, tmp_path):
    one, other = runs["tiny_kmcl-0"], runs["tiny_bce-0"]
    path = RunFolder(one).predictions_file("test")
    kept = Predictions.load(path)
    many = 40 * len(kept.ids)
    targets = np.tile(kept.targets, (40, 1))
    noise = np.random.default_rng(0).normal(size=targets.shape)
    for folder, signal_ in ((one, 3), (other, 0.5)):
        change_predictions(
            folder,
            ids=tuple(map(str, range(many))),
            targets=targets,
            logits=(signal_ * targets + noise).astype(np.float32),
            groups=(),
            extra={},
        )
    document = compare([one, other], out=tmp_path / "out", draws=100, cpu=True).document
    (pair,) = document["pairs"]
    assert pair["verdict"] == "tiny_kmcl-0 is higher"
    assert pair["different"]
    assert 0 < pair["low"] < pair["difference"] < pair["high"]
    assert document["resampled"] == "images"
    backwards = compare([other, one], out=tmp_path / "out", draws=100, cpu=True).document
    assert backwards["pairs"][0]["difference"] == -pair["difference"]
    assert backwards["pairs"][0]["verdict"] == "tiny_kmcl-0 is higher"


def test_images_and_classes_may_be_in_another_order(runs, tmp_path):
    folders = [runs["tiny_kmcl-0"], runs["tiny_bce-0"]]
    before = compare(folders, out=tmp_path / "out", draws=50, cpu=True).document
    kept = Predictions.load(RunFolder(folders[1]).predictions_file("test"))
    rows = np.arange(len(kept.ids))[::-1]
    change_predictions(
        folders[1],
        ids=kept.ids[::-1],
        groups=kept.groups[::-1],
        targets=kept.targets[rows],
        logits=kept.logits[rows],
        extra={},
    )
    after = compare(folders, out=tmp_path / "out", draws=50, cpu=True).document
    assert after["pairs"] == before["pairs"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda one: {"ids": ("x", *one.ids[1:])},
         r"tiny_kmcl-0 has predictions for the image '{first}' and tiny_bce-0 has none"),
        (lambda _: {"classes": ("cat", "dog", "cow")},
         "tiny_kmcl-0 has predictions for the class 'owl' and tiny_bce-0 has none"),
        (lambda one: {"targets": np.where(np.arange(3) == 1, 1 - one.targets, one.targets)
                      .astype(np.int8)},
         "the image '{first}' has the label 'dog' as . in tiny_kmcl-0 and . in tiny_bce-0"),
        (lambda one: {"groups": ("x",) * len(one.ids)}, "group the images in different ways"),
        (lambda one: {"ids": one.ids[1:], "targets": one.targets[1:], "logits": one.logits[1:],
                      "groups": one.groups[1:], "extra": {}},
         "tiny_kmcl-0 has predictions for the image '{first}' and tiny_bce-0 has none.*division"),
    ],
)  # fmt: skip
def test_what_was_measured_on_other_images_is_not_compared(runs, tmp_path, changed, message):
    folders = [runs["tiny_kmcl-0"], runs["tiny_bce-0"]]
    kept = Predictions.load(RunFolder(folders[1]).predictions_file("test"))
    change_predictions(folders[1], **changed(kept))
    with pytest.raises(DataError, match=message.format(first=kept.ids[0])):
        compare(folders, out=tmp_path / "out", draws=20, cpu=True)
    assert not (tmp_path / "out").exists()


def test_one_image_gives_no_interval(runs, tmp_path):
    folders = [runs["tiny_kmcl-0"], runs["tiny_bce-0"]]
    for folder in folders:
        kept = Predictions.load(RunFolder(folder).predictions_file("test"))
        row = int(np.flatnonzero(kept.targets.any(axis=1))[0])
        change_predictions(
            folder,
            ids=kept.ids[row : row + 1],
            targets=kept.targets[row : row + 1],
            logits=kept.logits[row : row + 1],
            groups=kept.groups[row : row + 1],
            extra={},
        )
    document = compare(folders, out=tmp_path / "out", draws=20, cpu=True).document
    assert any("one group alone: resampling says" in note for note in document["notes"])
    (pair,) = json.loads((tmp_path / "out" / "compare.json").read_text())["pairs"]
    assert (pair["low"], pair["p"], pair["verdict"]) == (None, 1, "no difference")


def test_other_metrics_can_be_paired(runs, tmp_path):
    folders = [runs["tiny_kmcl-0"], runs["tiny_bce-0"]]
    document = compare(
        folders, out=tmp_path / "out", draws=20, metric="operating_point.OF1", cpu=True, speed=True
    )
    assert all(one["images_per_second"] > 0 for one in document.timings.values())
    document = document.document
    first, second = (run["operating_point"]["OF1"] for run in document["runs"])
    assert document["pairs"][0]["difference"] == pytest.approx(first - second)
    assert [one["mean"] for one in document["methods"]] == [first, second]


def test_few_draws_for_many_pairs_are_told(runs, tmp_path):
    document = compare(list(runs.values())[:2], out=tmp_path / "out", draws=38, cpu=True).document
    assert any("take --draws 39 or more" in note for note in document["notes"])
    document = compare(list(runs.values())[:2], out=tmp_path / "out", draws=39, cpu=True).document
    assert not any("--draws" in note for note in document["notes"])

"""Sweeps: what is tried, cut short, kept, gone on with, refused and written."""

import json
import shutil
import signal
from types import SimpleNamespace

import pytest
import yaml
from drawn_figures import assert_picture
from stopping import Stopping
from tiny_runs import RECIPE, command, write_tiny_table

from colabel.config import load_config
from colabel.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    NonFiniteLossError,
    RunError,
)

pytest.importorskip("optuna")

from colabel.figures.sweep import sweep_figure
from colabel.workflows.sweep import planning, results, study
from colabel.workflows.sweep import run as sweep_run
from colabel.workflows.sweep.run import sweep, tune

RATE, WEIGHT = "training.learning_rate", "terms.contrastive.weight"
SPACE = (f"{RATE}=1e-5..1e-1", f"{WEIGHT}=0.01..1", "head.covariance=isotropic|diagonal")
EPOCHS = 8
STAGE = SimpleNamespace(name="kmcl")


def score_of(config, epoch):
    """Return a score that is best at a rate of 1e-3 and rises over the epochs."""
    rate, weight = config.training.learning_rate, config.terms["contrastive"].weight
    far = abs(len(f"{rate:.0e}") - 5) + abs(rate - 1e-3) / (rate + 1e-3) + 0.1 * weight
    return (epoch / EPOCHS) * (0.9 - 0.4 * min(far, 2))


class FakeTraining:
    """Trains nothing: tells the display a score an epoch, and writes what a run writes."""

    def __init__(self):
        self.begun, self.epochs = [], []
        self.stop_at = None  # number of a started trial, epoch
        self.problem_of = lambda config: None  # noqa: ARG005

    def __call__(self, config, *, out, resume, cpu, display, shared=None):  # noqa: ARG002
        self.begun.append((out.name, resume))
        out.mkdir(exist_ok=True)
        (out / "config.yaml").write_text(config.to_yaml())
        (out / "data.json").write_text(json.dumps({"val": {"images": 5, "fingerprint": "x"}}))
        problem = self.problem_of(config)
        if problem is not None:
            raise problem
        for epoch in range(1, EPOCHS + 1):
            self.epochs.append((out.name, epoch))
            if self.stop_at == (len(self.begun), epoch):
                raise KeyboardInterrupt
            display.show_epoch(STAGE, {"score": score_of(config, epoch), "epoch": epoch})
        result = {"mAP": score_of(config, EPOCHS), "finished": True}
        (out / "result.json").write_text(json.dumps(result))
        return SimpleNamespace(report=result, history=SimpleNamespace(signal=None))


@pytest.fixture
def training(monkeypatch):
    fake = FakeTraining()
    monkeypatch.setattr(sweep_run, "train", fake)
    monkeypatch.setattr(sweep_run, "_rehearse", lambda config: None)  # noqa: ARG005
    monkeypatch.setattr(results, "sweep_figure", lambda *_, **__: None)  # takes most of the time
    return fake


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(RECIPE) | {"training": {"epochs": EPOCHS}}))
    return path


def start(recipe, name="out", **options):
    options = {"space": SPACE, "trials": 16, "seed": 3} | options
    return sweep(recipe, out=recipe.parent / name, cpu=True, **options)


def read(recipe, name="out"):
    return json.loads((recipe.parent / name / "sweep.json").read_text("utf-8"))


def test_the_recipe_comes_first_then_chance_then_what_was_better(training, recipe):
    swept = start(recipe, trials=40)
    first = swept.tried[0]
    assert first.settings == {RATE: 2e-4, WEIGHT: 0.3, "head.covariance": "isotropic"}
    assert len({tuple(one.settings.values()) for one in swept.tried}) == 40
    for one in swept.tried:
        assert 1e-5 <= one.settings[RATE] <= 1e-1
        assert 0.01 <= one.settings[WEIGHT] <= 1
    drawn = [one.settings[RATE] for one in swept.tried[1:8]]
    assert sum(rate < 1e-3 for rate in drawn) in range(1, 7)  # on both sides, as logarithms are
    guided = [score_of(load(swept, one), EPOCHS) for one in swept.tried[20:]]
    by_chance = [score_of(load(swept, one), EPOCHS) for one in swept.tried[1:8]]
    assert sum(guided) / len(guided) > sum(by_chance) / len(by_chance) + 0.05
    assert swept.best.score == max(one.score for one in swept.tried if one.state == "complete")


def load(swept, one):
    from colabel.workflows.sweep.space import with_settings

    return with_settings(swept.plan.config, one.settings, of="test")


def test_two_sweeps_of_a_seed_are_one_and_another_seed_is_another(training, recipe):
    start(recipe, "first")
    start(recipe, "second")
    start(recipe, "third", seed=4)
    assert read(recipe, "first") == read(recipe, "second")
    first, third = read(recipe, "first")["trials"], read(recipe, "third")["trials"]
    assert first[0]["settings"] == third[0]["settings"]
    assert all(
        one["settings"] != other["settings"]
        for one, other in zip(first[1:], third[1:], strict=True)
    )


@pytest.mark.parametrize("stop_at", [(1, 1), (3, 4), (9, 1), (12, 2)])
def test_an_interrupted_sweep_goes_on_to_the_trials_of_an_undisturbed_one(
    training, recipe, stop_at
):
    start(recipe, "whole")
    begun = len(training.begun)
    training.begun.clear()
    training.stop_at = stop_at
    with pytest.raises(KeyboardInterrupt):
        start(recipe)
    assert len(training.begun) == stop_at[0]
    training.stop_at = None
    stopped = training.begun[-1][0]
    swept = start(recipe)
    assert training.begun[stop_at[0]] == (stopped, True)
    assert len(training.begun) == begun + 1
    assert not swept.interrupted
    assert read(recipe) == read(recipe, "whole")


@pytest.mark.parametrize(
    ("share", "torn"), [(0.02, 0), (0.05, 7), (0.3, 0), (0.61, 7), (0.74, 0), (0.99, 7)]
)
def test_a_sweep_that_was_killed_at_any_line_of_its_journal_goes_on(training, recipe, share, torn):
    """The journal ends where a kill left it, perhaps within a line; ended trials are kept."""
    start(recipe, keep="all")
    whole = read(recipe)
    folder = recipe.parent / "out"
    lines = (folder / "journal.log").read_bytes().splitlines(keepends=True)
    kept = lines[: max(1, int(share * len(lines)))]
    rest = lines[len(kept)][:torn] if len(kept) < len(lines) else b""
    (folder / "journal.log").write_bytes(b"".join(kept) + rest)
    ended = sum(json.loads(line)["op_code"] == 6 and json.loads(line)["state"] != 0
                for line in kept)  # fmt: skip
    for number in range(ended, 16):
        shutil.rmtree(folder / f"trial-{number:04d}", ignore_errors=True)
    training.begun.clear()
    start(recipe, keep="all")
    assert len(training.begun) == 16 - ended
    assert read(recipe) == whole


def test_more_trials_join_those_that_there_are(training, recipe):
    start(recipe, "whole", trials=12)
    start(recipe, trials=5)
    training.begun.clear()
    swept = start(recipe, trials=12)
    assert len(training.begun) == 7
    assert read(recipe) == read(recipe, "whole")
    training.begun.clear()
    assert start(recipe, trials=12).best == swept.best
    assert training.begun == []


def test_a_trial_that_ended_before_it_was_noted_is_not_trained_again(
    training, recipe, monkeypatch
):
    start(recipe, "whole", trials=3)
    training.begun.clear()
    with monkeypatch.context() as patch:
        patch.setattr(sweep_run, "_check_images", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            start(recipe, trials=3)
    start(recipe, trials=3)
    assert [name for name, _ in training.begun] == ["trial-0000", "trial-0001", "trial-0002"]
    assert read(recipe) == read(recipe, "whole")


def test_what_is_worse_than_most_is_cut_short(training, recipe):
    swept = start(recipe, trials=30)
    cut = [one for one in swept.tried if one.state == "pruned"]
    assert cut
    for one in cut:
        reached = max(one.epochs)
        assert EPOCHS // 4 <= reached < EPOCHS
        assert (f"trial-{one.number:04d}", reached + 1) not in training.epochs
        assert one.score == max(one.epochs.values())
        before = [
            other.epochs[reached]
            for other in swept.tried[: one.number]
            if other.state == "complete"
        ]
        assert len(before) >= study.JUDGES
        assert max(one.epochs.values()) < sorted(before)[len(before) // 2]
    for one in swept.tried:
        if one.state == "complete":
            assert len(one.epochs) == EPOCHS
    assert swept.best.state == "complete"
    assert len(training.epochs) < 30 * EPOCHS


def test_only_the_best_trial_s_run_stays_unless_all_are_wanted(training, recipe):
    swept = start(recipe)
    runs = [path.name for path in sorted((recipe.parent / "out").glob("trial-*"))]
    assert runs == [f"trial-{swept.best.number:04d}"]
    start(recipe, "all", keep="all")
    assert len(list((recipe.parent / "all").glob("trial-*"))) == 16


def test_what_is_written_is_what_was_found(training, recipe, monkeypatch):
    start(recipe, trials=15)
    monkeypatch.setattr(results, "sweep_figure", sweep_figure)
    swept = start(recipe)
    document, folder = read(recipe), recipe.parent / "out"
    assert (document["split"], document["metric"], document["seed"]) == ("val", "mAP", 3)
    assert document["space"] == {
        RATE: "1e-05..0.1 log",
        WEIGHT: "0.01..1 log",
        "head.covariance": "isotropic|diagonal",
    }
    assert document["best"]["trial"] == swept.best.number
    assert [trial["trial"] for trial in document["trials"]] == list(range(16))
    best = load_config(folder / "best.yaml")
    assert best.training.learning_rate == swept.best.settings[RATE]
    assert best.terms["contrastive"].weight == swept.best.settings[WEIGHT]
    assert best.head.covariance == swept.best.settings["head.covariance"]
    own = {"description", "training", "terms", "head"}
    assert best.model_dump(exclude=own) == swept.plan.config.model_dump(exclude=own)
    assert best.published is None
    assert_picture(folder / "sweep.png")


def test_a_trial_that_fails_is_told_and_the_others_go_on(training, recipe):
    def problem(config):
        if config.training.learning_rate > 1e-2:
            return NonFiniteLossError("the loss is nan")
        if config.head.covariance == "diagonal":
            return ConfigError("a batch cannot be filled")
        return None

    training.problem_of = problem
    notes = Stopping(0)
    swept = start(recipe, display=notes)
    failed = [one for one in swept.tried if one.state == "failed"]
    assert {one.problem for one in failed} == {"the loss is nan", "a batch cannot be filled"}
    assert [one.score for one in failed] == [None] * len(failed)
    for one in failed:
        assert f"trial {one.number}: {one.problem}" in swept.problems
        assert f"trial {one.number} of 16: failed: {one.problem}" in notes.notes
    assert swept.best.problem is None
    assert len(swept.tried) == 16


def test_a_sweep_whose_trials_all_fail_says_so(training, recipe):
    training.problem_of = lambda config: NonFiniteLossError("nan")  # noqa: ARG005
    swept = start(recipe, trials=2)
    assert swept.best is None
    assert not (recipe.parent / "out" / "best.yaml").exists()
    with pytest.raises(RunError, match=r"no trial of the sweep in .* nan"):
        tune(load_config(recipe), SPACE, trials=2, seed=3, folder=recipe.parent / "out")


def test_a_recipe_that_cannot_be_trained_leaves_nothing(training, recipe):
    training.problem_of = lambda config: ConfigError("no such thing")  # noqa: ARG005
    with pytest.raises(ConfigError, match="no such thing"):
        start(recipe)
    assert not (recipe.parent / "out" / "sweep.json").exists()
    training.problem_of = lambda config: None  # noqa: ARG005
    shutil.rmtree(recipe.parent / "out" / "trial-0000")  # which the real training takes away
    assert start(recipe, trials=2, seed=5).best is not None


def test_tuning_returns_the_best_settings(training, recipe):
    config = load_config(recipe)
    found = tune(config, SPACE, trials=6, seed=3, folder=recipe.parent / "out", cpu=True)
    assert found == start(recipe, trials=6).best.settings
    usual = tune(config, trials=2, seed=3, folder=recipe.parent / "usual", cpu=True)
    assert list(usual) == [
        RATE, "training.head_learning_rate", "terms.classification.weight", WEIGHT,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 4}, "seed was 3, is 4"),
        ({"space": SPACE[:2]}, "space was .*covariance.*, is"),
        ({"changes": ["training.batch_size=9"]}, "training.batch_size was 128, is 9"),
    ],
)
def test_another_sweep_needs_another_folder(training, recipe, options, message):
    start(recipe, trials=1)
    with pytest.raises(ConfigError, match=message):
        start(recipe, trials=2, **options)


@pytest.mark.parametrize("name", ["journal.log", "best.yaml", "sweep.png", "trial-0003"])
def test_what_is_no_sweep_s_is_in_the_way(training, recipe, name):
    path = recipe.parent / "out" / name
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(RunError, match=f"{name} is in the way"):
        start(recipe)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["sweep.json", "journal.log"])
def test_damage_is_named(training, recipe, name):
    start(recipe, trials=2)
    (recipe.parent / "out" / name).write_text("{]\n{}\n")
    with pytest.raises(RunError, match=f"{name} is damaged"):
        start(recipe, trials=3)


def test_other_validation_images_are_not_compared(training, recipe):
    start(recipe, trials=2, keep="all")
    begin = training.__class__.__call__

    def other(config, *, out, **options):
        trained = begin(training, config, out=out, **options)
        (out / "data.json").write_text(json.dumps({"val": {"images": 4, "fingerprint": "y"}}))
        return trained

    sweep_run.train = other
    with pytest.raises(DataError, match="cannot be compared"):
        start(recipe, trials=3, keep="all")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"trials": 0}, "0 trials"), ({"seed": -1}, "seed must be"), ({"keep": "none"}, "keep must")],
)
def test_numbers_out_of_range_are_refused(training, recipe, options, message):
    with pytest.raises(ConfigError, match=message):
        start(recipe, **options)
    assert not (recipe.parent / "out").exists()


def test_without_optuna_what_to_install_is_said(recipe, monkeypatch):
    monkeypatch.setattr(planning.importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(MissingExtraError, match=r"pip install 'colabel\[sweep\]'"):
        start(recipe)


@pytest.mark.slow
def test_a_real_sweep_stops_goes_on_never_opens_test_images_and_its_best_recipe_trains(
    tmp_path, capsys
):
    table = write_tiny_table(tmp_path)
    lines = table.read_text().splitlines()
    splits = ["split", *(["test"] * 9), *(["val"] * 10), *(["train"] * 20)]
    table.write_text(
        "\n".join(f"{line},{split}" for line, split in zip(lines, splits, strict=True)) + "\n"
    )
    for number in range(9):
        (tmp_path / "images" / f"{number:02}.png").write_text("no picture: whoever opens it fails")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    options = {
        "space": [f"{RATE}=1e-4..1e-2", "head.covariance=isotropic|diagonal"],
        "data": str(table),
        "trials": 2,
        "cpu": True,
    }
    whole = sweep(tmp_path / "tiny.yaml", out=tmp_path / "whole", **options)
    assert [one.state for one in whole.tried] == ["complete", "complete"]
    stopped = sweep(tmp_path / "tiny.yaml", out=tmp_path / "out", **options, display=Stopping(7))
    assert stopped.interrupted
    assert stopped.signal == signal.Signals.SIGINT.name
    assert [one.state for one in stopped.tried] == ["complete", "begun"]
    words = ["sweep", tmp_path / "tiny.yaml", "--out", tmp_path / "out", "--data", table]
    words += ["--space", ",".join(options["space"]), "--trials", "2", "--cpu"]
    assert command(*words) == 0
    printed = capsys.readouterr().out
    assert f"next: colabel train {tmp_path / 'out' / 'best.yaml'}" in printed.replace("\n", "")
    one, other = (
        json.loads((tmp_path / name / "sweep.json").read_text()) for name in ("whole", "out")
    )
    assert one == other
    best = tmp_path / "out" / "best.yaml"
    assert command("train", best, "--out", tmp_path / "run", "--cpu") == 0
    trained = json.loads((tmp_path / "run" / "result.json").read_text())
    assert trained["mAP"] == one["best"]["score"]

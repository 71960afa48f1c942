"""Ablations of the tiny recipe: what is trained, skipped, continued, kept apart and written."""

import json
import shutil

import pytest
import torch
from ablation_runs import QUICK, Lines, never, read, start, write_ablation
from drawn_figures import assert_picture
from tiny_runs import command, run_program, write_recipe, write_tiny_table

from colabel.config import load_config
from colabel.errors import ConfigError, DataError, NonFiniteLossError, RunError
from colabel.workflows.ablation import run as ablation_run
from colabel.workflows.grid import training as grid_training


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished ablation, with what was told meanwhile; read it, do not change it."""
    home = tmp_path_factory.mktemp("ablation")
    write_tiny_table(home)
    write_recipe(home)
    write_ablation(home)
    display = Lines()
    return home, start(home, display=display), display


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished ablation that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(finished[0], home)
    for path in (home / "out").glob("*/config.yaml"):  # the images are elsewhere now
        path.write_text(path.read_text().replace(str(finished[0]), str(home)))
    return home


def test_every_value_is_trained_with_every_seed_one_seed_after_the_other(finished):
    _, ablated, display = finished
    assert display.progress() == [
        "1 of 4: temperature 0.2, seed 0",
        "2 of 4: temperature 1, seed 0",
        "3 of 4: temperature 0.2, seed 1",
        "4 of 4: temperature 1, seed 1",
    ]
    for folder, temperature, seed in (("0.2-0", 0.2, 0), ("1-1", 1.0, 1)):
        config = load_config(ablated.folder / folder / "config.yaml")
        assert (config.terms["contrastive"].temperature, config.training.seed) == (
            temperature,
            seed,
        )
        assert config.training.batch_size == 9
    assert not ablated.interrupted
    assert ablated.problems == ()


def test_the_numbers_are_those_of_the_runs_on_validation(finished):
    home, ablated, _ = finished
    document = read(home)
    assert document["split"] == "val"
    assert document["metric"] == "mAP"
    assert document["data"] == str(home / "labels.csv")
    assert document["settings"]["training"]["batch_size"] == 9
    assert "temperature" not in document["settings"]["terms"]["contrastive"]
    assert "seed" not in document["settings"]["training"]
    assert document["colabel"]
    for tried, result in zip(ablated.tried, document["results"], strict=True):
        scores = [
            json.loads((home / "out" / run["folder"] / "metrics-val.json").read_text())["mAP"]
            for run in result["runs"]
        ]
        assert [run["score"] for run in result["runs"]] == scores
        assert [run["seed"] for run in result["runs"]] == [0, 1]
        assert result["mean"] == pytest.approx(sum(scores) / 2)
        assert result["standard_deviation"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
        assert tried.point.scores == pytest.approx([100 * score for score in scores])
        assert tried.complete
    first, second = document["results"]
    assert (first["value"], second["value"]) == (0.2, 1.0)
    assert (first["chosen_by_paper"], second["chosen_by_paper"]) == (True, False)
    assert (first["published_percent"], second["published_percent"]) == (None, 50)
    assert ablated.best.point.mean == max(one.point.mean for one in ablated.tried)
    assert_picture(home / "out" / "ablation.png")
    assert not list((home / "out").glob("*/*test*"))


def test_finished_runs_are_skipped(copied, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(copied)
    before = read(copied)
    shutil.rmtree(copied / "out" / "0.2-0" / "last")  # which may be deleted
    (copied / "out" / "ablation.png").unlink()
    display = Lines()
    start(copied, display=display)
    assert [line.rpartition(", ")[2] for line in display.progress()] == ["finished before"] * 4
    assert read(copied)["results"] == before["results"]
    assert_picture(copied / "out" / "ablation.png")


def test_more_values_and_seeds_join_those_that_there_are(copied, monkeypatch):
    seen = []

    def train(config, **options):
        seen.append(
            (config.terms["contrastive"].temperature, config.training.seed, options["resume"])
        )
        raise NonFiniteLossError("diverged")

    monkeypatch.setattr(grid_training, "train", train)
    write_ablation(copied, values=[1, 0.5, 0.2])
    ablated = start(copied, seeds=3)
    assert seen == [
        (0.5, 0, False),
        (0.5, 1, False),
        (1, 2, False),
        (0.5, 2, False),
        (0.2, 2, False),
    ]
    assert [len(one.point.scores) for one in ablated.tried] == [2, 0, 2]
    assert not any(one.complete for one in ablated.tried)
    assert ablated.best is None


def test_an_interrupted_ablation_goes_on_where_it_stopped(finished, home, monkeypatch):
    """Stopped in the second run, it resumes that one, starts the rest, and ends with the same."""
    write_ablation(home)
    train = grid_training.train
    calls = []

    def stopping(config, **options):
        calls.append((options["out"].name, options["resume"]))
        if len(calls) != 2:
            return train(config, **options)
        import signal

        from colabel.training import run_stage

        step = run_stage.StageRun._train_step

        def stop_after_the_first(*arguments):
            step(*arguments)
            signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(run_stage.StageRun, "_train_step", stop_after_the_first)
            return train(config, **options)

    monkeypatch.setattr(grid_training, "train", stopping)
    ablated = start(home)
    assert ablated.interrupted
    assert calls == [("0.2-0", False), ("1-0", False)]
    assert [len(one["runs"]) for one in read(home)["results"]] == [1, 0]
    assert_picture(home / "out" / "ablation.png")
    display = Lines()
    ablated = start(home, display=display)
    assert not ablated.interrupted
    assert calls[2:] == [("1-0", True), ("0.2-1", False), ("1-1", False)]
    assert display.progress()[:3] == [
        "1 of 4: temperature 0.2, seed 0, finished before",
        "2 of 4: temperature 1, seed 0, going on",
        "3 of 4: temperature 0.2, seed 1",
    ]
    log = (home / "out" / "1-0" / "log.jsonl").read_text()
    assert '"kind": "resume"' in log
    assert read(home)["results"] == read(finished[0])["results"]


def test_a_run_that_was_only_measured_on_validation_is_not_finished(copied, monkeypatch):
    (copied / "out" / "1-0" / "result.json").unlink()
    seen = []
    train = grid_training.train
    monkeypatch.setattr(
        grid_training,
        "train",
        lambda config, **options: seen.append(options["out"].name) or train(config, **options),
    )
    before = read(copied)["results"]
    start(copied)
    assert seen == ["1-0"]
    assert read(copied)["results"] == before


def test_a_run_that_diverges_is_told_and_the_others_go_on(home):
    write_ablation(
        home, key="training.learning_rate", values=[1e30, 1e-3], seeds=[0], published=...
    )
    display = Lines()
    ablated = start(home, display=display)
    (problem,) = ablated.problems
    assert problem.startswith("1e+30-0: stage 'kmcl', epoch 1, batch ")
    assert any(line.startswith("failed: stage 'kmcl'") for line in display.notes)
    bad, good = read(home)["results"]
    (run,) = bad["runs"]
    assert (run["score"], run["problem"]) == (None, problem.removeprefix("1e+30-0: "))
    assert bad["mean"] is None
    assert good["mean"] > 0
    assert good["standard_deviation"] is None
    assert ablated.best.point.value == 1e-3
    assert start(home, display=display).problems == ablated.problems  # it is tried again


def test_runs_with_other_settings_are_not_mixed(copied, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    with pytest.raises(ConfigError, match=r"0\.2-0 was started with .* was 9, is 13.*--out"):
        start(copied, changes=[*QUICK, "training.batch_size=13"])


def test_another_ablation_needs_another_folder(copied, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(copied, key="terms.contrastive.weight", values=[3], published=...)
    with pytest.raises(
        RunError, match=r"holds an ablation of terms\.contrastive\.temperature, this one is of"
    ):
        start(copied)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000])
def test_damaged_scores_are_named(copied, monkeypatch, text):
    monkeypatch.setattr(grid_training, "train", never)
    (copied / "out" / "ablation.json").write_text(text)
    with pytest.raises(RunError, match=r"ablation\.json is damaged .* remove it"):
        start(copied)


def test_scores_on_other_images_are_not_compared(copied, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    path = copied / "out" / "1-0" / "data.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"val": {"images": 3, "fingerprint": "other"}}))
    with pytest.raises(DataError, match=r"1-0 was validated on .*'other'.* cannot be compared"):
        start(copied)


def test_the_callers_random_numbers_stay_as_they_are(finished):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    start(finished[0])
    assert torch.equal(state, torch.get_rng_state())


def test_the_command_trains_prints_and_exits_as_it_should(finished, monkeypatch, capsys):
    home, ablated, _ = finished
    words = ("ablate", home / "mine.yaml", "--data", home / "labels.csv", "--out", home / "out")
    words += ("--cpu", *(word for change in QUICK for word in ("--set", change)))
    assert command(*words) == 0
    printed = capsys.readouterr()
    for one in ablated.tried:
        assert f"{one.point.mean:.1f} ± {one.point.deviation:.1f}" in printed.out
    assert "finished before" in printed.err
    assert "2 of 2" in printed.out
    monkeypatch.chdir(home)
    monkeypatch.setattr(grid_training, "train", never)
    assert command(*words, "--seeds", "1") == 0
    assert "1 of 1" in capsys.readouterr().out


def test_an_interrupted_or_failed_ablation_says_so(finished, monkeypatch, capsys):
    from dataclasses import replace

    from colabel.workflows.ablation.results import Outcome

    _, ablated, _ = finished
    monkeypatch.setattr(
        ablation_run, "run_ablation", lambda *_, **__: replace(ablated, interrupted=True)
    )
    assert command("ablate", "probmcl-threshold") == 130
    assert "to go on: the same command again" in capsys.readouterr().err
    failed = replace(ablated.tried[0], outcomes=(Outcome(0, "0.2-0", None, "not finite"),))
    monkeypatch.setattr(
        ablation_run, "run_ablation", lambda *_, **__: replace(ablated, tried=(failed,))
    )
    assert command("ablate", "probmcl-threshold") == 1
    assert "failed: 0.2-0: not finite\n" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert command("ablate", "probmcl-threshold") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_two_processes_make_one_ablation(home):
    path = write_ablation(home, seeds=[0])
    words = ("ablate", path, "--data", home / "labels.csv", "--out", home / "out", "--cpu")
    done = run_program(*words, "--set", "training.epochs=1", processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written: ") == 1
    assert done.stderr.count("1 of 2: temperature 0.2, seed 0") == 1
    assert all(result["mean"] > 0 for result in read(home)["results"])

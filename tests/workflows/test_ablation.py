"""Ablations of the tiny recipe: what is trained, skipped, continued, refused and written."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from drawn_figures import assert_picture
from stopping import Watcher
from tiny_runs import RECIPE, command, run_program, write_recipe, write_tiny_table

from colabel.config import load_config
from colabel.errors import ConfigError, DataError, NonFiniteLossError, RunError
from colabel.metrics import evaluate_scores
from colabel.workflows.ablation import ablation_names, load_ablation, plan_ablation
from colabel.workflows.ablation import run as ablation_run
from colabel.workflows.ablation.file import METRICS, configure
from colabel.workflows.ablation.run import ablate
from colabel.workflows.grid import training as grid_training

QUICK = ("training.epochs=1", "training.batch_size=9")
ABLATION = {
    "description": "The temperature of the tiny recipe.",
    "recipe": "tiny.yaml",
    "key": "terms.contrastive.temperature",
    "values": [0.2, 1],
    "seeds": [0, 1],
    "published": {"source": "nowhere", "chosen": 0.2, "scores": {1: 50}},
}


class Lines(Watcher):
    """A display that keeps what it is told, and knows which of it is about runs."""

    def progress(self):
        return [note for note in self.notes if " of " in note and ": " in note and "seed" in note]


@pytest.fixture
def home(tmp_path):
    """A table, the tiny recipe, and an ablation of it."""
    write_tiny_table(tmp_path)
    write_recipe(tmp_path)
    return tmp_path


def write_ablation(home, **changed):
    path = home / "mine.yaml"
    entries = {key: value for key, value in (ABLATION | changed).items() if value != ...}
    path.write_text(yaml.safe_dump(entries))
    return path


def start(home, *, changes=QUICK, display=None, **options):
    return ablate(
        options.pop("source", home / "mine.yaml"),
        data=str(home / "labels.csv"),
        changes=changes,
        out=home / "out",
        cpu=True,
        display=display,
        **options,
    )


def read(home):
    return json.loads((home / "out" / "ablation.json").read_text("utf-8"))


def never(*_, **__):
    raise AssertionError("nothing may be trained")


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


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key": "terms.contrastive.temperatur"}, "did you mean 'temperature'"),
        ({"values": [0.2, -1], "published": ...}, r"value -1 of (?s:.*)got -1"),
        (
            {"values": [0.2, "warm"], "published": ...},
            "value warm of terms.contrastive.temperature",
        ),
        ({"values": [0.2, 1, 1.0]}, "value 1 of terms.contrastive.temperature is listed twice"),
        ({"values": []}, "values: "),
        ({"values": [{"a": 1}], "published": ...}, "values: expected numbers, words"),
        ({"seeds": [0, 0]}, "seeds: each seed is to be given once"),
        ({"seeds": [-1]}, r"seeds\.0: .* got -1"),
        ({"seeds": ...}, "seeds: is missing"),
        ({"metric": "mAPP"}, "there is no metric 'mAPP'; did you mean 'mAP'"),
        ({"sedes": [1]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"published": {"chosen": 1}}, r"published\.source: is missing"),
        ({"published": {"source": "a", "score": {}}}, "did you mean 'scores'"),
        ({"published": {"source": "a", "chosen": 3}}, "published names the value 3, expected one"),
        ({"published": {"source": "a", "scores": {True: 1}}}, "published names the value true"),
        ({"key": "training.seed"}, "key must be a dotted setting"),
        ({"key": "method"}, "key must be a dotted setting"),
        ({"key": "published.note"}, "key must be a dotted setting"),
        ({"recipe": "shapes-kmlc"}, "did you mean 'shapes-kmcl'"),
        ({"key": "encoder.name", "values": ["test_vit", "test_vot"], "published": ...},
         "value test_vot of encoder.name: there is no encoder named 'test_vot'"),
        ({"key": "data.options.images", "values": ["a b", "a/b"], "published": ...},
         "values a b and a/b of data.options.images would share the folder a_b"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_told_before_the_first_training(home, monkeypatch, changed, message):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home, **changed)
    with pytest.raises(ConfigError, match=message):
        start(home)
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "terms.contrastive.temperature=3",
            "the ablation sets terms.contrastive.temperature itself",
        ),
        ("training.seed=3", "the ablation sets training.seed itself"),
        ("training.epoch=3", "did you mean 'epochs'"),
    ],
)
def test_changes_are_of_other_settings(home, monkeypatch, change, message):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    with pytest.raises(ConfigError, match=message):
        start(home, changes=[change])


def test_the_source_is_given_once(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home, key="data.source", values=["shapes"], published=...)
    with pytest.raises(ConfigError, match="leave out --data"):
        start(home)


def test_unknown_ablations_and_files_that_are_none_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"did you mean 'probmcl-overlap'\? `colabel ablate`"):
        load_ablation("probmcl-overlaps")
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match=r"list\.yaml must be a YAML mapping such as 'key: "):
        load_ablation(path)


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


def test_a_picture_that_is_no_ablation_s_is_kept(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    (home / "out").mkdir()
    (home / "out" / "ablation.png").write_text("mine")
    with pytest.raises(RunError, match=r"ablation\.png is in the way: .*choose another folder"):
        start(home)
    assert (home / "out" / "ablation.png").read_text() == "mine"


def test_a_folder_in_the_way_is_named(home, monkeypatch):
    monkeypatch.setattr(grid_training, "train", never)
    write_ablation(home)
    (home / "out" / "1-1").mkdir(parents=True)
    (home / "out" / "1-1" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="1-1 is in the way: it is no run"):
        start(home)


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


@pytest.mark.slow
def test_two_processes_make_one_ablation(home):
    path = write_ablation(home, seeds=[0])
    words = ("ablate", path, "--data", home / "labels.csv", "--out", home / "out", "--cpu")
    done = run_program(*words, "--set", "training.epochs=1", processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written: ") == 1
    assert done.stderr.count("1 of 2: temperature 0.2, seed 0") == 1
    assert all(result["mean"] > 0 for result in read(home)["results"])


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

"""``colabel compare``: what it prints and refuses, and how it ends."""

import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from tiny_runs import command, write_recipe, write_tiny_table

from colabel.cli.compare_view import (
    classes_table,
    costs_table,
    methods_table,
    pairs_table,
    scores_table,
)
from colabel.workflows.comparison import run as comparison_run
from colabel.workflows.comparison.run import Comparison, Trial
from colabel.workflows.grid.training import Interruption

NAN = float("nan")
INTERVAL = {"low": 0.5, "high": 0.6, "interval": "centred"}


def a_run(name, *, mean=0.55, interval="centred"):
    return {
        "name": name, "mAP": mean, "CF1": 0.5, "OF1": 0.4, "mAUC": NAN, "parameters": 2_500_000,
        "macs": 12_300_000, "operating_point": {"CF1": 0.61, "OF1": 0.62},
        "intervals": {"mAP": INTERVAL | {"interval": interval}},
        "per_class": [{"name": "[b]cat", "AP": mean, "support": 7}],
    }  # fmt: skip


DOCUMENT = {
    "split": "test", "images": 9, "classes": ["[b]cat"], "resampled": "groups", "units": 4,
    "draws": 100, "threshold": 0.5, "chosen_on": "val", "metric": "mAP",
    "runs": [a_run("[b]one"), a_run("two", interval="none")],
    "methods": [
        {"name": "[b]m", "runs": ["a", "b"], "mean": 0.5, **INTERVAL,
         "seeds": {"values": [0.4, 0.6], "standard_deviation": 0.1414}},
    ],
    "pairs": [
        {"first": "[b]one", "second": "two", "difference": 0.021, "p": 0.01, "p_holm": 0.02,
         **INTERVAL, "different": True, "seeds": [{"seed": 0, "difference": -0.01}]},
        {"first": "a", "second": "b", "difference": -0.021, "p": 0.5, "p_holm": 1.0,
         "low": -0.1, "high": 0.05, "interval": "centred", "different": False, "seeds": []},
    ],
    "notes": ["a note"],
}  # fmt: skip
TIMINGS = {
    "[b]one": {"training_seconds": 12.4, "peak_memory_mb": 800, "images_per_second": None},
    "two": {"training_seconds": None, "peak_memory_mb": None, "images_per_second": 55.0},
}


def cells(table):
    console = Console(width=150, file=None)
    with console.capture() as captured:
        console.print(table)
    return [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in captured.get().splitlines()
        if "│" in line
    ]


def test_the_tables_say_what_the_document_does():
    assert cells(scores_table(DOCUMENT)) == [
        ["[b]one", "55.0", "50.0 to 60.0", "50.0", "40.0", "-", "61.0", "62.0"],
        ["two", "55.0", "-", "50.0", "40.0", "-", "61.0", "62.0"],
    ]
    assert cells(costs_table(DOCUMENT, TIMINGS)) == [
        ["[b]one", "2.50 M", "0.0123", "12", "800", "-"],
        ["two", "2.50 M", "0.0123", "-", "-", "55"],
    ]
    assert cells(methods_table(DOCUMENT)) == [
        ["[b]m", "50.0", "50.0 to 60.0", "14.1", "40.0 60.0"]
    ]
    assert cells(pairs_table(DOCUMENT)) == [
        ["[b]one", "two", "+2.1", "+50.0 to +60.0", "0.020", "first"],
        ["a", "b", "-2.1", "-10.0 to +5.0", "1.000", "no difference"],
    ]
    assert cells(classes_table(DOCUMENT)) == [["[b]cat", "7", "55.0", "55.0"]]


def test_of_many_pairs_those_of_the_best_are_printed():
    names = [f"m{i}" for i in range(8)]
    many = {
        **DOCUMENT,
        "methods": [
            {"name": name, "mean": math.nan if name == "m0" else (index * 3) % 8}
            for index, name in enumerate(names)
        ],
        "pairs": [
            {**DOCUMENT["pairs"][0], "first": first, "second": second}
            for first, second in itertools.combinations(names, 2)
        ],
    }
    table = pairs_table(many)
    assert [row[:2] for row in cells(table)] == [
        ["m0", "m5"], ["m1", "m5"], ["m2", "m5"], ["m3", "m5"], ["m4", "m5"], ["m5", "m6"],
        ["m5", "m7"],
    ]  # fmt: skip
    assert "these are the pairs of m5, all 28 are in compare.json" in str(table.caption)
    many["pairs"] = many["pairs"][:21]
    assert len(cells(pairs_table(many))) == 21


@pytest.fixture(scope="module")
def two(tiny_run, tmp_path_factory):
    """Two copies of the finished run."""
    home = tmp_path_factory.mktemp("two")
    for name in ("one", "two"):
        shutil.copytree(tiny_run, home / name)
    return home


def test_runs_are_compared_and_printed(two, capsys, monkeypatch):
    monkeypatch.chdir(two)
    assert command("compare", "one", "two", "--draws", "50", "--cpu") == 0
    printed = capsys.readouterr()
    assert "no difference" in printed.out
    assert "written: comparison" in printed.out
    assert "one seed of each method" in " ".join(printed.err.split())
    assert sorted(path.name for path in Path("comparison").iterdir()) == [
        "compare.json",
        "compare.png",
        "timings.json",
    ]
    assert command("compare", "one", "two", "--draws", "50", "--cpu", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document.pop("timings").keys() == {"one", "two"}
    assert document == json.loads((two / "comparison" / "compare.json").read_text())
    (pair,) = document["pairs"]
    assert {"first", "second", "metric", "difference", "low", "high", "p"} <= pair.keys()
    assert (pair["difference"], pair["p"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one"], "a comparison needs two runs or more"),
        ([], "a comparison needs two runs or more"),
        (["one", "nowhere"], "there is no run folder nowhere"),
        (["one", "two", "--metric", "map"], "no metric 'map' to compare; expected one of: CF1"),
        (["one", "two", "--metric", "CF1", "--seeds", "2"], "--seeds: only with --methods"),
        (["one", "two", "--frozen", "--set", "a=1"], "--set, --frozen: only with --methods"),
        (["one", "--methods", "bce,asl"], "give runs, or --methods to train"),
        (["--methods", "bce"], "a comparison needs two runs or more"),
        (
            ["--methods", "bce,kcml"],
            "there is no recipe and no file called 'kcml'; did you mean 'kmcl'?",
        ),
        (["--methods", "bce,asl", "--metric", "x"], "there is no metric 'x'"),
        (["--methods", "bce,bce"], "list each once"),
    ],
)
def test_what_cannot_be_compared_is_told(two, monkeypatch, capsys, words, message):
    monkeypatch.chdir(two)
    assert command("compare", *words, "--out", "elsewhere") == 2
    assert message in capsys.readouterr().err
    assert not Path("elsewhere").exists()


def test_a_file_is_no_folder_to_write_into(two, monkeypatch, capsys):
    monkeypatch.chdir(two)
    before = Path("one/model.json").read_bytes()
    assert command("compare", "one", "two", "--out", "one/model.json") == 2
    assert "one/model.json is a file; --out names the folder" in capsys.readouterr().err
    assert Path("one/model.json").read_bytes() == before


def test_methods_are_trained_with_the_settings_given(tmp_path, monkeypatch, capsys):
    home = tmp_path
    write_tiny_table(home)
    recipe = write_recipe(home).read_text()
    (home / "other.yaml").write_text(recipe.replace("kmcl", "asl"))
    words = ("compare", "--methods", f"{home}/tiny.yaml, {home}/other.yaml", "--cpu", "--draws",
             "40", "--data", f"{home}/labels.csv", "--out", home / "out", "--epochs", "1",
             "--set", "training.batch_size=9", "--option", "delimiter=;")  # fmt: skip
    assert command(*words) == 0
    printed = capsys.readouterr()
    assert "1 of 2: tiny, seed 0" in printed.err
    assert "tiny-0" in printed.out
    for name in ("tiny-0", "other-0"):
        text = (home / "out" / name / "config.yaml").read_text()
        assert "epochs: 1" in text
        assert "batch_size: 9" in text


def test_an_interrupted_or_failed_comparison_says_so(monkeypatch, capsys):
    def ends_with(trial):
        monkeypatch.setattr(comparison_run, "compare_methods", lambda *_, **__: trial)
        return command("compare", "--methods", "bce,asl", "--data", "shapes")

    assert ends_with(Trial(None, (), Interruption("SIGTERM"))) == 143
    assert "to go on: the same command again" in capsys.readouterr().err
    comparison = Comparison(Path("x"), DOCUMENT, TIMINGS)
    assert ends_with(Trial(comparison, ("bce-0: not finite",), None)) == 1
    printed = capsys.readouterr()
    assert "failed: bce-0: not finite\n" in printed.err
    assert "note: a note\n" in printed.err
    assert "written: x" in printed.out
    monkeypatch.setenv("RANK", "1")
    assert ends_with(Trial(comparison, (), None)) == 0
    assert capsys.readouterr().out == ""

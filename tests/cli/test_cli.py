"""The commands from end to end, but for predictions: what they print and write."""

import json

import pytest
from drawn_figures import assert_picture
from fakes import write_voc
from PIL import Image
from tiny_runs import CLASSES, RECIPE, command, run_python, write_tiny_table


def test_help_and_imports_need_neither_torch_nor_anything_slow():
    script = """
import sys
import colabel, colabel.cli
sys.argv = ["colabel", "--help"]
try:
    colabel.cli.main()
except SystemExit as ended:
    assert not ended.code
slow = {"torch", "numpy", "timm", "accelerate", "pydantic", "matplotlib", "PIL"} & set(sys.modules)
assert not slow, slow
"""
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
    for name in (
        "train",
        "evaluate",
        "predict",
        "check",
        "cost",
        "ablate",
        "sweep",
        "figure",
        "recipes",
    ):
        assert name in done.stdout


@pytest.mark.parametrize(
    "name",
    ["train", "evaluate", "predict", "check", "cost", "ablate", "sweep", "figure", "recipes"],
)
def test_every_command_explains_itself(capsys, name):
    assert command(name, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_recipes_are_listed_and_printed(capsys):
    assert command("recipes") == 0
    assert "shapes-kmcl" in capsys.readouterr().out
    assert command("recipes", "shapes-kmcl") == 0
    printed = capsys.readouterr().out
    assert "name: resnet10t" in printed
    assert "temperature: 0.2" in printed


def test_a_printed_recipe_can_be_trained_from(tmp_path, capsys):
    from colabel.config import load_config

    command("recipes", "voc2007-kmcl-tresnet-m")
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_config(path) == load_config("voc2007-kmcl-tresnet-m")


def test_cost_is_a_table_or_json(capsys):
    arguments = ("cost", "test_efficientnet", "--classes", 3, "--image-size", 64)
    assert command(*arguments) == 0
    assert "parameters" in capsys.readouterr().out
    assert command(*arguments, "--json", "--covariance", "linear") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameters"] == 99196 + 257 * 3
    assert answer["head_parameters"] == 257 * 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), 9 * 257),
        (("--head", "kernel_mixture"), 9 * 257),
        (("--head", "kernel_mixture", "--covariance", "diagonal"), (6 * 256 + 3) * 257),
        (("--head", "linear"), 3 * 257),
        (("--head", "linear", "--covariance", "linear"), 3 * 257),
        (("--head", "max"), 3 * 257),
        (("--head", "generalised-mean"), 3 * 257 + 1),
        (("--head", "mixture_density"), 257 * 2048 + 2049 * 128 + 9 * 129),
    ],
)
def test_the_cost_of_a_head_is_counted_apart(capsys, options, expected):
    """Weights, means and variances of three labels on 256 features; two hidden layers before."""
    arguments = ("cost", "test_efficientnet", "--classes", 3, "--image-size", 64, "--json")
    assert command(*arguments, *options) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["head_parameters"] == expected
    assert answer["parameters"] == 99196 + expected


def test_the_cost_of_a_run_needs_no_options(run, capsys):
    assert command("cost", run, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    encoder = ("cost", "test_efficientnet", "--classes", len(CLASSES), "--image-size", 32)
    assert command(*encoder, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert command("cost", run) == 0
    assert f"{answer['paper_parameters'] / 1e6:.2f} M" in capsys.readouterr().out


def test_evaluate_prints_and_writes_the_metrics(run, capsys):
    assert command("evaluate", run, "--classes", "--cpu") == 0
    printed = capsys.readouterr().out
    written = json.loads((run / "metrics-test.json").read_text())
    assert f"{100 * written['mAP']:.1f}" in printed
    assert "noninterpolated" in printed
    assert all(name in printed for name in CLASSES)
    assert f"written: {run / 'metrics-test.json'}\n" in printed
    assert (run / "predictions-test.npz").is_file()
    assert f"picture: {run / 'per-class-test.png'}\n" in printed
    assert_picture(run / "per-class-test.png")


def test_evaluate_says_what_it_left_out_and_where_it_wrote(run, tmp_path, capsys):
    table = write_tiny_table(tmp_path, images=9, classes=("cat", "owl"))
    (tmp_path / "images" / "04.png").write_bytes(b"no image")
    arguments = ("evaluate", run, "--data", table, "--split", "all", "--cpu")
    assert command(*arguments) == 2
    assert "04.png: not an image of a known format" in capsys.readouterr().err
    assert not (run / "metrics-all-labels.json").exists()
    assert command(*arguments, "--on-corrupt", "skip") == 0
    printed = capsys.readouterr()
    assert "data: labels: labels" in printed.err
    assert "note: labels that the data does not have: dog; taken as absent from" in printed.err
    assert "note: 1 of 9 images cannot be decoded and were left out" in printed.err
    assert f"written: {run / 'metrics-all-labels.json'}\n" in printed.out
    assert (run / "per-class-all-labels.png").is_file()
    assert "8 images, 3 classes" in printed.out


def test_check_reports_and_fails_where_training_would_stop(tmp_path, capsys):
    table = write_tiny_table(tmp_path)
    assert command("check", table) == 0
    assert "cat" in capsys.readouterr().out
    (tmp_path / "images" / "07.png").write_bytes(b"no image")
    assert command("check", table, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["classes"] == list(CLASSES)
    assert "07.png" in json.dumps(report["problems"])
    assert command("check", table, "--no-decode", "--json") == 0
    capsys.readouterr()


def test_check_takes_options_and_sources_without_a_public_test_split(tmp_path, capsys):
    write_voc(tmp_path, "VOC2012")
    command("check", f"voc2012:{tmp_path}", "--option", "difficult=absent", "--json")
    report = json.loads(capsys.readouterr().out)
    assert set(report["splits"]) == {"train", "val"}
    assert command("check", f"voc2012:{tmp_path}", "--option", "dificult=absent") == 2
    assert "did you mean 'difficult'?" in capsys.readouterr().err


def test_the_recipe_of_these_tests_is_trained_on_its_own_source(tmp_path, monkeypatch, capsys):
    """A recipe's relative source is found again from any other folder."""
    write_tiny_table(tmp_path, images=12)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        RECIPE.replace("data: {", "data: {source: labels.csv, ").replace("epochs: 2", "epochs: 1")
    )
    monkeypatch.chdir(tmp_path)
    assert command("train", "mine.yaml", "--cpu", "--set", "training.batch_size=4") == 0
    printed = capsys.readouterr().out
    assert "run: runs/mine-1\n" in printed
    assert "next: colabel evaluate runs/mine-1\n" in printed
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert command("evaluate", tmp_path / "runs" / "mine-1", "--cpu") == 0
    with Image.open(tmp_path / "runs" / "mine-1" / "curves.png") as curves:
        assert curves.width > 300

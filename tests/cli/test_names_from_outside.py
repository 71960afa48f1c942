"""Names of classes and files that look like markup, emoji codes or commands to a terminal."""

import csv
import re
import shutil

import numpy as np
import pytest
from fakes import write_image
from tiny_runs import command, write_recipe

CLASSES = (
    "lesion [left]",
    "x [/old]",
    "cost $_{1",
    ":smile:",
    "[red]ma\\n[/red]",
)
FOLDER = "img [/b] :smile:"
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def write_table(folder):
    """Write images and a table with these names; return its path."""
    generator = np.random.default_rng(1)
    path = folder / "labels [x].csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *CLASSES])
        for number in range(30):
            name = f"{FOLDER}/{number:02}\x1b[2J.png"
            write_image(folder / name, size=(40, 36), seed=number)
            labels = generator.random(len(CLASSES)) < 0.5
            labels[number % len(CLASSES)] = True
            writer.writerow([name, *labels.astype(int)])
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names") / "data [/d]"
    folder.mkdir(parents=True)
    return folder, write_table(folder), write_recipe(folder)


def check_printed(capsys):
    """Return what was printed, of which nothing may act on a terminal."""
    printed = capsys.readouterr()
    for text in printed:
        assert not ACTS.search(text), ACTS.search(text)
    return printed


def test_every_command_prints_names_as_they_are(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder, table, recipe = trained
    broken = folder / FOLDER / "03\x1b[2J.png"
    whole = broken.read_bytes()
    out = tmp_path / "run [/r] :smile:"
    arguments = ("train", recipe, "--data", table, "--cpu", "--set", "training.epochs=1")

    broken.write_bytes(b"no image")
    assert command(*arguments, "--out", out) == 2
    assert r"img [/b] :smile:/03\x1b[2J.png: not an image" in check_printed(capsys).err
    skip = ("--set", "data.on_corrupt=skip")
    assert command(*arguments, "--out", out, *skip) == 0
    printed = check_printed(capsys)
    assert f"run: {out}\n" in printed.out
    assert f"next: colabel evaluate {out}\n" in printed.out

    assert command("check", table) == 1
    printed = check_printed(capsys)
    assert r"03\x1b[2J.png" in printed.out
    assert all(name in printed.out for name in CLASSES)

    assert command("predict", out, broken, "--out", tmp_path / "answers.csv") == 1
    assert r"/03\x1b[2J.png: not an image" in check_printed(capsys).err

    broken.write_bytes(whole)
    assert command("evaluate", out, "--classes", "--cpu", "--split", "all") == 0
    printed = check_printed(capsys)
    assert all(name in printed.out for name in CLASSES)
    assert f"written: {out / 'metrics-all.json'}\n" in printed.out


def test_an_ablation_prints_names_as_they_are(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, table, recipe = trained
    shutil.copy(recipe, tmp_path / "recipe [r].yaml")
    path = tmp_path / "mine [m] :smile:.yaml"
    path.write_text(
        'recipe: "recipe [r].yaml"\n'
        "key: data.options.ignore\n"
        'values: [[], ["x [/old]"], ["cost $_{1"]]\n'
        "seeds: [0]\n"
        'published: {source: "a [/paper] :smile:"}\n'
    )
    out = tmp_path / "out [/o]"
    monkeypatch.chdir(tmp_path)
    assert command("ablate", path, "--data", table, "--out", out, "--cpu") == 0
    printed = check_printed(capsys)
    assert "mine [m] :smile:: data.options.ignore" in printed.out
    assert '["x [/old]"]' in printed.out
    assert "paper: a [/paper] :smile:" in printed.out
    assert f"written: {out}\n" in printed.out
    assert '"x [/old]"' in printed.err
    assert (out / "ablation.png").is_file()

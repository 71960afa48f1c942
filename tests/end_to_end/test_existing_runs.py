"""A run that is there is neither trained over nor taken further with anything else."""

import shutil

import pytest
from fakes import write_image
from started_runs import train, write_rows
from tiny_runs import CLASSES, command, write_recipe, write_tiny_table

import colabel
from colabel.errors import RunError
from colabel.workflows import train as training_run

pytestmark = pytest.mark.usefixtures("blank_charts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run with everything it was made of; no test may spoil it."""
    folder = tmp_path_factory.mktemp("trained")
    write_recipe(folder)
    write_tiny_table(folder, images=16)
    assert train(folder, "--set", "training.epochs=1") == 0
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "run exists already; add --resume to continue the run in it, or choose another"),
        (
            ("--resume", "--set", "training.epochs=2"),
            "started with other settings: training.epochs was 1, is 2. Resume it with the recipe",
        ),
        (
            (
                "--resume",
                "--set",
                "training.epochs=1",
                "--set",
                "terms.contrastive.temperature=0.1",
            ),
            "terms.contrastive.temperature was 0.2, is 0.1",
        ),
    ],
)
def test_a_run_that_is_there_is_not_touched(trained, capsys, arguments, message):
    before = contents(trained / "run")
    assert train(trained, *arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "decoding" not in printed  # which takes minutes where there are many images
    assert contents(trained / "run") == before


def test_a_run_is_not_resumed_with_other_images(trained, tmp_path, capsys):
    lines = (trained / "labels.csv").read_text().splitlines()
    other = trained / "other.csv"
    other.write_text("\n".join([lines[0], *(f"{line};elk" for line in lines[1:])]) + "\n")
    before = contents(trained / "run")
    arguments = ("--resume", "--set", "training.epochs=1")
    assert train(trained, *arguments, data=other) == 2
    assert "started with other images or labels: the split train" in capsys.readouterr().err
    assert contents(trained / "run") == before


def divided(folder, change=None):
    """Write a divided table, of which one row may be changed."""
    rows = [
        f"images/{n:02}.png,{CLASSES[n % 3]},{'train' if n < 12 else 'val'}" for n in range(16)
    ]
    if change is not None:
        number, before, after = change
        assert before in rows[number]
        rows[number] = rows[number].replace(before, after)
    write_rows(folder, "path,labels,split", *rows)


@pytest.mark.parametrize(
    ("change", "split"),
    [
        ((0, "cat", "dog"), "train"),
        ((11, ",train", ",test"), "train"),
        ((13, "dog", "owl"), "val"),
        ((12, ",val", ",test"), "val"),
    ],
)
def test_a_run_stopped_in_its_first_epoch_goes_on_with_its_own_data_alone(
    folder, capsys, monkeypatch, change, split
):
    def stop(*_, **__):
        raise RunError("stopped before the first validation ended")

    divided(folder)
    with monkeypatch.context() as patch:
        patch.setattr(training_run, "score_predictions", stop)
        assert train(folder) == 2
    assert "stopped before" in capsys.readouterr().err
    assert not (folder / "run" / "model.json").exists()
    before = contents(folder / "run")
    divided(folder, change)
    assert train(folder, "--resume") == 2
    assert f"other images or labels: the split {split} had" in capsys.readouterr().err
    assert contents(folder / "run") == before
    divided(folder)
    assert train(folder, "--resume") == 0


def test_labels_dealt_out_anew_are_other_data(trained, capsys):
    lines = (trained / "labels.csv").read_text().splitlines()
    paths, labels = zip(*(line.split(",") for line in lines[1:]), strict=True)
    other = trained / "shuffled.csv"
    rows = [f"{path},{label}" for path, label in zip(paths, (*labels[1:], labels[0]), strict=True)]
    other.write_text("\n".join([lines[0], *rows]) + "\n")
    before = contents(trained / "run")
    assert train(trained, "--resume", "--set", "training.epochs=1", data=other) == 2
    assert "started with other images or labels" in capsys.readouterr().err
    assert contents(trained / "run") == before


def test_a_run_whose_state_is_gone_is_not_trained_over(trained, tmp_path, capsys):
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "last")
    before = contents(tmp_path / "run")
    arguments = ("--out", tmp_path / "run", "--resume", "--set", "training.epochs=1")
    assert train(trained, *arguments) == 2
    printed = capsys.readouterr().err
    assert "holds a model but no state to go on from (last/ is missing)" in printed
    assert "decoding" not in printed
    assert contents(tmp_path / "run") == before


def test_a_run_folder_with_the_users_files_is_refused_and_kept(folder, capsys):
    (folder / "run").mkdir()
    for name in ("config.yaml", "split.csv"):
        (folder / "run" / name).write_text("mine")
    before = contents(folder / "run")
    assert train(folder) == 2
    printed = capsys.readouterr().err
    assert "exists already" in printed
    assert "decoding" not in printed
    assert contents(folder / "run") == before


def test_only_a_run_can_be_resumed(folder, capsys):
    assert train(folder, "--resume") == 2
    assert "there is no run to resume in" in capsys.readouterr().err
    recipe = folder / "tiny.yaml"
    assert command("train", recipe, "--resume", "--cpu") == 2
    assert "add --out FOLDER" in capsys.readouterr().err


def test_data_of_other_classes_are_not_measured(trained, tmp_path, capsys):
    table = write_tiny_table(tmp_path, images=16, classes=("cat", "dog", "elk"))
    before = contents(trained / "run")
    arguments = ("evaluate", trained / "run", "--data", table, "--cpu")
    assert command(*arguments, "--split", "all") == 2
    printed = capsys.readouterr().err
    assert "has labels that the model does not know: elk; it knows cat, dog, owl." in printed
    assert contents(trained / "run") == before


def test_the_images_of_another_table_are_measured_as_a_whole(trained, tmp_path, capsys):
    for number in range(4):
        write_image(tmp_path / f"{number}.png", seed=number)
    table = tmp_path / "labels.csv"
    table.write_text("path,cat,dog,owl\n0.png,1,0,0\n1.png,0,1,0\n2.png,0,0,1\n3.png,1,1,0\n")
    run = tmp_path / "run"
    run.mkdir()
    for path in (trained / "run").iterdir():
        if path.is_file():
            (run / path.name).write_bytes(path.read_bytes())
    assert command("evaluate", run, "--data", table, "--cpu") == 2
    assert "that the run did not divide, such as all" in capsys.readouterr().err
    evaluated = colabel.evaluate(run, data=str(table), split="all", cpu=True)
    assert evaluated.report.to_dict()["images"] == 4
    assert evaluated.path == run / "metrics-all-labels.json"

"""What cannot be used is named before the first batch, without a trace, and nothing is lost."""

import json
import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import (
    encode,
    jpeg_claiming,
    png_claiming,
    ramp,
    voc_annotation,
    write_image,
    write_voc,
)
from PIL import Image
from tiny_runs import CLASSES, command, write_recipe, write_tiny_table
from torch import nn

import colabel
from colabel.config import load_config
from colabel.errors import ConfigError, RunError
from colabel.models import Classifier, Head, LinearHead
from colabel.workflows import train as training_run

pytestmark = pytest.mark.usefixtures("blank_charts")


@pytest.fixture
def folder(tmp_path):
    """A recipe and a table that can be trained on, before a test spoils them."""
    write_recipe(tmp_path)
    write_tiny_table(tmp_path, images=16)
    return tmp_path


def train(folder, *arguments, data=None):
    """Start training as a user would."""
    return command(
        "train",
        folder / "tiny.yaml",
        "--data",
        data or folder / "labels.csv",
        "--out",
        folder / "run",
        "--cpu",
        *arguments,
    )


def refused(folder, capsys, *arguments, data=None):
    """Check that training ends before it begins; return what the user reads."""
    assert train(folder, *arguments, data=data) == 2
    printed = capsys.readouterr().err
    assert "error: " in printed
    assert "Traceback" not in printed
    assert not (folder / "run").exists()
    return printed


def test_the_folder_is_good_before_it_is_spoilt(folder):
    assert train(folder, "--set", "training.epochs=1") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("encoder.name=test_efficentnet", "did you mean 'test_efficientnet"),
        ("encoder.weights=nowhere.pt", "nowhere.pt"),
        ("training.batch_size=99", "cannot be filled from 12 training images; set training.batch"),
        ("training.batch_size=1", "leaves a part of one image, which batch normalisation cannot"),
        ("training.accumulation=2", "set accumulation to 1"),
        (
            "terms={classification: {weight: 0}, contrastive: null, reconstruction: {weight: 0}}",
            "at least one term",
        ),
    ],
)
def test_settings_that_cannot_be_run(folder, capsys, change, message):
    code = train(folder, "--set", change)
    printed = capsys.readouterr().err
    assert code == 2
    assert message in printed
    assert "Traceback" not in printed
    assert not (folder / "run" / "model.json").exists()
    assert train(folder, "--set", "training.epochs=1") == 0, "the folder must be free again"


def write_rows(folder, *rows):
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([""], "the file is empty"),
        (["path,labels"], "no row"),
        (["path,cat,dog", "images/00.png,1,a lot"], "the column 'dog' holds 'a lot', expected 1"),
        (
            ["path,cat", "images/00.png,1", "images/00.png,0"],
            "00.png' stands already in line",
        ),
        (["id,path,cat", "7,images/00.png,1", "7,images/01.png,0"], "'7' stands already in line"),
        (["path,labels", "../../etc/passwd,cat"], "leaves the data folder"),
        (["path,labels", "/etc/passwd,cat"], "leaves the data folder"),
        (["path,labels", "elsewhere/00.png,cat"], "none of the 1 images"),
        (["name,labels", "one,cat"], "no column with the paths of the images"),
        (["path,labels,split", "images/00.png,cat,later"], "expected train, val or test"),
        (
            ["path,labels", *(f"images/{number:02}.png," for number in range(9))],
            "no image of the split train has any label",
        ),
        (["path,labels", "images/00.png,cat", "images/01.png,dog"], "cannot fill 3 splits"),
        (
            ["path,cat,split", "images/00.png,0,train", "images/01.png,1,val"],
            "no image of the split train has any label",
        ),
        (
            ["path,cat,split", "images/00.png,1,train", "images/01.png,0,val"],
            "no image of the split val has any label",
        ),
    ],
)
def test_tables_that_cannot_be_used(folder, capsys, rows, message):
    write_rows(folder, *rows)
    assert message in refused(folder, capsys)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "nowhere.csv: no such file"),
        ("voc2007:nowhere", "there is no folder"),
        ("voc2007:.", "not found; looked for"),
        ("imagenet:.", "is not understood"),
        ("nowhere", "is not understood"),
    ],
)
def test_wrong_paths(folder, capsys, monkeypatch, source, message):
    monkeypatch.chdir(folder)
    assert message in refused(folder, capsys, data=source)


def test_xml_with_entities(tmp_path, capsys):
    write_recipe(tmp_path)
    year = write_voc(tmp_path)
    bomb = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>'
    annotation = voc_annotation("000001", [("dog", 0)]).replace("dog", "&y;")
    (year / "Annotations" / "000001.xml").write_text(bomb + annotation)
    printed = refused(tmp_path, capsys, data=f"voc2007:{tmp_path}")
    assert "000001.xml" in printed
    assert "entit" in printed.lower()


def spoil(path, kind):
    """Replace an image by one that cannot be used; return what the message says of it."""
    picture = ramp((40, 36))
    if kind == "missing":
        path.unlink()
        return "no such file"
    contents = {
        "no image": (b"<html>not found</html>", "not an image of a known format"),
        "empty": (b"", "not an image of a known format"),
        "cut": (encode(picture, "PNG")[:-60], ""),
        "cut jpeg": (encode(picture, "JPEG", quality=95)[:-300], ""),
        "too tall": (png_claiming(encode(picture, "PNG"), 40, 3000), ""),
        "too tall jpeg": (jpeg_claiming(encode(picture, "JPEG"), 40, 3000), ""),
        "bomb": (png_claiming(encode(picture, "PNG"), 12000, 12000), "12000 x 12000 pixels"),
        "huge bomb": (png_claiming(encode(picture, "PNG"), 2**30, 2**30), "pixels"),
    }
    content, message = contents[kind]
    path.write_bytes(content)
    return message


KINDS = (
    "missing", "no image", "empty", "cut", "cut jpeg", "too tall", "too tall jpeg", "bomb",
    "huge bomb",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_cannot_be_used_is_named_before_the_first_epoch(folder, capsys, kind):
    message = spoil(folder / "images" / "03.png", kind)
    printed = refused(folder, capsys)
    assert "images cannot be decoded" in printed
    assert f"{folder / 'images' / '03.png'}: " in printed
    assert message in printed
    assert "data.on_corrupt: skip in a recipe" in printed


def test_images_that_cannot_be_used_are_left_out_if_asked(folder):
    for number, kind in enumerate(KINDS):
        spoil(folder / "images" / f"{number + 3:02}.png", kind)
    rows = [f"images/{number:02}.png,cat;dog,train" for number in range(12)]
    rows += [f"images/{number:02}.png,cat,val" for number in range(12, 16)]
    write_rows(folder, "path,labels,split", *rows)
    changes = ("training.epochs=1", "training.batch_size=3", "data.on_corrupt=skip")
    assert train(folder, *(word for change in changes for word in ("--set", change))) == 0
    assert json.loads((folder / "run" / "model.json").read_text())["data"]["images"] == 3


def test_nothing_is_left_if_every_image_is_corrupt(folder, capsys):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no image")
    assert "nothing is left" in refused(folder, capsys, "--set", "data.on_corrupt=skip")


def test_how_pixels_are_read_is_noted_and_travels_with_the_model(folder, capsys):
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            reflectance = np.asarray(image.convert("L")).astype(np.uint16) * 8
        Image.fromarray(reflectance).save(path)
    assert train(folder, "--set", "training.epochs=1") == 0
    printed = capsys.readouterr().err
    assert printed.count("images nearly black; first: ") == 2  # once for train, once for val
    assert "data.scale" in printed
    shutil.rmtree(folder / "run")
    assert train(folder, "--set", "training.epochs=1", "--set", "data.scale=2040") == 0
    assert "nearly black" not in capsys.readouterr().err
    bright, dark = Image.new("I;16", (40, 36), 2040), Image.new("I;16", (40, 36), 65_535)
    predictor = colabel.load(folder / "run")
    (first, second), (white,) = (
        predictor.predict([bright, dark]),
        predictor.predict(np.full((36, 40, 3), 255, np.uint8)),
    )
    # white comes in a batch of its own, which may round otherwise
    assert first.probabilities == second.probabilities
    assert white.probabilities == pytest.approx(first.probabilities, rel=1e-6)


def test_a_large_image_is_admitted_by_the_setting_that_is_named(folder, capsys):
    Image.new("1", (9500, 9500)).save(folder / "images" / "03.png")
    printed = refused(folder, capsys)
    assert "add --set data.max_pixels=90250000 (train, check)" in printed
    assert train(folder, "--set", "training.epochs=1", "--set", "data.max_pixels=90250000") == 0
    large, run = folder / "images" / "03.png", folder / "run"
    assert command("predict", run, large) == 0
    assert command("predict", run, large, "--max-pixels", "1000") == 1


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


def test_batch_parts_and_processes_are_checked_before_an_image_is_decoded(folder, capsys):
    (folder / "asl.yaml").write_text(
        (folder / "tiny.yaml").read_text().replace("name: kmcl", "name: asl")
    )

    def start(*changes):
        words = [word for change in changes for word in ("--set", change)]
        status = command(
            "train", folder / "asl.yaml", "--data", folder / "labels.csv", "--out", folder / "run",
            "--cpu", *words,
        )  # fmt: skip
        return status, capsys.readouterr().err

    one = "leaves a part of one image, which batch normalisation cannot use"
    for changes, message in (
        (("training.batch_size=4", "training.accumulation=4"), one),
        (("training.batch_size=7", "training.accumulation=3"), one),  # 3, 3 and 1
        (("training.batch_size=13",), "cannot be filled from 12 training images"),
    ):
        status, printed = start(*changes)
        assert status == 2
        assert message in printed
        assert "decoding" not in printed
        assert not (folder / "run").exists()
    frozen = ("training.epochs=1", "training.batch_size=4", "training.accumulation=4")
    assert start(*frozen, "encoder.freeze_batch_norm=true")[0] == 0


@pytest.mark.parametrize(
    ("changes", "refused"),
    [((), True), (("training.synchronise_batch_norm=true",), False)],
)
def test_one_image_a_process_needs_statistics_of_all(changes, refused):
    config = load_config("shapes-asl", ["training.batch_size=2", *changes])
    two = SimpleNamespace(num_processes=2)
    model = Classifier(nn.BatchNorm2d(3), Head(LinearHead(3, 2)))
    check = partial(training_run._check_batch, config, two, model, images=10)
    if not refused:
        check()
        return
    with pytest.raises(ConfigError, match=r"training\.synchronise_batch_norm: true"):
        check()


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


def test_patients_in_two_splits_stop_training(folder, capsys):
    rows = [f"images/{n:02}.png,cat,{'train' if n < 12 else 'val'},{n % 15}" for n in range(16)]
    write_rows(folder, "path,labels,split,patient", *rows)
    assert "1 groups have images in both train and val, first '0'" in refused(folder, capsys)
    changes = ("data.shared_groups=allow", "training.epochs=1")
    assert train(folder, *(word for change in changes for word in ("--set", change))) == 0


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

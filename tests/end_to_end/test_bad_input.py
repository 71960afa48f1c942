"""What cannot be used is named before the first batch, without a trace, and nothing is lost."""

from functools import partial
from types import SimpleNamespace

import pytest
from fakes import voc_annotation, write_voc
from started_runs import refused, train, write_rows
from tiny_runs import command, write_recipe
from torch import nn

from colabel.config import load_config
from colabel.errors import ConfigError
from colabel.models import Classifier, Head, LinearHead
from colabel.workflows.enough_images import check_batch

pytestmark = pytest.mark.usefixtures("blank_charts")


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
    check = partial(check_batch, config, two, model, images=10)
    if not refused:
        check()
        return
    with pytest.raises(ConfigError, match=r"training\.synchronise_batch_norm: true"):
        check()


def test_patients_in_two_splits_stop_training(folder, capsys):
    rows = [f"images/{n:02}.png,cat,{'train' if n < 12 else 'val'},{n % 15}" for n in range(16)]
    write_rows(folder, "path,labels,split,patient", *rows)
    assert "1 groups have images in both train and val, first '0'" in refused(folder, capsys)
    changes = ("data.shared_groups=allow", "training.epochs=1")
    assert train(folder, *(word for change in changes for word in ("--set", change))) == 0

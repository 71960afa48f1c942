import json
from dataclasses import replace

import pytest
import torch
from fakes import write_adp, write_chestxray14, write_coco, write_image, write_voc
from pictures import some_records
from safetensors.torch import save_file
from tiny_runs import CLASSES, IMAGES, write_tiny_table

from colabel.build import model as build_model
from colabel.build import source as build_source
from colabel.build.division import open_training_data
from colabel.build.model import build_classifier, build_stages
from colabel.build.source import open_source
from colabel.config import check_config
from colabel.data.split import write_split_table
from colabel.errors import ConfigError, DataError, RunError, WeightsError
from colabel.methods.kmcl import KMCL
from colabel.methods.baselines import ASL, BCE
from colabel.models import KernelMixtureHead, LinearHead
from colabel.settings.data import Data
from colabel.settings.encoder import EncoderSettings
from colabel.workflows.predict import load_predictor

ENCODER = EncoderSettings(name="test_efficientnet")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_tiny_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder per reader, in its own layout."""
    root = tmp_path_factory.mktemp("folders")
    write_voc(root / "voc2007")
    write_voc(root / "voc2012", "VOC2012")
    write_coco(root / "coco2014", 2014)
    write_coco(root / "coco2017", 2017)
    write_chestxray14(root / "chestxray14", layout="chexnet")
    write_adp(root / "adp")
    return root


@pytest.mark.parametrize(
    ("reader", "splits"),
    [
        ("voc2007", ["train", "val", "test"]),
        ("voc2012", ["train", "val"]),
        ("coco2014", ["train", "test"]),
        ("coco2017", ["train", "test"]),
        ("chestxray14", ["train", "val", "test"]),
        ("adp", ["train", "val", "test"]),
    ],
)
def test_every_reader_gives_the_splits_it_has(folders, reader, splits):
    opened = open_source(Data(source=f"{reader}:{folders / reader}"))
    assert list(opened) == splits
    assert all(len(records) for records in opened.values())
    assert len({records.classes for records in opened.values()}) == 1


def test_every_reader_is_tried():
    assert set(build_source.READERS) == {
        "voc2007", "voc2012", "coco2014", "coco2017", "chestxray14", "adp",
    }  # fmt: skip
    assert set(build_source.LAYOUTS) == {
        "coco", "fiftyone", "folders", "labelstudio", "openimages", "textfiles", "voc",
    }  # fmt: skip
    assert set(build_model.METHODS) == {"kmcl", "probmcl", "asl", "bce"}


def test_a_test_split_that_was_never_published_is_refused_when_asked_for(folders):
    data = Data(source=f"voc2012:{folders / 'voc2012'}")
    with pytest.raises(DataError, match="no public labels for its test split"):
        open_source(data, ("test",))


def test_options_reach_the_reader(folders):
    source = f"voc2007:{folders / 'voc2007'}"
    default, present = (
        open_source(Data(source=source, options=options), ("train",))["train"]
        for options in ({}, {"difficult": "present"})
    )
    assert (default.targets == -1).any()
    assert not (present.targets == -1).any()


def test_options_for_training_alone_leave_the_other_splits_as_they_are(folders):
    data = Data(source=f"coco2014:{folders / 'coco2014'}", train_options={"unannotated": "drop"})
    opened = open_source(data)
    assert (len(opened["train"]), len(opened["test"])) == (3, 4)
    with pytest.raises(ConfigError, match=r"train_options\.unanotated.*'unannotated'"):
        open_source(data.model_copy(update={"train_options": {"unanotated": "drop"}}))


def test_a_table_is_read_once_so_it_has_no_options_for_training_alone(table):
    with pytest.raises(ConfigError, match=r"data\.train_options.*use data\.options"):
        open_source(Data(source=str(table), train_options={"blank": "unknown"}))


def test_shapes_are_drawn_as_asked():
    opened = open_source(
        Data(options={"images": dict.fromkeys(("train", "val", "test"), 5), "seed": 3})
    )
    assert {name: len(records) for name, records in opened.items()} == dict.fromkeys(
        ("train", "val", "test"), 5
    )


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("nowhere.csv", {}, DataError, "nowhere.csv: no such file"),
        ("voc2007:nowhere", {}, DataError, "there is no folder nowhere"),
        ("voc2008:nowhere", {}, ConfigError, "did you mean 'voc2007'"),
        ("pictures", {}, ConfigError, "is not understood; expected a .csv, .tsv, .parquet"),
        ("shapes", {"ambigity": 1}, ConfigError, "did you mean 'ambiguity'"),
        ("voc2007:FOLDER", {"dificult": "absent"}, ConfigError, "did you mean 'difficult'"),
        ("TABLE", {"lables": "x"}, ConfigError, "data.options.lables.*did you mean 'labels'"),
        (
            "TABLE",
            {"blank": "zero"},
            ConfigError,
            "options.blank: input should be 'absent' or 'un",
        ),
        ("TABLE", {"ignore": 3}, ConfigError, "options.ignore: .*got 3"),
        ("shapes", {"images": 5}, ConfigError, "options.images: .*got 5"),
        ("shapes", {"ambiguity": "high"}, ConfigError, "options.ambiguity: .*got 'high'"),
        ("voc2007:FOLDER", {"difficult": "maybe"}, ConfigError, "options.difficult: .*'unknown'"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(table, folders, source, options, error, message):
    source = source.replace("TABLE", str(table)).replace("FOLDER", str(folders / "voc2007"))
    with pytest.raises(error, match=message):
        open_source(Data(source=source, options=options))


def test_options_of_a_table_are_plain_values(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / "elsewhere" / f"{name}.png")
    path = tmp_path / "labels.csv"
    path.write_text("file,cat,dog,note,fold\na.png,1,,x,1\nb.png,0,1,y,2\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text("a.png\nb.png\n")
    options = {
        "ignore": ["note", "fold"],
        "blank": "unknown",
        "images": str(tmp_path / "elsewhere"),
        "splits": str(tmp_path / "lists"),
    }
    opened = open_source(Data(source=str(path), options=options))
    assert list(opened) == ["train"]
    assert opened["train"].targets.tolist() == [[1, -1], [0, 1]]
    assert opened["train"].images.open(1).size == (16, 12)


def test_an_undivided_table_is_divided_in_three_by_the_seed_alone(table):
    data = Data(source=str(table))
    parts = open_training_data(data, seed=3)
    assert list(parts) == ["train", "val", "test"]
    ids = [one for records in parts.values() for one in records.ids]
    assert len(ids) == len(set(ids)) == IMAGES
    assert [len(records) / IMAGES for records in parts.values()] == pytest.approx(
        [0.7, 0.15, 0.15], abs=0.06
    )
    again = open_training_data(data, seed=3)
    assert {name: part.ids for name, part in parts.items()} == {
        name: part.ids for name, part in again.items()
    }
    assert open_training_data(data, seed=4)["val"].ids != parts["val"].ids


def test_a_division_that_was_saved_is_used_again(table, tmp_path):
    data = Data(source=str(table))
    ids = open_source(data)["all"].ids
    names = [
        "test" if number < 5 else "val" if number < 9 else "train" for number in range(IMAGES)
    ]
    saved = tmp_path / "split.csv"
    write_split_table(saved, ids[::-1], names[::-1])
    parts = open_training_data(data, seed=0, split_file=saved)
    assert parts["test"].ids == ids[:5]
    assert parts["val"].ids == ids[5:9]
    missing = tmp_path / "nowhere.csv"
    made = open_training_data(data, seed=0, split_file=missing)
    assert made["train"].ids == open_training_data(data, seed=0)["train"].ids


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_a_division_of_other_images_is_refused(table, tmp_path, change):
    data = Data(source=str(table))
    ids = open_source(data)["all"].ids
    listed = ids[1:] if change == "more" else (*ids, "another.png")
    saved = tmp_path / "split.csv"
    write_split_table(saved, listed, ["train"] * len(listed))
    named = ids[0] if change == "more" else "none, but some are missing"
    with pytest.raises(DataError, match=f"does not list the images.*first unknown: {named}"):
        open_training_data(data, seed=0, split_file=saved)


def test_groups_are_not_torn(tmp_path):
    lines = ["path,labels,patient"]
    for number in range(30):
        write_image(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{number // 3}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    parts = open_training_data(Data(source=str(tmp_path / "labels.csv")), seed=0)
    groups = [set(records.groups) for records in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10


def write_patients(folder, *, shared):
    """Write a divided table in which one patient has these images; return its data."""
    lines = ["path,labels,patient,split"]
    for number, split in enumerate(["train"] * 6 + ["val"] * 3 + ["test"] * 3):
        write_image(folder / f"{number}.png")
        patient = "p" if number in shared else number
        lines.append(f"{number}.png,{'ab'[number % 2]},{patient},{split}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return Data(source=str(folder / "labels.csv"))


@pytest.mark.parametrize(
    ("shared", "splits"),
    [((4, 5, 6), ("train", "val")), ((0, 10), ("train", "test")), ((7, 11), ("val", "test"))],
)
def test_groups_in_two_splits_stop_training_unless_allowed(tmp_path, shared, splits):
    data = write_patients(tmp_path, shared=shared)
    both = " and ".join(splits)
    with pytest.raises(
        DataError,
        match=f"1 groups have images in both {both}, first 'p'.*data.shared_groups: allow",
    ):
        open_training_data(data, seed=0)
    allowed = open_training_data(data.model_copy(update={"shared_groups": "allow"}), seed=0)
    assert (len(allowed["train"]), len(allowed["val"])) == (6, 3)
    assert set(open_source(data)) == {"train", "val", "test"}  # to look at it is no training


def test_groups_within_one_split_are_welcome(tmp_path):
    parts = open_training_data(write_patients(tmp_path, shared=(1, 2, 3)), seed=0)
    assert parts["train"].groups.count("p") == 3


def test_a_source_without_validation_gives_up_a_share_of_its_training_images(folders):
    data = Data(source=f"coco2014:{folders / 'coco2014'}", validation_fraction=0.25)
    whole = open_source(data)["train"]
    parts = open_training_data(data, seed=0)
    assert list(parts) == ["train", "val"]
    assert (len(parts["train"]), len(parts["val"])) == (3, 1)
    assert {*parts["train"].ids, *parts["val"].ids} == set(whole.ids)
    trainval = Data(
        source=f"voc2007:{folders / 'voc2007'}",
        train="trainval",
        validation=None,
        validation_fraction=0.4,
    )
    parts = open_training_data(trainval, seed=0)
    assert sorted(one for part in parts.values() for one in part.ids) == [
        "000001", "000002", "000003",
    ]  # fmt: skip


def test_a_training_split_that_is_not_there_is_named(tmp_path, table):
    lines = table.read_text().splitlines()
    for path in table.parent.glob("images/*"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    rows = [lines[0] + ",split", *(f"{line},val" for line in lines[1:])]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"has no split 'train'.*Name it in data.train"):
        open_training_data(Data(source=str(tmp_path / "labels.csv")), seed=0)


def test_splits_with_different_classes_are_refused(monkeypatch, tmp_path):
    def reader(root, split):
        records = some_records(4)
        return records if split == "train" else replace(records, classes=("x", "y", "z"))

    monkeypatch.setattr(build_source, "READERS", {"voc2007": reader})
    with pytest.raises(DataError, match=r"train has class 0, class 1, class 2; val has x, y, z"):
        open_training_data(Data(source=f"voc2007:{tmp_path}"), seed=0)


@pytest.mark.parametrize("method", [KMCL(covariance="diagonal"), ASL(), BCE()])
def test_a_classifier_is_built_by_its_methods_name(method):
    model = build_classifier(method, ENCODER, 4, image_size=32)
    assert isinstance(model.head, KernelMixtureHead if method.name == "kmcl" else LinearHead)
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).logits.shape == (2, 4)
    config = check_config({"method": method.model_dump(), "training": {"epochs": 9}})
    (stage,) = build_stages(model, config)
    assert (stage.name, stage.epochs) == (method.name, 9)


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        ({"name": "test_eficientnet"}, ConfigError, "did you mean 'test_efficientnet"),
        ({"options": {"num_classes": 3}}, ConfigError, "the head gives the classes"),
        ({"weights": "~/nowhere.safetensors"}, WeightsError, r"nowhere\.safetensors"),
        ({"name": "vit_tiny_patch16_224"}, ConfigError, "cannot encode images of 32 x 32"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_named(encoder, error, message):
    settings = EncoderSettings(**({"name": "test_efficientnet"} | encoder))
    with pytest.raises(error, match=message) as caught:
        build_classifier(BCE(), settings, 3, image_size=32)
    assert "~" not in str(caught.value)


def test_weights_of_another_encoder_are_refused_and_fitting_ones_taken(tmp_path):
    model = build_classifier(BCE(), ENCODER, 3, image_size=32)
    state = {
        name: tensor.contiguous() for name, tensor in model.encoder.backbone.state_dict().items()
    }
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    taken = build_classifier(
        BCE(), ENCODER.model_copy(update={"weights": str(path)}), 3, image_size=32
    )
    assert all(
        torch.equal(tensor, state[name])
        for name, tensor in taken.encoder.backbone.state_dict().items()
    )
    other = EncoderSettings(name="test_resnet", weights=str(path))
    with pytest.raises(WeightsError, match="missing"):
        build_classifier(BCE(), other, 3, image_size=32)


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """A copy of a run's model that a test may spoil."""
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_run / name).read_bytes())
    return tmp_path


def change_description(folder, change):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_run_is_loaded_in_evaluation_mode(tiny_run):
    predictor = load_predictor(tiny_run)
    assert predictor.classes == CLASSES
    assert not any(module.training for module in predictor.model.modules())


def test_weights_of_another_number_of_classes_are_refused(copied_run):
    change_description(copied_run, {"classes": ["cat", "dog"], "thresholds": [0.5, 0.5]})
    with pytest.raises(RunError, match=r"head.weight_layer.bias: \(3,\) in the file, \(2,\) in"):
        load_predictor(copied_run)


def test_a_description_of_an_unknown_method_is_refused(copied_run):
    change_description(copied_run, {"method": {"name": "later"}})
    with pytest.raises(ConfigError, match=r"method.name must be one of kmcl, probmcl, asl, bce"):
        load_predictor(copied_run)


@pytest.mark.parametrize("device", ["gpu", "cuda:77", ""])
def test_a_device_that_cannot_be_used_is_named(tiny_run, device):
    with pytest.raises(ConfigError, match=f"the device '{device}' cannot be used: .*Expected cpu"):
        load_predictor(tiny_run, device)

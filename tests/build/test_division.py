"""The images to train on and to choose by, divided by the seed, with groups kept together."""

from dataclasses import replace

import pytest
from fakes import write_coco, write_image, write_voc
from pictures import some_records
from tiny_runs import IMAGES, write_tiny_table

from colabel.build import source as build_source
from colabel.build.division import open_training_data
from colabel.build.source import open_source
from colabel.data.split import write_split_table
from colabel.errors import DataError
from colabel.settings import Data


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_tiny_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two data sets in the layouts of their readers."""
    root = tmp_path_factory.mktemp("folders")
    write_voc(root / "voc2007")
    write_coco(root / "coco2014", 2014)
    return root


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

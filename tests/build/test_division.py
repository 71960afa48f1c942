import itertools
import re
import shutil
from dataclasses import replace

import pytest
from fakes import write_image
from pictures import some_records
from tiny_runs import IMAGES

from colabel.build import source as build_source
from colabel.build.division import open_training_data, take_fraction
from colabel.build.source import open_source
from colabel.data.split import write_split_table
from colabel.errors import DataError
from colabel.settings.data import Data


def test_an_undivided_table_is_divided_in_three_by_the_seed_alone(table):
    data = Data(source=str(table))
    parts = open_training_data(data, seed=3).records
    assert list(parts) == ["train", "val", "test"]
    ids = [one for records in parts.values() for one in records.ids]
    assert len(ids) == len(set(ids)) == IMAGES
    assert [len(records) / IMAGES for records in parts.values()] == pytest.approx(
        [0.7, 0.15, 0.15], abs=0.06
    )
    again = open_training_data(data, seed=3).records
    assert {name: part.ids for name, part in parts.items()} == {
        name: part.ids for name, part in again.items()
    }
    assert open_training_data(data, seed=4).records["val"].ids != parts["val"].ids


def test_a_seed_of_the_division_alone_makes_it_the_same_for_all_runs(table):
    fixed = Data(source=str(table), division_seed=3)
    parts = open_training_data(Data(source=str(table)), seed=3).records
    for seed in (3, 4):
        divided = open_training_data(fixed, seed=seed).records
        assert {name: part.ids for name, part in divided.items()} == {
            name: part.ids for name, part in parts.items()
        }


def test_a_division_that_was_saved_is_used_again(table, tmp_path):
    data = Data(source=str(table))
    ids = open_source(data)["all"].ids
    names = [
        "test" if number < 5 else "val" if number < 9 else "train" for number in range(IMAGES)
    ]
    saved = tmp_path / "split.csv"
    write_split_table(saved, ids[::-1], names[::-1])
    parts = open_training_data(data, seed=0, split_file=saved).records
    assert parts["test"].ids == ids[:5]
    assert parts["val"].ids == ids[5:9]
    missing = tmp_path / "nowhere.csv"
    made = open_training_data(data, seed=0, split_file=missing).records
    assert made["train"].ids == open_training_data(data, seed=0).records["train"].ids


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_a_division_of_other_images_is_refused(table, tmp_path, change):
    data = Data(source=str(table))
    ids = open_source(data)["all"].ids
    listed = ids[1:] if change == "more" else (*ids, "another.png")
    saved = tmp_path / "split.csv"
    write_split_table(saved, listed, ["train"] * len(listed))
    named = f"1 are new, first {ids[0]}" if change == "more" else "1 are gone, first another.png"
    with pytest.raises(DataError, match=f"the images of .* are not those .*: {named}. Start a"):
        open_training_data(data, seed=0, split_file=saved)


def divided_table(table, folder, names):
    """Write the rows of the table with these splits; return the path of the new table."""
    shutil.copytree(table.parent / "images", folder / "images")
    first, *rows = table.read_text().splitlines()
    rows = [f"{row},{name}" for row, name in zip(rows, itertools.cycle(names), strict=False)]
    (folder / "labels.csv").write_text("\n".join([f"{first},split", *rows]))
    return str(folder / "labels.csv")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"train": "trian"}, "has no split 'trian'; did you mean 'train'. Name it in data.train"),
        (
            {"validation": "vla"},
            "has no split 'vla'; did you mean 'val'. Name it in data.validation, or null to hold",
        ),
        ({"test": "tset"}, "has no split 'tset'; did you mean 'test'. Name it in data.test"),
    ],
)
@pytest.mark.parametrize("divided", [True, False])
def test_a_split_that_is_named_must_exist(table, tmp_path, named, message, divided):
    source = str(table)
    if divided:
        source = divided_table(table, tmp_path, ["train", "train", "val", "test"])
    with pytest.raises(DataError, match=message):
        open_training_data(Data(source=source, **named), seed=0)


@pytest.mark.parametrize("source", ["shapes", "voc2007", "voc2012", "coco2014", "chestxray14"])
def test_a_validation_split_that_a_reader_does_not_know_is_refused(folders, source):
    path = "shapes" if source == "shapes" else f"{source}:{folders / source}"
    with pytest.raises(DataError, match="'vla'"):
        open_training_data(Data(source=path, validation="vla"), seed=0)


@pytest.mark.parametrize(
    ("names", "validation", "divided"),
    [
        (["train"] * 8 + ["val"] * 2, "val", ""),
        (["train", "test"], "val", "of 20 images of 'train' are held out for validation, as"),
        (["train", "val"], None, "of 20 images of 'train' are held out for validation$"),
    ],
)
def test_what_was_divided_is_said(table, tmp_path, names, validation, divided):
    source = divided_table(table, tmp_path, names)
    opened = open_training_data(Data(source=source, validation=validation), seed=0)
    assert list(opened.records) == ["train", "val"]
    assert re.search(divided, opened.divided) if divided else not opened.divided


def test_all_of_a_table_may_be_trained_on(table):
    opened = open_training_data(Data(source=str(table), train="all"), seed=0)
    assert sum(map(len, opened.records.values())) == IMAGES
    assert list(opened.records) == ["train", "val"]


def test_what_was_held_out_is_used_again_and_other_images_are_refused(folders, tmp_path):
    data = Data(source=f"coco2014:{folders / 'coco2014'}", validation_fraction=0.25)
    ids = open_source(data)["train"].ids
    saved = tmp_path / "split.csv"
    for chosen in ids:
        write_split_table(saved, ids, ["val" if name == chosen else "train" for name in ids])
        parts = open_training_data(data, seed=0, split_file=saved).records
        assert parts["val"].ids == (chosen,)
        assert parts["train"].ids == tuple(name for name in ids if name != chosen)
    write_split_table(saved, ids[1:], ["val", *["train"] * (len(ids) - 2)])
    with pytest.raises(DataError, match=f"1 are new, first {ids[0]}"):
        open_training_data(data, seed=0, split_file=saved)
    write_split_table(saved, ids, ["train"] * len(ids))
    with pytest.raises(DataError, match=r"split.csv names no image of val; copy the run again"):
        open_training_data(data, seed=0, split_file=saved)


def test_groups_are_not_torn(tmp_path):
    lines = ["path,labels,patient"]
    for number in range(30):
        write_image(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{number // 3}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    parts = open_training_data(Data(source=str(tmp_path / "labels.csv")), seed=0).records
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
    allowed = open_training_data(
        data.model_copy(update={"shared_groups": "allow"}), seed=0
    ).records
    assert (len(allowed["train"]), len(allowed["val"])) == (6, 3)
    assert set(open_source(data)) == {"train", "val", "test"}  # to look at it is no training


def test_groups_within_one_split_are_welcome(tmp_path):
    parts = open_training_data(write_patients(tmp_path, shared=(1, 2, 3)), seed=0).records
    assert parts["train"].groups.count("p") == 3


def test_a_source_without_validation_gives_up_a_share_of_its_training_images(folders):
    data = Data(source=f"coco2014:{folders / 'coco2014'}", validation_fraction=0.25)
    whole = open_source(data)["train"]
    parts = open_training_data(data, seed=0).records
    assert list(parts) == ["train", "val"]
    assert (len(parts["train"]), len(parts["val"])) == (3, 1)
    assert {*parts["train"].ids, *parts["val"].ids} == set(whole.ids)
    trainval = Data(
        source=f"voc2007:{folders / 'voc2007'}",
        train="trainval",
        validation=None,
        validation_fraction=0.4,
    )
    parts = open_training_data(trainval, seed=0).records
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


def test_a_fraction_is_taken_of_the_training_images_alone(table):
    data = Data(source=str(table), fraction=0.25)
    whole = open_training_data(data, seed=3).records
    parts = take_fraction(whole, data, seed=3)
    assert len(parts["train"]) == -(-len(whole["train"]) // 4)
    assert set(parts["train"].ids) < set(whole["train"].ids)
    assert parts["val"] is whole["val"]
    note = f"{len(parts['train'])} of {len(whole['train'])} images are trained on"
    assert note in parts["train"].notes[-1]
    assert take_fraction(whole, Data(), seed=3)["train"] is whole["train"]

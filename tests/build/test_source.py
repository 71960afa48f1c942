"""The splits of every kind of source, and what is said where one cannot be read."""

import pytest
from fakes import write_image

from colabel.build.source import LAYOUTS, READERS, open_source
from colabel.errors import ConfigError, DataError
from colabel.settings import Data


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
    assert set(READERS) == {
        "voc2007", "voc2012", "coco2014", "coco2017", "chestxray14", "adp",
    }  # fmt: skip
    assert set(LAYOUTS) == {
        "coco", "fiftyone", "folders", "labelstudio", "openimages", "textfiles", "voc",
    }  # fmt: skip


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
        ("pictures", {}, ConfigError, "is not understood; expected a table of paths"),
        ("shapes", {"ambigity": 1}, ConfigError, "did you mean 'ambiguity'"),
        ("voc2007:FOLDER", {"dificult": "absent"}, ConfigError, "did you mean 'difficult'"),
        ("TABLE", {"lables": "x"}, ConfigError, "data.options.lables.*did you mean"),
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


def test_a_folder_with_a_table_in_it_is_answered_with_the_table(tmp_path):
    (tmp_path / "export.xlsx").write_bytes(b"")
    (tmp_path / "scans").mkdir()
    with pytest.raises(ConfigError, match=r"Did you mean .*export\.xlsx\?$"):
        open_source(Data(source=str(tmp_path)))
    with pytest.raises(ConfigError, match="is not understood"):
        open_source(Data(source=str(tmp_path / "scans")))

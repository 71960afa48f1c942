import os
import shutil

import pytest
from fakes import write_image

from colabel.build.source import open_source
from colabel.data.readers.folders import read_folders
from colabel.errors import ConfigError, DataError
from colabel.settings.data import Data


def write_folders(root, folders):
    """Write one image of its own for each name in each folder, always the same for a name."""
    for folder, names in folders.items():
        for name in names:
            write_image(root / folder / f"{name}.png", seed=sum(name.encode()))
    return root


def labels_of(records):
    """Return the labels of each image by its path."""
    return {
        name: {records.classes[column] for column in row.nonzero()[0]}
        for name, row in zip(records.ids, records.targets == 1, strict=True)
    }


def test_an_image_carries_the_name_of_its_folder(tmp_path):
    root = write_folders(tmp_path, {"cat": "ab", "dog": "c"})
    opened = read_folders(root)
    assert list(opened) == ["all"]
    records = opened["all"]
    assert records.classes == ("cat", "dog")
    assert labels_of(records) == {"cat/a.png": {"cat"}, "cat/b.png": {"cat"}, "dog/c.png": {"dog"}}
    assert records.notes == ()
    assert records.images.open(2).size == (16, 12)
    assert records.images.locate(2) == str(root / "dog/c.png")


def test_copies_of_an_image_are_one_image_with_several_labels(tmp_path):
    root = write_folders(tmp_path, {"cat": "ab", "dog": "bc", "owl": "b"})
    shutil.copy(root / "dog/c.png", root / "dog/again.png")
    records = read_folders(root)["all"]
    assert labels_of(records) == {
        "cat/a.png": {"cat"},
        "cat/b.png": {"cat", "dog", "owl"},
        "dog/again.png": {"dog"},
    }
    assert records.notes == (
        "3 files are copies of others and were merged with them; 1 images so carry the labels of "
        "several folders, first cat/b.png",
    )


def test_files_of_one_size_and_other_content_stay_apart(tmp_path):
    for folder, pixel in (("cat", b"1"), ("dog", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pgm").write_bytes(b"P5 1 1 255\n" + pixel)
    assert len(read_folders(tmp_path)["all"]) == 2
    (tmp_path / "dog" / "a.pgm").write_bytes(b"P5 1 1 255\n1")  # two files are enough to compare
    assert labels_of(read_folders(tmp_path)["all"]) == {"cat/a.pgm": {"cat", "dog"}}


def test_splits_have_the_classes_of_all_and_copies_across_them_are_told(tmp_path):
    root = write_folders(
        tmp_path, {"train/cat": "ab", "train/dog": "b", "valid/dog": "c", "test/owl": "ad"}
    )
    opened = read_folders(root)
    assert list(opened) == ["train", "val", "test"]
    assert {records.classes for records in opened.values()} == {("cat", "dog", "owl")}
    assert labels_of(opened["train"]) == {
        "train/cat/a.png": {"cat"},
        "train/cat/b.png": {"cat", "dog"},
    }
    assert labels_of(opened["test"]) == {"test/owl/a.png": {"owl"}, "test/owl/d.png": {"owl"}}
    leak = "1 images lie in more than one split, first train/cat/a.png and test/owl/a.png"
    assert any(note.startswith(leak) for note in opened["test"].notes)
    assert opened["val"].notes == opened["test"].notes  # nothing was merged in either


def test_a_class_called_train_is_no_split(tmp_path):
    root = write_folders(tmp_path, {"train": "a", "bus": "b"})
    assert read_folders(root)["all"].classes == ("bus", "train")


def test_folders_named_after_combinations(tmp_path):
    root = write_folders(tmp_path, {"cat": "a", "dog": "b", "cat+dog": "c", "none": "d"})
    plain = read_folders(root)["all"]
    assert plain.classes == ("cat", "cat+dog", "dog", "none")
    assert plain.notes == (
        "the class 'cat+dog' is named after cat and dog; if it means both of them, give the "
        "option separator: '+'",
    )
    records = read_folders(root, separator="+", unlabelled="none")["all"]
    assert records.classes == ("cat", "dog")
    assert labels_of(records)["cat+dog/c.png"] == {"cat", "dog"}
    assert labels_of(records)["none/d.png"] == set()
    (root / "cat+").mkdir()
    write_folders(root, {"cat+": "e"})
    with pytest.raises(DataError, match=r"'cat\+' leaves an empty label"):
        read_folders(root, separator="+")


@pytest.mark.parametrize(
    ("nested", "classes"),
    [
        ("outer", ("pet",)),
        ("inner", ("cat", "dog")),
        ("path", ("pet/cat", "pet/dog")),
        ("every", ("cat", "dog", "pet")),
    ],
)
def test_folders_within_class_folders(tmp_path, nested, classes):
    root = write_folders(tmp_path, {"pet/cat": "a", "pet/dog": "b"})
    with pytest.raises(DataError, match=r"pet/cat is a folder within a class folder.*nested"):
        read_folders(root)
    assert read_folders(root, nested=nested)["all"].classes == classes


def test_what_is_left_out_is_counted(tmp_path):
    root = write_folders(tmp_path, {"cat": "ab", "__MACOSX": "c", ".git": "d"})
    write_image(root / "e.png")
    (root / "cat" / "Thumbs.db").write_bytes(b"")
    (root / "cat" / "notes.txt").write_text("")
    (root / "empty").mkdir()
    os.mkfifo(root / "cat" / "pipe.png")
    records = read_folders(root)["all"]
    assert records.ids == ("cat/a.png", "cat/b.png")
    assert set(records.notes) == {
        "3 hidden files and files of the operating system left out",
        "1 names that are no plain files left out",
        "1 files that are no images left out, first cat/notes.txt",
        "1 images outside the class folders left out",
        "folders without images left out: empty",
    }


def test_a_link_to_a_folder_above_ends(tmp_path):
    root = write_folders(tmp_path, {"cat": "a"})
    (root / "cat" / "loop").symlink_to(root)
    assert read_folders(root)["all"].ids == ("cat/a.png",)


def test_wrong_layouts_are_refused(tmp_path):
    with pytest.raises(DataError, match="no image in a class folder; expected one folder"):
        read_folders(tmp_path)
    write_folders(tmp_path, {"train/cat": "a"})
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="test: no image in a class folder"):
        read_folders(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        read_folders(tmp_path / "train" / "cat" / "a.png")
    with pytest.raises(DataError, match=r"nested: 'iner'; did you mean 'inner'"):
        read_folders(tmp_path, nested="iner")
    with pytest.raises(DataError, match="at least one character"):
        read_folders(tmp_path, separator="")


def test_names_that_are_no_text_are_refused(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(DataError, match=r"caf\\xe9.*not UTF-8"):
        read_folders(tmp_path)


def test_the_source_is_opened_by_name(tmp_path):
    root = write_folders(tmp_path, {"cat": "a", "cat+dog": "b"})
    source = f"folders:{root}"
    opened = open_source(Data(source=source, options={"separator": "+"}))
    assert opened["all"].classes == ("cat", "dog")
    with pytest.raises(ConfigError, match=r"data\.options\.separater.*'separator'"):
        open_source(Data(source=source, options={"separater": "+"}))
    with pytest.raises(ConfigError, match=r"data\.train_options.*read once"):
        open_source(Data(source=source, train_options={"separator": "+"}))
    with pytest.raises(DataError, match="there is no file or folder"):
        open_source(Data(source="folders:/nowhere"))
    with pytest.raises(ConfigError, match=rf"Did you mean folders:{root}\?"):
        open_source(Data(source=str(root)))

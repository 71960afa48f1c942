"""The splits of a table: its column, lists beside it, and a saved division."""

import pytest
from table_files import LABELS_ONLY, WIDE, read, table

from colabel.data import TableOptions, read_table, read_table_splits
from colabel.data.split import write_split_table
from colabel.errors import DataError

SPLIT = "path,cat,dog,split\n" + "".join(
    f"{name}.jpg,{cat},{dog},{split}\n"
    for name, cat, dog, split in (
        ("a", 1, 0, "Train"), ("b", 0, 0, "valid"), ("c", 1, 0, "test"), ("d", 1, 1, "training"),
    )
)  # fmt: skip


def test_a_split_column(tmp_path):
    path = table(tmp_path, SPLIT)
    parts = read_table_splits(path, LABELS_ONLY)
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("a.jpg", "d.jpg"),
        "val": ("b.jpg",),
        "test": ("c.jpg",),
    }
    # "dog" occurs in training alone, and is a class everywhere
    assert all(part.classes == ("cat", "dog") for part in parts.values())
    assert read_table(path, "val", LABELS_ONLY).ids == ("b.jpg",)
    assert read_table(path, None, LABELS_ONLY).ids == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


def test_rows_without_a_split_are_left_out_and_noted(tmp_path):
    text = SPLIT.replace("valid", "")
    parts = read_table_splits(table(tmp_path, text), LABELS_ONLY)
    assert list(parts) == ["train", "test"]
    assert "1 of 4 images without a split left out" in parts["train"].notes
    with pytest.raises(DataError, match="no images in the split 'val'"):
        read(tmp_path, text, "val")
    with pytest.raises(DataError, match="no image has a split"):
        read_table_splits(table(tmp_path, "path,cat,split\na.jpg,1,\n"), LABELS_ONLY)


def test_an_unknown_split_value(tmp_path):
    with pytest.raises(DataError, match=r"line 3: 'holdout' in the column 'split' is no split"):
        read(tmp_path, SPLIT.replace("valid", "holdout"))


def test_no_split_at_all(tmp_path):
    path = table(tmp_path, WIDE)
    assert list(read_table_splits(path, LABELS_ONLY)) == ["all"]
    with pytest.raises(DataError, match="no split column, so there is no 'train'"):
        read_table(path, "train", LABELS_ONLY)


def test_lists_beside_the_table(tmp_path):
    path = table(tmp_path, WIDE)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("c.jpg\na.jpg\n")
    (tmp_path / "splits" / "test.txt").write_text("b.jpg\n")
    parts = read_table_splits(path, LABELS_ONLY)
    assert {name: part.ids for name, part in parts.items()} == {
        "train": ("a.jpg", "c.jpg"),
        "test": ("b.jpg",),
    }
    assert f"splits taken from {tmp_path / 'splits'}" in parts["test"].notes
    (tmp_path / "splits" / "val.txt").write_text("a.jpg\n")
    with pytest.raises(DataError, match=r"'a\.jpg' is in train and in val"):
        read_table(path, "train", LABELS_ONLY)
    (tmp_path / "splits" / "val.txt").write_text("z.jpg\n")
    with pytest.raises(DataError, match=r"1 of 4 names are not in the table, first 'z\.jpg'"):
        read_table(path, "train", LABELS_ONLY)


def test_a_saved_split_overrides_the_column(tmp_path):
    path = table(tmp_path, SPLIT)
    saved = tmp_path / "saved.csv"
    write_split_table(
        saved, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["test", "test", "val", "train"]
    )
    options = TableOptions(require_images=False, splits=saved)
    assert read_table(path, "test", options).ids == ("a.jpg", "b.jpg")
    write_split_table(saved, ["a.jpg"], ["exam"])
    with pytest.raises(DataError, match="'exam' is no split"):
        read_table(path, "test", options)
    saved.write_text("name,split\n")
    with pytest.raises(DataError, match="no rows"):
        read_table(path, "test", options)
    saved.write_text("name,split\na.jpg,train\n")
    with pytest.raises(DataError, match="expected the columns id and split, got name, split"):
        read_table(path, "test", options)

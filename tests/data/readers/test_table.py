import codecs

import numpy as np
import pytest
from fakes import write_image, write_table
from PIL import Image

from colabel.data import TableOptions, read_table, read_table_splits
from colabel.data.split import write_split_table
from colabel.errors import DataError, MissingExtraError

LABELS_ONLY = TableOptions(require_images=False)


def table(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(folder, text, split=None, *, name="labels.csv", encoding="utf-8", **options):
    path = table(folder, text, name, encoding)
    return read_table(path, split, TableOptions(**{"require_images": False, **options}))


WIDE = "path,cat,dog\na.jpg,1,0\nb.jpg,,-1\nc.jpg,0,1\n"
LONG = 'path,labels\na.jpg,dog;cat\nb.jpg,\nc.jpg," cat ; "\n'


def test_wide(tmp_path):
    records = read(tmp_path, WIDE)
    assert records.ids == ("a.jpg", "b.jpg", "c.jpg")
    assert records.classes == ("cat", "dog")
    assert records.targets.tolist() == [[1, 0], [0, -1], [0, 1]]
    assert records.targets.dtype == np.int8
    assert "1 blank label cells taken as absent (option blank)" in records.notes


def test_a_blank_cell_can_mean_unknown(tmp_path):
    assert read(tmp_path, WIDE, blank="unknown").targets.tolist() == [[1, 0], [-1, -1], [0, 1]]
    with pytest.raises(DataError, match="blank must be"):
        TableOptions(blank="maybe")


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.0", 1), ("True", 1), ("false", 0), ("-1.0", -1), ("NaN", 0), ("null", 0), (" 1 ", 1)],
)
def test_spellings_of_values(tmp_path, cell, value):
    text = f"path,cat\na.jpg,{cell}\nb.jpg,0\n"
    assert read(tmp_path, text).targets.tolist() == [[value], [0]]


def test_long(tmp_path):
    records = read(tmp_path, LONG)
    assert records.classes == ("cat", "dog")
    assert records.targets.tolist() == [[1, 1], [0, 0], [1, 0]]


@pytest.mark.parametrize("delimiter", [";", "|", ","])
def test_the_delimiter_is_found(tmp_path, delimiter):
    text = f'path,labels\na.jpg,"dog{delimiter}cat"\nb.jpg,dog\n'
    assert read(tmp_path, text).targets.tolist() == [[1, 1], [0, 1]]


def test_two_possible_delimiters_are_not_guessed(tmp_path):
    text = 'path,labels\na.jpg,"dog;cat, small"\nb.jpg,dog\n'
    with pytest.raises(
        DataError, match=r"';' .*line 2: .*.* and ',' .*line 2: .*option delimiter"
    ):
        read(tmp_path, text)
    assert read(tmp_path, text, delimiter=";").classes == ("cat, small", "dog")
    with pytest.raises(DataError, match="delimiter=' / ' occurs in no cell"):
        read(tmp_path, text, delimiter=" / ")
    assert read(tmp_path, text, delimiter="none").classes == ("dog", "dog;cat, small")
    with pytest.raises(DataError, match="at least one character"):
        read(tmp_path, text, delimiter="")


def test_labels_with_spaces_alone_are_one_label(tmp_path):
    assert read(tmp_path, "path,labels\na.jpg,traffic light\n").classes == ("traffic light",)


def test_labels_that_differ_in_case_are_noted(tmp_path):
    records = read(tmp_path, "path,labels\na.jpg,Cat;dog\nb.jpg,cat\n")
    assert records.classes == ("Cat", "cat", "dog")
    assert records.notes[0] == "labels that differ only in letter case: Cat, cat"


@pytest.mark.parametrize(
    "header",
    ["path", "file", "image", "Filename", "FILE_NAME", "Image Index", "filenames", "image-path"],
)
def test_the_column_of_paths_is_found_by_name(tmp_path, header):
    assert read(tmp_path, f"dog,{header}\n1,a.jpg\n").ids == ("a.jpg",)


def test_the_column_of_paths_is_found_by_its_cells(tmp_path):
    assert read(tmp_path, "cat,scan\n1,a.PNG\n0,b.jpeg\n").ids == ("a.PNG", "b.jpeg")


def test_a_missing_column_of_paths_names_the_columns(tmp_path):
    with pytest.raises(DataError, match=r"no column with the paths.*got: scene, cat\."):
        read(tmp_path, "scene,cat\na,1\n")


def test_a_named_column_that_is_missing_gets_the_nearest(tmp_path):
    for option in ("image", "labels", "id", "group", "split"):
        with pytest.raises(DataError, match=r"no column 'labelz'; did you mean 'labels'\?"):
            read_table(table(tmp_path, LONG), None, TableOptions(**{option: "labelz"}))
    with pytest.raises(DataError, match="no column 'paht'"):
        read(tmp_path, LONG, ignore=("paht",))


def test_options_name_the_columns(tmp_path):
    text = "where,key,what,who,when\nx/a.jpg,k1,cat;dog,p1,train\nx/b.jpg,k2,cat,p1,test\n"
    options = TableOptions(
        image="where", id="key", labels="what", group="who", split="when", require_images=False
    )
    records = read_table(table(tmp_path, text), "train", options)
    assert (records.ids, records.groups) == (("k1",), ("p1",))
    assert records.images.locate(0) == str(tmp_path / "x" / "a.jpg")
    assert records.classes == ("cat", "dog")


def test_chosen_label_columns_and_ignored_ones(tmp_path):
    text = "path,age,cat,dog\na.jpg,57,1,0\n"
    assert read(tmp_path, text, ignore=("age",)).classes == ("cat", "dog")
    assert read(tmp_path, text, each_label=("dog",)).classes == ("dog",)
    with pytest.raises(DataError, match="give one of the two"):
        TableOptions(labels="a", each_label=("b",))


def test_text_in_a_label_column_is_refused_with_the_row(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, "path,stage,cat\na.jpg,,1\n\nb.jpg,M,0\n")
    message = str(caught.value)
    assert "labels.csv, line 4: the column 'stage' holds 'M'" in message
    assert "Columns that do hold such values: cat." in message
    assert "option ignore" in message


def test_a_label_column_of_ones_and_zeros_is_a_label(tmp_path):
    assert read(tmp_path, "path,target\na.jpg,1\nb.jpg,0\n").classes == ("target",)


def test_a_table_without_labels(tmp_path):
    with pytest.raises(DataError, match="no labels; expected a column named labels"):
        read(tmp_path, "path\na.jpg\n")
    with pytest.raises(DataError, match="holds no label in any row"):
        read(tmp_path, "path,labels\na.jpg,;\n")


def test_groups(tmp_path):
    records = read(tmp_path, "path,patient id,cat\na.jpg,7,1\nb.jpg,7,0\nc.jpg,,1\nd.jpg,,1\n")
    assert records.groups[0] == records.groups[1]
    assert len(set(records.groups)) == 3  # a blank is no patient that two images share


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_newlines_and_byte_order_marks(tmp_path, separator, newline, encoding):
    text = WIDE.replace(",", separator).replace("\n", newline).replace("cat", "Kätzchen")
    records = read(tmp_path, text, encoding=encoding)
    assert records.classes == ("Kätzchen", "dog")
    assert records.targets.tolist() == [[1, 0], [0, -1], [0, 1]]


def test_tsv_may_hold_commas(tmp_path):
    records = read(tmp_path, "path\tcat, big\na.jpg\t1\n", name="labels.TSV")
    assert records.classes == ("cat, big",)


def test_quoted_cells_blank_lines_and_windows_paths(tmp_path):
    text = '\n"path","the ""big"" cat",dog\n\n"x\\a,1.JPG",1,0\n   \nx\\b.jpg,0,1\n,,\n'
    records = read(tmp_path, text.lstrip("\n"))
    assert records.ids == ("x/a,1.JPG", "x/b.jpg")
    assert records.classes == ('the "big" cat', "dog")
    assert records.images.locate(1) == str(tmp_path / "x" / "b.jpg")


def test_letter_case_of_files_is_forgiven(tmp_path):
    write_image(tmp_path / "pics" / "A.JPG")
    records = read(tmp_path, "path,cat\nPics/a.jpg,1\n", require_images=True)
    assert records.ids == ("Pics/a.jpg",)
    assert records.images.open(0).size == (16, 12)


def test_the_row_numbers_of_pandas_are_no_label(tmp_path):
    assert read(tmp_path, ",path,cat\n0,a.jpg,1\n1,b.jpg,0\n").classes == ("cat",)
    assert read(tmp_path, "path,cat,\na.jpg,1,\n").classes == ("cat",)
    assert read(tmp_path, ",path,cat\n7,a.jpg,1\n3,b.jpg,0\n").classes == ("cat",)
    for numbers in ("55", "0x", "1 "):
        with pytest.raises(DataError, match="column 1 without a name"):
            read(tmp_path, ",path,cat\n{},a.jpg,1\n{},b.jpg,0\n".format(*numbers))


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file(tmp_path, text):
    with pytest.raises(DataError, match="the file is empty"):
        read(tmp_path, text)


def test_a_header_alone(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        read(tmp_path, "path,cat\n\n")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match="no such file; expected a table"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="a folder; expected a table"):
        read_table(tmp_path)


@pytest.mark.parametrize("row", ["b.jpg", "b.jpg,1,0,1"])
def test_ragged_rows(tmp_path, row):
    with pytest.raises(DataError, match=r"line 3: \d cells, expected 3 as in the header"):
        read(tmp_path, f"path,cat,dog\na.jpg,1,0\n{row}\n")


def test_an_unclosed_quote(tmp_path):
    with pytest.raises(DataError, match=r"line 2: .*whose quotes are closed"):
        read(tmp_path, 'path,cat\n"a.jpg,1\nb.jpg,0\n')


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes("path,кот\na.jpg,1\n".encode("cp1251"))
    with pytest.raises(DataError, match="line 1: not UTF-8 text"):
        read_table(path)
    path.write_bytes(codecs.BOM_UTF16_LE + b"p")
    with pytest.raises(DataError, match="not UTF-16 text"):
        read_table(path)


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(DataError, match="the name 'cat' twice"):
        read(tmp_path, "path,cat,cat\na.jpg,1,1\n")


def test_duplicates_name_both_lines(tmp_path):
    with pytest.raises(DataError, match=r"line 4: 'x/a\.jpg' stands already in line 2"):
        read(tmp_path, "path,cat\nx/a.jpg,1\nb.jpg,1\nx\\a.jpg,0\n")
    with pytest.raises(DataError, match="line 3: 'k' stands already in line 2"):
        read(tmp_path, "path,id,cat\na.jpg,k,1\nb.jpg,k,1\n")
    with pytest.raises(DataError, match="line 2: the id is blank"):
        read(tmp_path, "path,id,cat\na.jpg,,1\n")


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/a.jpg", r"..\a.jpg", r"C:\a.jpg"])
def test_a_path_that_leaves_the_folder(tmp_path, path):
    with pytest.raises(
        DataError, match=r"labels\.csv, line 2: the path .* leaves the data folder"
    ):
        read(tmp_path, f"path,cat\n{path},1\n")


def test_leaving_the_folder_on_request(tmp_path):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "tables").mkdir()
    text = f"path,cat\n../a.jpg,1\n{tmp_path / 'a.jpg'},0\n"
    records = read(tmp_path / "tables", text, allow_outside=True)
    assert records.images.open(0).size == records.images.open(1).size == (16, 12)


def test_images_elsewhere(tmp_path):
    write_image(tmp_path / "pics" / "a.png")
    (tmp_path / "tables").mkdir()
    records = read(
        tmp_path / "tables", "path,cat\na.png,1\n", images=tmp_path / "pics", require_images=True
    )
    assert records.root == tmp_path / "pics"
    assert records.images.open(0).size == (16, 12)


def test_the_folder_images_beside_the_table(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    records = read(tmp_path, "path,cat\na.png,1\n", require_images=True)
    assert records.root == tmp_path / "images"
    assert records.ids == ("a.png",)


def test_a_table_of_which_no_image_exists(tmp_path):
    with pytest.raises(DataError, match=r"none of the 3 images listed in .*labels\.csv exists"):
        read(tmp_path, WIDE, require_images=True)


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


def test_images_open_in_the_order_of_the_rows(tmp_path):
    path = write_table(
        tmp_path / "t.csv", [{"path": f"{name}.png", "cat": 1} for name in ("b", "a")]
    )
    Image.new("RGB", (3, 5)).save(tmp_path / "a.png")
    records = read_table(path)
    assert [records.images.open(index).size for index in range(2)] == [(16, 12), (3, 5)]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"

    def write(**columns):
        parquet.write_table(pyarrow.table(columns), path)

    write(path=["a.jpg", "b.jpg"], cat=[1.0, None], dog=[True, False], cow=[-1, 1])
    records = read_table(path, options=LABELS_ONLY)
    assert records.classes == ("cat", "dog", "cow")
    assert records.targets.tolist() == [[1, 1, -1], [0, 0, 1]]
    write(path=["a.jpg", "b.jpg", "c.jpg"], labels=[["cat, big", "dog"], [], None])
    records = read_table(path, options=LABELS_ONLY)
    assert records.classes == ("cat, big", "dog")
    assert records.targets.tolist() == [[1, 1], [0, 0], [0, 0]]
    write(path=["a.jpg", "b.jpg"], cat=["1", "no"])
    with pytest.raises(DataError, match=r"t\.parquet, row 2: the column 'cat' holds 'no'"):
        read_table(path, options=LABELS_ONLY)
    path.write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"colabel\[parquet\]"):
        read_table(tmp_path / "t.parquet")

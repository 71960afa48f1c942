"""Tables of labels: their columns, their labels, their text, and what is refused."""

import codecs

import numpy as np
import pytest
from table_files import LABELS_ONLY, WIDE, read, table

from colabel.data import TableOptions, read_table
from colabel.errors import DataError, MissingExtraError

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

"""How a table was read: the dialect, what is told of it, and options that overrule it."""

import contextlib
import time
import zipfile

import pytest
from text_tables import COMMA, LISTS, PLAIN, read, table, write

from colabel.data.readers.rows import Dialect, read_rows
from colabel.errors import DataError


def test_lines_are_those_of_the_file(tmp_path):
    rows = read(tmp_path, '# by me\n\nTitle\npath,labels\n\na.jpg,"cat\ndog"\n\nb.jpg,cat\n')
    assert list(rows.lines) == [7, 9]
    assert rows.where(1) == f"{tmp_path / 't.csv'}, line 9"
    assert list(read(tmp_path, COMMA).lines) == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (COMMA, Dialect(",", '"', None, "utf-8", 1)),
        (b"\xef\xbb\xbf" + table("\t").encode(), Dialect("\t", '"', None, "utf-8-sig", 1)),
        (("#\n" + table(";", quote="'")).encode("utf-16"), Dialect(";", "'", None, "utf-16", 2)),
        (COMMA.encode("utf-16-be"), Dialect(",", '"', None, "utf-16-be", 1)),
        ('path,l\na.jpg,"a \\"b\\", c"\n', Dialect(",", '"', "\\", "utf-8", 1)),
        (table(" "), Dialect(" ", '"', None, "utf-8", 1)),
    ],
)
def test_the_dialect_is_told(tmp_path, content, dialect):
    assert read(tmp_path, content).dialect == dialect


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (COMMA, []),
        ("sep=;\n" + table(";"), ["the separator is ';', as the first line says"]),
        ("# by me\n" + COMMA, ["comments left out above the header: # by me"]),
        ("#" + COMMA, ["the header stands in a comment"]),
        ("Cats\n,,\nand dogs,,\n" + COMMA, ["left out above the header: Cats; and dogs"]),
        (COMMA.replace("\n", ",,\n"), ["2 empty columns without a name left out"]),
        (
            ",path,cat\n0,a.jpg,1\n1,b.jpg,1\n",
            ["column 1 without a name left out: it numbers the rows"],
        ),
        (
            "path,cat\na.jpg,1\nKäse.jpg,0\n".encode("cp1252"),
            [
                "not UTF-8, so read as cp1252: 'Käse.jpg' in line 3; if that is wrong, name the "
                "encoding in the option encoding"
            ],
        ),
        (
            COMMA.replace("b.jpg", "path,cat,dog\nb.jpg"),
            ["the header again in 1 lines, left out: 3"],
        ),
        (
            "path,cat\n----,---\na.jpg,1\n",
            ["a line of dashes below the header left out"],
        ),
        (COMMA.encode("utf-16-le"), ["read as UTF-16-LE, which no byte-order mark says"]),
        (
            "path,cat\nK\ufffdse.jpg,1\n",
            ["line 2 holds the sign \ufffd for a letter that an earlier conversion lost"],
        ),
    ],
)
def test_what_was_decided_is_told(tmp_path, content, notes):
    assert list(read(tmp_path, content).notes) == notes


def test_options_overrule_what_would_be_found(tmp_path):
    headless = "a.jpg,1,0\nb.jpg,0,1\n"
    rows = read(tmp_path, headless, header="none")
    assert rows.columns["column_1"] == ["a.jpg", "b.jpg"]
    assert rows.dialect.header is None
    assert list(rows.lines) == [1, 2]
    assert rows.notes == ("no header, as the options say; the first row is a.jpg, 1, 0",)
    named = read(tmp_path, headless, columns=("path", "cat", "dog"))
    assert named.columns == {"path": ["a.jpg", "b.jpg"], "cat": ["1", "0"], "dog": ["0", "1"]}
    assert list(read(tmp_path, headless, header="first").columns) == ["a.jpg", "1", "0"]
    assert read(tmp_path, "path#cat\na#1\n", separator="#").columns == {
        "path": ["a"],
        "cat": ["1"],
    }
    tabs = "path\tcat,x\na\t1,2\n"
    assert list(read(tmp_path, tabs, separator="tab").columns) == ["path", "cat,x"]
    assert list(read(tmp_path, tabs, separator=",").columns) == ["path\tcat", "x"]
    quotes = 'path,labels\na.jpg,"cat\nb.jpg,"dog\n'
    assert read(tmp_path, quotes, quote="none").columns["labels"] == ['"cat', '"dog']
    letters = "path,labels\na.jpg,кошка\n".encode("cp1251")
    assert read(tmp_path, letters, encoding="cp1251").columns["labels"] == ["кошка"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ",,"}, "separator must be one character, or tab or space"),
        ({"quote": "\n"}, "quote must be one character, or none"),
        ({"header": "second"}, "header must be 'first' or 'none'"),
        ({"columns": ("a", "a")}, "columns must be different names"),
        ({"columns": ("a",), "header": "first"}, "give one of the two"),
        ({"columns": ("a", "b")}, r"3 columns, but the option columns has 2 names \(a, b\)"),
        ({"encoding": "klingon"}, "no text encoding 'klingon'"),
        ({"encoding": "rot13"}, "no text encoding 'rot13'"),
        ({"encoding": "ascii"}, "line 3: not ascii text: .* at byte 27"),
    ],
)
def test_options_that_cannot_be_meant(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, "path,cat,dog\na.jpg,1,0\nb,1,é\n", **options)


def test_two_separators_that_fit_alike_are_not_guessed(tmp_path):
    with pytest.raises(DataError, match=r"';' divides every row into 2 .* option separator|','"):
        read(tmp_path, "a,b;c\nd,e;f\n")


def test_a_line_of_one_kind_decides_nothing_for_a_thousand_of_another(tmp_path):
    body = "".join(f"{number}.jpg;cat, no {number % 7}\n" for number in range(1000))
    rows = read(tmp_path, "path;remark\n" + body)
    assert len(rows) == 1000
    assert rows.columns["remark"][8] == "cat, no 1"
    with pytest.raises(DataError, match="line 1002: 3 cells, expected 2"):
        read(tmp_path, "path;remark\n" + body + "x.jpg;cat;dog\n")


@pytest.mark.parametrize("piece", [" ", ",", '"', "'", "#\n", "\\", " ,", "a b' ", "\n", '""'])
def test_a_long_run_of_one_sign_takes_no_longer_than_text(tmp_path, piece):
    path = write(tmp_path, "path,cat dog\na.jpg,1 1\n" + piece * (1_000_000 // len(piece)))
    start = time.process_time()
    with contextlib.suppress(DataError):
        read_rows(path)
    assert time.process_time() - start < 10


def test_equal_cells_are_one_object(tmp_path):
    rows = read(tmp_path, "path,split\n" + "".join(f"{n}.jpg,training\n" for n in range(40_000)))
    assert len({id(cell) for cell in rows.columns["split"]}) == 1


def test_an_archive_is_named_by_what_it_holds(tmp_path):
    path = tmp_path / "t.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.csv", COMMA)
    with pytest.raises(DataError, match=r"a zip archive \(with labels\.csv\); unpack it"):
        read_rows(path)


def test_names_are_not_patterns(tmp_path):
    write(tmp_path, COMMA, "a.csv")
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "*.csv")
    assert read(tmp_path, LISTS, "[a].csv").columns == PLAIN

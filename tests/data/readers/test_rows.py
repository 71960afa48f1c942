import contextlib
import gzip
import time
import zipfile

import pytest

from colabel.data.readers.rows import Dialect, RowOptions, read_rows
from colabel.errors import DataError

PATHS = ["a.jpg", "b.jpg", "c.jpg"]
PLAIN = {"path": PATHS, "labels": ["cat;dog", "dog", "cat"]}
WIDE = {"path": PATHS, "cat": ["1", "0", "1"], "dog": ["0", "0", "1"]}


def write(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content, name="t.csv", **options):
    return read_rows(write(folder, content, name), RowOptions(**options))


def table(separator, columns=WIDE, newline="\n", quote=""):
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "".join(
        separator.join(f"{quote}{cell}{quote}" for cell in row) + newline for row in rows
    )


COMMA = table(",")
LISTS = table(",", PLAIN)

GRID = {
    # separators
    "comma": (COMMA, WIDE),
    "semicolon": (table(";"), WIDE),
    "tab": (table("\t"), WIDE),
    "bar": (table("|"), WIDE),
    "space": (table(" "), WIDE),
    "several spaces": (COMMA.replace(",", "   "), WIDE),
    "caret": (table("^"), WIDE),
    "control a": (table("\x01"), WIDE),
    "space after comma": (COMMA.replace(",", ", "), WIDE),
    "lists of semicolons in a comma table": (LISTS, PLAIN),
    "every list has two labels": (
        "path,labels\na.jpg,cat;dog\nb.jpg,dog;cat\n",
        {"path": ["a.jpg", "b.jpg"], "labels": ["cat;dog", "dog;cat"]},
    ),
    "commas in a semicolon table": (
        "path;x;y\na.jpg;1,5;2,5\nb.jpg;0,5;1,5\n",
        {"path": ["a.jpg", "b.jpg"], "x": ["1,5", "0,5"], "y": ["2,5", "1,5"]},
    ),
    "commas in a semicolon table without endings": (
        "name;x;y\na;1,5;2,5\nb;0,5;1,5\n",
        {"name": ["a", "b"], "x": ["1,5", "0,5"], "y": ["2,5", "1,5"]},
    ),
    "bars in a comma table, header too": (
        "path,cat|dog\na.jpg,1|0\nb.jpg,0|1\n",
        {"path": ["a.jpg", "b.jpg"], "cat|dog": ["1|0", "0|1"]},
    ),
    "a separator that agrees, but for a row, and makes paths": (
        "path,labels;size\na.jpg,cat;big\nb.jpg,cat,dog;big\nc.jpg,cat;big\n",
        "line 3: 3 cells, expected 2",
    ),
    "one column": ("name\na\nb\n", {"name": ["a", "b"]}),
    "one column of names with spaces": ("name\na b\nc d\n", {"name": ["a b", "c d"]}),
    "one column, a comma in one name": (
        "name\na\nb\nc\nd,e\n",
        "line 5: 2 cells, expected 1",
    ),
    # quotes
    "quoted": (table(",", quote='"'), WIDE),
    "quoted after a space": (
        'path, labels\na.jpg, "cat, dog"\n',
        {"path": ["a.jpg"], "labels": ["cat, dog"]},
    ),
    "apostrophes": (table(";", quote="'"), WIDE),
    "apostrophes around separators": (
        "path,labels\na.jpg,'cat, dog'\nb.jpg,cat\n",
        {"path": ["a.jpg", "b.jpg"], "labels": ["cat, dog", "cat"]},
    ),
    "an apostrophe in a word": (
        "path,labels\na.jpg,bird's nest\nb.jpg,'s Hertogenbosch\n",
        {"path": ["a.jpg", "b.jpg"], "labels": ["bird's nest", "'s Hertogenbosch"]},
    ),
    "a list with apostrophes": (
        "path,labels\na.jpg,\"['cat', 'dog']\"\nb.jpg,['cat']\n",
        {"path": ["a.jpg", "b.jpg"], "labels": ["['cat', 'dog']", "['cat']"]},
    ),
    "doubled quotes": (
        'path,labels\na.jpg,"the ""big"" cat, old"\n',
        {"path": ["a.jpg"], "labels": ['the "big" cat, old']},
    ),
    "escaped quotes": (
        'path,labels\na.jpg,"the \\"big\\" cat, old"\nb.jpg,"cat"\n',
        {"path": ["a.jpg", "b.jpg"], "labels": ['the "big" cat, old', "cat"]},
    ),
    "a Windows folder in quotes": (
        'path,folder,cat\n"a.jpg","x\\y\\",1\n"b.jpg","x\\z\\",0\n',
        {"path": ["a.jpg", "b.jpg"], "folder": ["x\\y\\", "x\\z\\"], "cat": ["1", "0"]},
    ),
    "a quote within a cell": (
        'path,labels\na.jpg,5" nail\n',
        {"path": ["a.jpg"], "labels": ['5" nail']},
    ),
    "a newline in quotes": (
        'path,labels\na.jpg,"cat\ndog"\nb.jpg,cat\n',
        {"path": ["a.jpg", "b.jpg"], "labels": ["cat\ndog", "cat"]},
    ),
    "an open quote": ('path,labels\na.jpg,cat\n"b.jpg,dog\nc.jpg,cat\n', "line 3: a quote opens"),
    "text after a quote": ('path,labels\na.jpg,"cat" dog\n', "line 2: text after a closing quote"),
    "each line in quotes": ('"path,cat"\n"a.jpg,1"\n', "the quotes stand around whole lines"),
    # encodings
    "byte-order mark": (b"\xef\xbb\xbf" + COMMA.encode(), WIDE),
    "two byte-order marks": (b"\xef\xbb\xbf\xef\xbb\xbf" + COMMA.encode(), WIDE),
    "UTF-16 with mark": (COMMA.encode("utf-16"), WIDE),
    "UTF-16 big-endian with mark": (b"\xfe\xff" + COMMA.encode("utf-16-be"), WIDE),
    "UTF-16 without mark": (COMMA.encode("utf-16-le"), WIDE),
    "UTF-16 big-endian without mark": (COMMA.encode("utf-16-be"), WIDE),
    "UTF-32": (COMMA.encode("utf-32"), WIDE),
    "cp1252": (
        "path;labels\na.jpg;Kätzchen\nb.jpg;Fuß – groß\n".encode("cp1252"),
        {"path": ["a.jpg", "b.jpg"], "labels": ["Kätzchen", "Fuß – groß"]},
    ),
    "cp1251": ("path,labels\na.jpg,кошка\n".encode("cp1251"), "line 2: not UTF-8.*cp1251"),
    "gb18030": ("path,labels\na.jpg,小狗\n".encode("gb18030"), "line 2: not UTF-8.*gb18030"),
    "one Chinese letter": ("path,labels\na.jpg,猪\n".encode("gb18030"), "line 2: not UTF-8"),
    "Shift JIS": ("path,labels\na.jpg,ネコ\n".encode("shift_jis"), "line 2: not UTF-8.*shift_jis"),
    "cp1250": ("path,labels\na.jpg,Żółw\n".encode("cp1250"), "line 2: not UTF-8.*cp1250"),
    "Mac": ("path,labels\na.jpg,Kätzchen\n".encode("mac_roman"), "line 2: not UTF-8.*mac_roman"),
    "DOS": ("path,labels\na.jpg,Kätzchen\n".encode("cp850"), "line 2: not UTF-8"),
    "a capital within a word": (b"path,labels\na.jpg,ka\xc4tzchen\n", "line 2: not UTF-8"),
    "a broken letter": (
        "path,labels\na.jpg,Kätzchen\nb.jpg,Kä".encode() + b"\xe4\n",
        r"line 3: not UTF-8 text: .*among text that is UTF-8 at byte 37",
    ),
    "a zero byte": (b"path,cat\na.jpg,1\nb.jpg,\x001\n", "line 3: a zero byte"),
    # line ends
    "carriage returns": (COMMA.replace("\n", "\r"), WIDE),
    "Windows line ends": (COMMA.replace("\n", "\r\n"), WIDE),
    "mixed line ends": (COMMA.replace("\n", "\r\n", 1), WIDE),
    "no line end": (COMMA.rstrip(), WIDE),
    # above the header
    "sep": ("sep=;\n" + table(";", PLAIN).replace("cat;dog", '"cat;dog"'), PLAIN),
    "sep in quotes": ('"sep=;"\n' + table(";"), WIDE),
    "sep after a byte-order mark": ("\ufeffsep=|\r\n" + table("|", newline="\r\n"), WIDE),
    "sep for a rare separator": ("sep=#\n" + table("#"), WIDE),
    "comments": ("# exported, today\n# by me\n" + COMMA, WIDE),
    "comments and blank lines": ("\n# exported, today\n\n\n" + COMMA, WIDE),
    "header in a comment": ("# from us\n#" + COMMA, WIDE),
    "names with #": (
        "path,cat\n#1.jpg,1\n#2.jpg,0\n",
        {"path": ["#1.jpg", "#2.jpg"], "cat": ["1", "0"]},
    ),
    "a title": ("Export of cats\n\n" + COMMA, WIDE),
    "two titles": ("Export of cats\nof today\n" + COMMA, WIDE),
    "a padded title": ("Export of cats,,\n,,\n" + COMMA, WIDE),
    "a title above two columns": ("Export\n" + LISTS, PLAIN),
    "a padded title above two columns": ("Export,\n" + LISTS, "line 1: only one of two cells"),
    # rows
    "blank lines": (COMMA.replace("\n", "\n\n  \n,,\n"), WIDE),
    "trailing separators": (COMMA.replace("\n", ",\n"), WIDE),
    "padding columns": (COMMA.replace("\n", ",,,\n"), WIDE),
    "trailing separators in rows alone": (COMMA.replace("\n", ",,\n").replace(",,", "", 1), WIDE),
    "trailing separator in the header alone": (COMMA.replace("\n", ",\n", 1), WIDE),
    "space around cells": (COMMA.replace(",", " ,\t"), WIDE),
    "too few cells": ("path,cat,dog\na.jpg,1,0\nb.jpg,1\n", "line 3: 2 cells, expected 3"),
    "too many cells": ("path,cat,dog\na.jpg,1,0\nb.jpg,1,0,1\n", "line 3: 4 cells, expected 3"),
    "a list without quotes": (
        "path,labels\na.jpg,cat\nb.jpg,cat,dog\n",
        "line 3: 3 cells, expected 2 .*quotes",
    ),
    "row names of R": (
        "path,cat\n1,a.jpg,1\n2,b.jpg,0\n",
        "line 2: 3 cells, expected 2 .*give the first column a name",
    ),
    "two files joined": (COMMA.replace("b.jpg", "path,cat,dog\nb.jpg"), WIDE),
    "Markdown": (
        "| path | cat | dog |\n|:---|---|--:|\n"
        + "".join(f"| {p} | {c} | {d} |\n" for p, c, d in zip(*WIDE.values(), strict=True)),
        WIDE,
    ),
    "a query's result": (
        " path | cat \n------+-----\n a.jpg | 1 \n",
        {"path": ["a.jpg"], "cat": ["1"]},
    ),
    "rare line separators in a cell": (
        "path,labels\na.jpg,x\x0by\u2028z\x85\nb.jpg,\x1cw\n",
        {"path": ["a.jpg", "b.jpg"], "labels": ["x\x0by\u2028z", "w"]},
    ),
    "a row after a quoted newline": (
        'path,labels\na.jpg,"cat\ndog"\nb.jpg\n',
        "line 4: 1 cells, expected 2",
    ),
    # header
    "pandas index": (",path,cat\n0,a.jpg,1\n1,b.jpg,0\n", {"path": PATHS[:2], "cat": ["1", "0"]}),
    "row names of R, with a blank": (
        '"","path","cat"\n"1","a.jpg",1\n"2","b.jpg",0\n',
        {"path": PATHS[:2], "cat": ["1", "0"]},
    ),
    "a name twice": ("path,cat,cat\na.jpg,1,0\n", "the name 'cat' twice, in columns 2 and 3"),
    "no name": ("path,,cat\na.jpg,x,0\n", "column 2 without a name, which holds 'x'"),
    "no name, but 0, 1": ("path,,cat\na.jpg,0,1\nb.jpg,1,0\n", "column 2 without a name"),
    "last name missing": (
        "path,cat,\na,yes,x\nb,no,y\n",
        "column 3 without a name, which holds 'x'",
    ),
    "numbers as classes": (
        "path,0,1,2\na.jpg,1,0,0\nb.jpg,0,1,0\n",
        {"path": PATHS[:2], "0": ["1", "0"], "1": ["0", "1"], "2": ["0", "0"]},
    ),
    "a class named 1": ("name,1\na,1\nb,0\n", {"name": ["a", "b"], "1": ["1", "0"]}),
    "no header": ("a.jpg,1,0\nb.jpg,0,1\n", "line 1: 'a.jpg, 1, 0' looks like the first image"),
    "no header, tabs": ("a.jpg\t1\t0\nb.jpg\t0\t1\n", "looks like the first image"),
    "no header, spaces": ("a.jpg 1 0\nb.jpg 0 1\n", "looks like the first image"),
    "no header, lists": ("a.jpg,cat\nb.jpg,dog\n", "looks like the first image"),
    "no header, no endings": ("img_1,1,0\nimg_2,0,1\n", "looks like the first image"),
    "no header, numbered names": ("img_1,x\nimg_2,y\nimg_3,z\n", "looks like the first image"),
    "no header, one flag": ("cat,1\ndog,0\n", "looks like the first image"),
    "no header, two flags that count": ("x,0,1\ny,1,0\n", "looks like the first image"),
    "no header, words": (
        "001,cat\n002,dog\n003,cat\n004,dog\n",
        "looks like the first image",
    ),
    "no header below a title": ("My title\na.jpg,1,0\nb.jpg,0,1\n", "line 2: 3 cells, expected 1"),
    "one name missing below": ("path,cat\na.jpg,1,0\nb.jpg,0,1\n", "line 2: 3 cells, expected 2"),
    # sizes
    "a long cell": (
        "path,labels\na.jpg," + "x" * 1_000_000 + "\n",
        {"path": ["a.jpg"], "labels": ["x" * 1_000_000]},
    ),
    "empty": ("", "the file is empty"),
    "blank": ("\n \n", "the file is empty"),
    "a mark alone": ("\ufeff", "the file is empty"),
    "a header alone": ("path,cat\n", "no rows"),
    "separators alone": (",,,\n,,\n", "the file is empty"),
    # other kinds of file
    "gzip": (gzip.compress(COMMA.encode()), "this is a gzip archive; unpack it"),
    "PDF": (b"%PDF-1.7\n", "this is a PDF document"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "this is a PNG image"),
    "HTML": ("<html><table><tr><td>path</td></tr></table></html>", "this is a page of HTML"),
    "Git LFS": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a pointer of Git LFS.*git lfs pull",
    ),
    "a broken zip": (b"PK\x03\x04", "cut off or damaged"),
    "a pickle": (b"\x80\x04\x95", "a pickle, which could run code"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRID)
def test_a_table_is_read_as_meant_or_refused_in_words(tmp_path, name):
    content, expected = GRID[name]
    path = write(tmp_path, content)
    if isinstance(expected, str):
        with pytest.raises(DataError, match=rf"t\.csv.*({expected})"):
            read_rows(path)
    else:
        assert read_rows(path).columns == expected


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

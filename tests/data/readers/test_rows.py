"""Tables as files may hold them: the rows that are meant, or a refusal in words."""

import gzip

import pytest
from text_tables import COMMA, LISTS, PATHS, PLAIN, WIDE, table, write

from colabel.data.readers.rows import read_rows
from colabel.errors import DataError

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

from pathlib import Path

import pytest

from colabel.data.paths import contained
from colabel.errors import DataError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a.jpg"),
        (r"images\deep\a.jpg", "images/deep/a.jpg"),
        ("./a/../b.jpg", "b.jpg"),
        ("a//b.jpg", "a/b.jpg"),
        ("..a/b..jpg", "..a/b..jpg"),
        ("  a.jpg ", "a.jpg"),
        ("ordner/Übung 1.jpg", "ordner/Übung 1.jpg"),
    ],
)
def test_paths_inside_are_normalised(tmp_path, name, expected):
    assert contained(tmp_path, name, where="t") == expected


def test_an_absolute_path_inside_becomes_relative(tmp_path):
    assert contained(tmp_path, str(tmp_path / "x" / "a.jpg"), where="t") == "x/a.jpg"
    link = tmp_path / "link"
    (tmp_path / "real").mkdir()
    link.symlink_to(tmp_path / "real")
    assert contained(link, str(tmp_path / "real" / "a.jpg"), where="t") == "a.jpg"


OUTSIDE = [
    "../a.jpg",
    "..",
    "a/../../b.jpg",
    r"..\..\a.jpg",
    "/etc/passwd",
    "//server/share/a.jpg",
    r"\\server\share\a.jpg",
    r"C:\images\a.jpg",
    "C:a.jpg",
    ".",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_outside_are_refused_with_the_row(tmp_path, name):
    with pytest.raises(DataError, match=r"labels\.csv, line 3: the path .* leaves the data"):
        contained(tmp_path, name, where="labels.csv, line 3")


def test_a_folder_with_the_same_beginning_is_outside(tmp_path):
    with pytest.raises(DataError, match="leaves"):
        contained(tmp_path / "data", str(tmp_path / "data2" / "a.jpg"), where="t")


@pytest.mark.parametrize("name", ["", "  ", "a\0.jpg"])
def test_what_is_no_path_is_refused_even_outside(name):
    with pytest.raises(DataError, match="expected the path of an image"):
        contained(Path("data"), name, where="t", allow_outside=True)


def test_outside_is_allowed_on_request(tmp_path):
    assert contained(tmp_path, "../a.jpg", where="t", allow_outside=True) == "../a.jpg"
    assert contained(tmp_path, "/b/../a.jpg", where="t", allow_outside=True) == "/a.jpg"

"""Plain files alone are opened, and JSON of a bounded depth alone is parsed."""

import json
import os

import pytest

from colabel.foreign import open_plain, parse_json, read_plain


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a plain file"):
        open_plain(tmp_path / "pipe")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a file"):
        open_plain(tmp_path)


def test_a_link_is_followed_only_where_it_may_be(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link", limit=10) == b"content"
    with pytest.raises(OSError, match="a symbolic link"):
        read_plain(tmp_path / "link", limit=10, follow_links=False)


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r"at most 1,000 are read"):
        read_plain(tmp_path / "sparse", limit=1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "200 deep"),
        ("[" * 250 + "]" * 250, "200 deep"),
        ('{"a":' * 100_000, "200 deep"),
        ("[1, NaN]", "NaN is no JSON"),
        ("[-Infinity]", "-Infinity is no JSON"),
        ("9" * 5000, "5,000 digits"),
        ("{", "Expecting"),
    ],
)
def test_what_no_honest_file_holds_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b'"\xff"')


def test_honest_json_is_what_the_standard_library_reads():
    value = {"a": [1, -2, 3.5, None, True, "ü"], "b": {"c": []}}
    assert parse_json(json.dumps(value)) == value
    deep = "[" * 200 + "]" * 200
    assert parse_json(deep) == json.loads(deep)

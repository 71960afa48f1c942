import os
import socket

import pytest

from colabel.data.opening import at_home, open_data, read_data, read_lines
from colabel.errors import DataError

EXPECTED = "one name per line"


def refused(path, limit=10):
    with pytest.raises(DataError) as caught:
        open_data(path, expected=EXPECTED, limit=limit)
    assert str(caught.value).endswith(f"; expected {EXPECTED}.")
    return str(caught.value)


def test_what_is_no_plain_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("missing")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert "socket: not a plain file;" in refused(tmp_path / "socket")
    assert "pipe: not a plain file;" in refused(tmp_path / "pipe")
    assert "/dev/zero: not a plain file;" in refused("/dev/zero")
    assert f"{tmp_path}: a folder;" in refused(tmp_path)
    assert "loop: a symbolic link that leads to itself;" in refused(tmp_path / "loop")
    assert "nowhere: no such file;" in refused(tmp_path / "nowhere")
    assert "no such file, its name is too long;" in refused(tmp_path / ("x" * 300))
    assert "no file can be called so;" in refused("a\0b")
    assert "no file can be called so;" in refused("\ud800")


def test_a_file_is_not_read_beyond_its_limit(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a\nb\n")
    assert read_data(path, expected=EXPECTED, limit=4) == b"a\nb\n"
    with pytest.raises(DataError, match=r"4 bytes, where at most 3 are read; expected one name"):
        read_data(path, expected=EXPECTED, limit=3)
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    with pytest.raises(DataError, match=r"1,099,511,627,776 bytes, where at most"):
        read_lines(path, expected=EXPECTED)


def test_denied_permission_is_said(tmp_path, monkeypatch):
    def deny(path, *rest, **more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", deny)
    assert "cannot be read (Permission denied);" in refused(tmp_path / "list.txt")


def test_lines_are_utf_8(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert read_lines(path, expected=EXPECTED) == ["a", "b"]
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"not UTF-8 text \(.* at byte 3\); save it as UTF-8"):
        read_lines(path, expected=EXPECTED)


def test_a_home_that_nobody_has_stays_as_it_is():
    assert str(at_home("~nobody-of-this-name/x")) == "~nobody-of-this-name/x"

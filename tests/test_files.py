import errno
import os
from pathlib import Path

import pytest

from colabel.errors import RunError
from colabel.files import growing_file, partial_of, replace_file


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "note.txt"
    for text in (b"first", b"second, longer", b""):
        replace_file(path, lambda file, text=text: file.write(text))
        assert path.read_bytes() == text
    assert os.listdir(tmp_path) == ["note.txt"]


@pytest.mark.parametrize("at", ["write", "fsync", "replace"])
def test_a_full_disk_keeps_what_was_there_and_leaves_nothing_else(tmp_path, monkeypatch, at):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "note.txt"
    path.write_text("before")
    if at != "write":
        monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[at], full)
    with pytest.raises(RunError, match=r"note.txt cannot be written: No space left.*is intact"):
        replace_file(path, full if at == "write" else lambda file: file.write(b"after"))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["note.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_of_the_writer_is_passed_on_and_costs_nothing(tmp_path, error):
    path = tmp_path / "note.txt"
    path.write_text("before")

    def fails(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        replace_file(path, fails)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "note.txt", tmp_path / "folder"):
        with pytest.raises(RunError, match=f"{path.name} cannot be written"):
            replace_file(path, lambda file: file.write(b"x"))
    assert os.listdir(tmp_path) == ["folder"]


def test_others_may_read_it_as_far_as_the_process_allows(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "note.txt", lambda file: file.write(b"x"))
    finally:
        os.umask(before)
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o640


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    for name in ("note.txt", f".note.txt.{os.getpid()}.new"):
        (tmp_path / name).symlink_to(outside)
        replace_file(tmp_path / "note.txt", lambda file: file.write(b"ours"))
        assert not (tmp_path / "note.txt").is_symlink()
        assert outside.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["note.txt", "outside.txt"]


def test_a_growing_file_belongs_to_one_at_a_time(tmp_path):
    path = tmp_path / "lines.txt"
    with growing_file(path) as file:
        file.write("first\n")
        second = growing_file(path)
        with pytest.raises(RunError, match=r"another process is writing .*lines.txt.partial"):
            second.__enter__()
        file.write("second\n")
    assert path.read_text() == "first\nsecond\n"
    with growing_file(path) as file:  # and then to the next
        file.write("third\n")
    assert path.read_text() == "third\n"
    assert os.listdir(tmp_path) == ["lines.txt"]


def test_a_growing_file_follows_no_link_in_its_way(tmp_path):
    (tmp_path / "outside.txt").write_text("mine")
    (tmp_path / "lines.txt.partial").symlink_to(tmp_path / "outside.txt")
    with (
        pytest.raises(RunError, match="symbolic link in the way"),
        growing_file(tmp_path / "lines.txt"),
    ):
        pass
    assert (tmp_path / "outside.txt").read_text() == "mine"


def test_a_growing_file_keeps_what_it_is_told_to(tmp_path):
    path = tmp_path / "lines.txt"
    partial_of(path).write_text("whole\ncut o")
    with growing_file(path, lambda partial: partial.read_text().index("\n") + 1) as file:
        file.write("next\n")
    assert path.read_text() == "whole\nnext\n"

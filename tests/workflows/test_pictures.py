import os
import shutil

import pytest
from fakes import write_image
from PIL import Image

from colabel.data.images import FORMATS
from colabel.errors import DataError
from colabel.workflows.pictures import find_pictures

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ("b.png", "a.JPG", "deep/er/c.tif", "deep/d.webp", "odd[1].png"):
        write_image(tmp_path / name)
    (tmp_path / "scan").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "deep" / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["b.png", "a.JPG"], ["b.png", "a.JPG"]),
        (["scan"], ["scan"]),
        (["deep"], ["deep/d.webp", "deep/er/c.tif"]),
        (
            ["."],
            ["./a.JPG", "./b.png", "./deep/d.webp", "./deep/er/c.tif", "./odd[1].png", "./scan"],
        ),
        (["*"], ["a.JPG", "b.png", "odd[1].png", "scan"]),
        (["deep/**/*"], ["deep/d.webp", "deep/er/c.tif"]),
        (["odd[1].png"], ["odd[1].png"]),
        (["b.png", "*.png", "b.png"], ["b.png", "odd[1].png"]),
    ],
)
def test_arguments_are_expanded(tree, arguments, found):
    assert find_pictures(arguments).pictures == found


@pytest.mark.parametrize("argument", ["nothing.png", "*.gif", "folder.png", "deep/*.txt"])
def test_an_argument_that_leads_nowhere_is_named(tree, argument):
    with pytest.raises(DataError, match=r"leads to no image.*: expected a file"):
        find_pictures(["b.png", argument])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.jfif"])
def test_a_picture_is_known_by_its_content(tmp_path, form, name):
    Image.new("RGB", (9, 7), "red").save(tmp_path / name, format=form)
    assert find_pictures([str(tmp_path)]).pictures == [str(tmp_path / name)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(99)),
        ("a", b"\0\0\0\x18ftypheic" + bytes(99)),
        ("a.dcm", bytes(128) + b"DICM"),
        ("a", bytes(128) + b"DICM"),
        ("a.avif", b""),
        ("a.png", b"no picture"),
        ("a.JPG", b""),
        ("a", b"\xff\xd8\xff\xe0 a JPEG that ends early"),
        ("a.bin", b"II*\0 a TIFF that ends early"),
    ],
)
def test_what_should_be_a_picture_is_listed_though_it_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert find_pictures([str(tmp_path)]).pictures == [str(tmp_path / name)]


@pytest.mark.parametrize("text", ["BMI,age\n", "P1 was late", "P6 \n", "GIF", "", "II*", "RIFF"])
def test_text_is_counted_and_no_picture(tmp_path, text):
    write_image(tmp_path / "a.png")
    (tmp_path / "b.csv").write_text(text)
    (tmp_path / "c").write_text(text)
    found = find_pictures([str(tmp_path)])
    assert found.pictures == [str(tmp_path / "a.png")]
    assert found.others == {".csv": 1, "without an ending": 1}
    assert found.notes == ("files that are no pictures, left alone: 1 .csv, 1 without an ending",)


def test_what_systems_leave_in_folders_is_left_alone(tmp_path):
    write_image(tmp_path / "a.png")
    for name in (".thumbnails/a.png", "__MACOSX/sub/b.png", "deep/.ipynb_checkpoints/c.png"):
        write_image(tmp_path / name)
    (tmp_path / "._a.png").write_bytes(APPLE_DOUBLE)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    found = find_pictures([str(tmp_path)])
    assert found.pictures == [str(tmp_path / "a.png")]
    assert found.hidden == 7
    assert not found.others
    names = [str(tmp_path / name) for name in ("a.png", "._a.png", ".DS_Store", "Thumbs.db")]
    assert find_pictures(names).pictures == names[:1]  # as a shell expands a star
    hidden = str(tmp_path / ".thumbnails")
    assert find_pictures([hidden]).pictures == [f"{hidden}/a.png"]  # asked for by name


def test_linked_folders_are_searched_once_and_circles_end(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    write_image(outside / "far.png")
    write_image(inside / "sub" / "near.png")
    (inside / "a_link").symlink_to(outside)
    (inside / "again").symlink_to(outside)
    (inside / "sub" / "up").symlink_to(inside)
    (inside / "a_near").symlink_to(inside / "sub")
    (outside / "back").symlink_to(inside)
    (inside / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert find_pictures([str(inside)]).pictures == [
        f"{inside}/{name}" for name in ("a_link/far.png", "gone.png", "sub/near.png")
    ]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_pictures([str(tmp_path)])
    assert found.pictures == [str(tmp_path / "a.png")]
    assert found.folders == {
        str(tmp_path / "closed"): "the folder cannot be listed (Permission denied)"
    }


def test_a_pipe_is_not_waited_for(tmp_path):
    write_image(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    assert find_pictures([str(tmp_path)]).others == {"without an ending": 1}


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"leads to no image \(files that are no .* 1 \.txt\)"):
        find_pictures([str(tmp_path)])
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="leads to no image: expected"):
        find_pictures([str(tmp_path)])

import os

import pytest
from fakes import write_image

from colabel.build.source import open_source
from colabel.data.readers.textfiles import read_textfiles
from colabel.errors import ConfigError, DataError
from colabel.settings.data import Data


def write_texts(root, texts):
    """Write an image for each stem, and the text beside it unless it is None."""
    for stem, text in texts.items():
        write_image(root / f"{stem}.png")
        if text is not None:
            (root / f"{stem}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def labels_of(records):
    return [
        {records.classes[column] for column in row.nonzero()[0]} for row in records.targets == 1
    ]


def test_tags_stand_on_lines_or_between_commas(tmp_path):
    root = write_texts(
        tmp_path,
        {
            "a": "night sky, owl,owl , \n",
            "b": "owl\r\nmoon\r\n\r\n",
            "c": b"\xef\xbb\xbfmoon",
            "deep/d": "owl, moon".encode("utf-16"),
        },
    )
    records = read_textfiles(root)["all"]
    assert records.ids == ("a.png", "b.png", "c.png", "deep/d.png")
    assert records.classes == ("moon", "night sky", "owl")
    assert labels_of(records) == [{"night sky", "owl"}, {"owl", "moon"}, {"moon"}, {"owl", "moon"}]
    assert records.notes == ()


def test_missing_and_empty_text_files_are_counted(tmp_path):
    root = write_texts(tmp_path, {"a": "owl", "b": None, "c": "\n ,", "d": "moon"})
    (root / "stray.txt").write_text("owl")
    (root / "info.json").write_text("{}")
    records = read_textfiles(root)["all"]
    assert labels_of(records) == [{"owl"}, set(), set(), {"moon"}]
    assert records.notes == (
        "1 images without a text file kept without labels (option untagged)",
        "1 images with an empty text file kept without labels (option untagged)",
        "1 text files without an image left out",
        "1 files that are neither left out",
    )
    records = read_textfiles(root, untagged="drop")["all"]
    assert records.ids == ("a.png", "d.png")
    assert "1 images without a text file dropped (option untagged)" in records.notes


def test_spaces_separate_tags_where_the_user_says_so(tmp_path):
    root = write_texts(tmp_path, {"a": "night_sky owl", "b": "owl (bird)"})
    plain = read_textfiles(root)["all"]
    assert plain.classes == ("night_sky owl", "owl (bird)")
    assert "delimiter: ' '" in plain.notes[0]
    records = read_textfiles(root, delimiter=" ")["all"]
    assert records.classes == ("(bird)", "night_sky", "owl")
    assert records.notes == ()


def test_splits_and_other_endings(tmp_path):
    write_texts(tmp_path, {"train/a": "owl", "val/b": "moon"})
    opened = read_textfiles(tmp_path)
    assert list(opened) == ["train", "val"]
    assert opened["val"].ids == ("val/b.png",)
    assert opened["train"].classes == opened["val"].classes == ("moon", "owl")
    assert opened["val"].targets.tolist() == [[1, 0]]
    for split, stem in (("train", "a"), ("val", "b")):
        (tmp_path / split / f"{stem}.txt").rename(tmp_path / split / f"{stem}.caption")
    assert read_textfiles(tmp_path, ending=".caption")["train"].targets.tolist() == [[0, 1]]
    with pytest.raises(DataError, match="no text file with tags"):
        read_textfiles(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9", r"a\.txt: not UTF-8"),
        (b"a\0b", r"a\.txt: holds NUL"),
        (b"x" * (2**20 + 1), r"a\.txt: 1,048,577 bytes, where at most 1,048,576"),
        (b"0 0.5 0.5 0.2 0.3\n3 0.1 0.1 1e-3 0.2", "numbers and boxes"),
        (b"", "no text file with tags"),
    ],
)
def test_texts_that_are_no_tags(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_textfiles(write_texts(tmp_path, {"a": content}))


def test_a_text_for_two_images_is_refused(tmp_path):
    write_texts(tmp_path, {"a": "owl"})
    write_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"the tags of a\.jpg or of a\.png"):
        read_textfiles(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "a.png.txt")  # the whole name and the ending
    assert labels_of(read_textfiles(tmp_path)["all"]) == [set(), {"owl"}]


def test_a_pipe_is_never_opened(tmp_path):
    write_texts(tmp_path, {"a": "owl", "b": None})
    os.mkfifo(tmp_path / "b.txt")
    records = read_textfiles(tmp_path)["all"]
    assert labels_of(records) == [{"owl"}, set()]
    assert "1 names that are no plain files left out" in records.notes


def test_options_that_cannot_be_meant(tmp_path):
    with pytest.raises(DataError, match="did you mean 'drop'"):
        read_textfiles(tmp_path, untagged="dropp")
    with pytest.raises(DataError, match="full stop"):
        read_textfiles(tmp_path, ending="txt")
    with pytest.raises(DataError, match="at least one"):
        read_textfiles(tmp_path, delimiter="")


def test_the_source_is_opened_by_name(tmp_path):
    root = write_texts(tmp_path, {"a": "owl"})
    assert len(open_source(Data(source=f"textfiles:{root}"))["all"]) == 1
    with pytest.raises(ConfigError, match=rf"Did you mean textfiles:{root}\?"):
        open_source(Data(source=str(root)))
    with pytest.raises(DataError, match=rf"class folder.*Did you mean textfiles:{root}\?"):
        open_source(Data(source=f"folders:{root}"))

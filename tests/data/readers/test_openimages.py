import os
import time

import pytest
from fakes import write_image

from colabel.build.source import open_source
from colabel.data.readers.openimages import read_openimages
from colabel.errors import ConfigError, DataError
from colabel.settings.data import Data

HEADER = "ImageID,Source,LabelName,Confidence\n"
ROWS = {
    "train": [("a", "/m/02", 1), ("a", "/m/01", 0), ("b", "/m/02", 0), ("gone", "/m/09", 1)],
    "validation": [("c", "/m/03", 1), ("c", "/m/02", 1), ("c", "/m/02", 0)],
}
NAMES = "/m/01,Owl\n/m/02,Moon\n/m/03,Cat\n/m/09,Never\n"


def write_tables(root, *, prefix="", names=NAMES):
    for split, rows in ROWS.items():
        for image, _, _ in rows:
            if image != "gone":
                write_image(root / split / f"{image}.jpg")
        lines = "".join(f"{image},verification,{label},{value}\n" for image, label, value in rows)
        table = root / f"{prefix}{split}-annotations-human-imagelabels.csv"
        table.write_text(HEADER + lines)
    if names is not None:
        (root / f"{prefix}class-descriptions.csv").write_text(names)
    return root


def test_verified_absent_and_not_looked_at(tmp_path):
    opened = read_openimages(write_tables(tmp_path))
    assert list(opened) == ["train", "val"]
    train, validation = opened.values()
    assert train.classes == validation.classes == ("Owl", "Moon", "Cat")
    assert train.ids == ("train/a.jpg", "train/b.jpg")
    assert train.targets.tolist() == [[0, 1, -1], [-1, 0, -1]]
    assert validation.targets.tolist() == [[-1, -1, 1]]
    assert train.images.open(1).size == (16, 12)
    assert train.notes == (
        "1 images of the table that are not there left out",
        "3 labels that no row lists are unknown (option unlisted)",
    )
    assert "1 labels that are both present and absent are unknown" in validation.notes


def test_what_no_row_lists_may_be_absent(tmp_path):
    opened = read_openimages(write_tables(tmp_path), unlisted="absent")
    assert opened["train"].targets.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert opened["val"].targets.tolist() == [[0, -1, 1]]


def test_headers_and_names_of_the_seventh_version(tmp_path):
    names = "LabelName,DisplayName\n" + NAMES.replace("/m/03,Cat\n", "")
    opened = read_openimages(write_tables(tmp_path, prefix="oidv7-", names=names))
    assert opened["train"].classes == ("Owl", "Moon", "/m/03")
    assert opened["train"].notes[0] == "1 labels without a description, first /m/03"
    (tmp_path / "oidv7-class-descriptions.csv").unlink()
    assert read_openimages(tmp_path)["train"].classes == ("/m/01", "/m/02", "/m/03")


def test_folders_of_tables_and_images_elsewhere(tmp_path):
    for image in ("a", "b", "extra"):
        write_image(tmp_path / "data" / f"{image}.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "classifications.csv").write_text(
        HEADER + "a,x,/m/01,1.0\nb,x,/m/01,0\n"
    )
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "classes.csv").write_text(NAMES)
    records = read_openimages(tmp_path)["all"]
    assert records.ids == ("data/a.jpg", "data/b.jpg")
    assert records.classes == ("Owl",)
    assert records.targets.tolist() == [[1], [0]]
    assert records.notes == ("1 images without a row left out",)
    (tmp_path / "data").rename(tmp_path / "pictures")
    records = read_openimages(tmp_path, images=tmp_path / "pictures")["all"]
    assert records.ids == ("pictures/a.jpg", "pictures/b.jpg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'ImageID'"),
        ("ImageID,LabelName\na,x\n", "no column 'Confidence'"),
        (HEADER + "a,x,/m/01\n", "line 2: 3 cells; expected 4"),
        (HEADER + "a,machine,/m/01,0.7\n", r"line 2: the confidence '0\.7'.*human-verified"),
        (HEADER + "z,x,/m/01,1\n", "none of the 1 images of the table is there"),
        (HEADER + 'a,"x,/m/01,1\n', "not readable as UTF-8 CSV"),
        (b"ImageID,LabelName,Confidence\na,caf\xe9,1\n", "not readable as UTF-8 CSV"),
    ],
)
def test_tables_that_are_wrong(tmp_path, content, message):
    root = write_tables(tmp_path)
    path = root / "train-annotations-human-imagelabels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=rf"train.*{message}"):
        read_openimages(root)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("/m/01,Owl\n/m/02,Owl\n", "labels /m/01 and /m/02 are both called 'Owl'"),
        ("/m/01,Owl\n/m/01,Moon\n", "line 2: a second name for /m/01"),
        ("/m/01\n", "line 1: 1 cells"),
    ],
)
def test_descriptions_that_are_wrong(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        read_openimages(write_tables(tmp_path, names=names))


def test_images_of_one_name_and_tables_without_a_split(tmp_path):
    root = write_tables(tmp_path)
    write_image(root / "train" / "a.png")
    with pytest.raises(DataError, match="1 images have the name of another"):
        read_openimages(root)
    (root / "train" / "a.png").unlink()
    (root / "classifications.csv").write_text(HEADER)
    with pytest.raises(DataError, match="some tables of labels name a split"):
        read_openimages(root)


def test_a_pipe_is_never_opened(tmp_path):
    root = write_tables(tmp_path)
    (root / "class-descriptions.csv").unlink()
    os.mkfifo(root / "class-descriptions.csv")
    with pytest.raises(DataError, match=r"class-descriptions\.csv: not a plain file"):
        read_openimages(root)


def test_fifty_megabytes_are_read_within_seconds(tmp_path):
    write_image(tmp_path / "train" / "0000000000000007.jpg")
    lines = "".join(
        f"{n % 100_000:016},verification,/m/{n % 500:05},{n % 2}\n" for n in range(1_250_000)
    )
    path = tmp_path / "train-annotations-human-imagelabels.csv"
    path.write_text(HEADER + lines)
    assert path.stat().st_size > 50e6
    start = time.perf_counter()
    records = read_openimages(tmp_path)["train"]
    assert time.perf_counter() - start < 20
    assert records.targets.tolist() == [[1]]  # 7, 100 007, ... are all 7 modulo 500


def test_the_source_is_opened_by_name(tmp_path):
    root = write_tables(tmp_path)
    opened = open_source(Data(source=f"openimages:{root}", options={"unlisted": "absent"}))
    assert len(opened["train"]) == 2
    with pytest.raises(ConfigError, match=rf"Did you mean openimages:{root}\?"):
        open_source(Data(source=str(root)))
    with pytest.raises(DataError, match="did you mean 'absent'"):
        read_openimages(root, unlisted="abset")
    with pytest.raises(DataError, match="no table of labels; expected"):
        read_openimages(root / "train")
    with pytest.raises(DataError, match="not a folder"):
        read_openimages(root / "train-annotations-human-imagelabels.csv")

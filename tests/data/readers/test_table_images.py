"""Where the paths of a table lead."""

import pytest
from fakes import write_image, write_table
from PIL import Image
from table_files import WIDE, read

from colabel.data import read_table
from colabel.errors import DataError


def test_letter_case_of_files_is_forgiven(tmp_path):
    write_image(tmp_path / "pics" / "A.JPG")
    records = read(tmp_path, "path,cat\nPics/a.jpg,1\n", require_images=True)
    assert records.ids == ("Pics/a.jpg",)
    assert records.images.open(0).size == (16, 12)


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/a.jpg", r"..\a.jpg", r"C:\a.jpg"])
def test_a_path_that_leaves_the_folder(tmp_path, path):
    with pytest.raises(
        DataError, match=r"labels\.csv, line 2: the path .* leaves the data folder"
    ):
        read(tmp_path, f"path,cat\n{path},1\n")


def test_leaving_the_folder_on_request(tmp_path):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "tables").mkdir()
    text = f"path,cat\n../a.jpg,1\n{tmp_path / 'a.jpg'},0\n"
    records = read(tmp_path / "tables", text, allow_outside=True)
    assert records.images.open(0).size == records.images.open(1).size == (16, 12)


def test_images_elsewhere(tmp_path):
    write_image(tmp_path / "pics" / "a.png")
    (tmp_path / "tables").mkdir()
    records = read(
        tmp_path / "tables", "path,cat\na.png,1\n", images=tmp_path / "pics", require_images=True
    )
    assert records.root == tmp_path / "pics"
    assert records.images.open(0).size == (16, 12)


def test_the_folder_images_beside_the_table(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    records = read(tmp_path, "path,cat\na.png,1\n", require_images=True)
    assert records.root == tmp_path / "images"
    assert records.ids == ("a.png",)


def test_a_table_of_which_no_image_exists(tmp_path):
    with pytest.raises(DataError, match=r"none of the 3 images listed in .*labels\.csv exists"):
        read(tmp_path, WIDE, require_images=True)


def test_images_open_in_the_order_of_the_rows(tmp_path):
    path = write_table(
        tmp_path / "t.csv", [{"path": f"{name}.png", "cat": 1} for name in ("b", "a")]
    )
    Image.new("RGB", (3, 5)).save(tmp_path / "a.png")
    records = read_table(path)
    assert [records.images.open(index).size for index in range(2)] == [(16, 12), (3, 5)]

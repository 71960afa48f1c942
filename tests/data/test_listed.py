import pytest

from colabel.data.listed import find_images
from colabel.errors import DataError


def test_files_are_found_whatever_their_letter_case(tmp_path):
    for name in ("Images/A.JPG", "Images/b.jpg", "Images/C.jpg", "Images/c.JPG"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = ["images/a.jpg", "IMAGES/B.JPG", "Images/c.JPG", "images/C.Jpg", "other/d.jpg"]
    images, notes = find_images(tmp_path, names, source=tmp_path / "list", require_images=True)
    found = [images.locate(index) for index in range(5)]
    expected = ["Images/A.JPG", "Images/b.jpg", "Images/c.JPG", "images/C.Jpg", "other/d.jpg"]
    assert found == [str(tmp_path / name) for name in expected]  # C.jpg or c.JPG: not decided
    assert notes == (
        "2 names matched to files that are spelled otherwise, such as images/a.jpg to "
        "Images/A.JPG",
        f"2 of 5 image files are missing, first {tmp_path / 'images/C.Jpg'}",
    )


def test_a_folder_without_any_of_the_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none of the 2 images listed in .*list exists"):
        find_images(tmp_path, ["a.jpg", "b.jpg"], source=tmp_path / "list", require_images=True)
    images, notes = find_images(
        tmp_path, ["a.jpg"], source=tmp_path / "list", require_images=False
    )
    assert len(images) == 1
    assert "1 of 1" in notes[0]

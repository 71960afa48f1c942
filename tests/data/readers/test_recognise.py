import json
import os

import pytest
from fakes import coco_instances, voc_annotation, write_coco, write_image, write_voc

from colabel.data.readers.recognise import other_readers, recognise


def test_nothing_is_recognised_in_nothing(tmp_path):
    assert recognise(tmp_path) == recognise(tmp_path / "none") == []
    assert other_readers(tmp_path) == ""


def test_folders_of_images_alone_are_class_folders_unless_something_else_explains_them(tmp_path):
    write_image(tmp_path / "cat" / "a.png")
    assert other_readers(tmp_path) == f" Did you mean folders:{tmp_path}?"
    (tmp_path / "cat" / "a.txt").write_text("cat")
    assert recognise(tmp_path) == [f"folders:{tmp_path}"]
    assert recognise(tmp_path / "cat") == [f"textfiles:{tmp_path / 'cat'}"]


def test_the_layouts_of_published_sets(tmp_path):
    voc, coco = write_voc(tmp_path / "a"), write_coco(tmp_path / "b", 2017)
    assert recognise(voc) == [f"voc:{voc}"]
    assert recognise(coco) == [f"coco:{coco}"]


def test_two_layouts_in_one_folder_are_both_offered(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(voc_annotation("a", []))
    (tmp_path / "a.txt").write_text("owl")
    assert other_readers(tmp_path) == f" Did you mean voc:{tmp_path} or textfiles:{tmp_path}?"


@pytest.mark.parametrize(
    ("content", "reader"),
    [
        (json.dumps(coco_instances("p")).encode(), "coco"),
        (b'\xef\xbb\xbf[{"data": {}, "annotations": []}]', "labelstudio"),
        (b'[{"image": "a.png", "annotation_id": 3}]', "labelstudio"),
        (b'{"images": [], "annotations": []}', None),
        (b"[]", None),
        (b"[[1]]", None),
        (b"", None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'"\xff"', None),
    ],
)
def test_json_files(tmp_path, content, reader):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert recognise(path) == ([f"{reader}:{path}"] if reader else [])


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "labels.json")
    os.mkfifo(tmp_path / "a.json")
    assert recognise(tmp_path / "a.json") == recognise(tmp_path) == []

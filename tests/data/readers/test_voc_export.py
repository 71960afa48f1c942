import os

import pytest
from fakes import voc_annotation, write_image, write_voc

from colabel.build.source import open_source
from colabel.data.readers.voc_export import read_voc
from colabel.errors import ConfigError, DataError
from colabel.settings.data import Data

OBJECTS = {"a": [("owl", 0), ("moon", 1)], "b": [("moon", 1), ("moon", 0)], "c": []}
TARGETS = [[-1, 1], [1, 0], [0, 0]]


def write_export(root, *, images="JPEGImages", annotations="Annotations", objects=OBJECTS):
    (root / annotations).mkdir(parents=True, exist_ok=True)
    for name, things in objects.items():
        write_image(root / images / f"{name}.png")
        content = voc_annotation(name, things).replace(".jpg", ".png")
        (root / annotations / f"{name}.xml").write_text(content)
    return root


def test_classes_are_the_names_that_occur(tmp_path):
    root = write_export(tmp_path)
    write_image(root / "JPEGImages" / "extra.png")
    records = read_voc(root)["all"]
    assert records.classes == ("moon", "owl")
    assert records.ids == ("JPEGImages/a.png", "JPEGImages/b.png", "JPEGImages/c.png")
    assert records.targets.tolist() == TARGETS
    assert records.images.open(0).size == (16, 12)
    assert records.notes == (
        "1 labels with difficult objects only are unknown (-1)",
        "1 images without an annotation left out",
    )
    assert read_voc(root, difficult="present")["all"].targets.tolist() == [[1, 1], [1, 0], [0, 0]]


def test_splits_come_from_the_lists(tmp_path):
    root = write_export(tmp_path)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("b\n")
    (lists / "val.txt").write_text("a.png\n")
    (lists / "owl_train.txt").write_text("b -1\n")
    (lists / "trainval.txt").write_text("a\nb\n")
    opened = read_voc(root)
    assert {split: records.ids for split, records in opened.items()} == {
        "train": ("JPEGImages/b.png",),
        "val": ("JPEGImages/a.png",),
    }
    assert opened["train"].classes == opened["val"].classes == ("moon", "owl")
    assert f"1 annotations that are in no list of {lists} left out" in opened["train"].notes
    (lists / "val.txt").write_text("b\n")
    with pytest.raises(DataError, match=r"'b' is listed twice \(train, val\)"):
        read_voc(root)
    (lists / "val.txt").write_text("d\n")
    with pytest.raises(DataError, match=r"list of val holds 'd', but there is no .*d\.xml"):
        read_voc(root)


def test_the_published_layout_has_the_targets_of_its_own_reader(tmp_path):
    opened = read_voc(write_voc(tmp_path))
    assert list(opened) == ["train", "val", "test"]
    assert opened["train"].classes == ("dog", "person", "sofa", "tvmonitor")
    assert opened["train"].targets.tolist() == [[1, -1, 0, 0], [0, 1, 0, 0]]


def test_annotations_beside_the_images_in_folders_of_splits(tmp_path):
    for split, name in (("train", "a"), ("valid", "b")):
        write_export(tmp_path / split, images=".", annotations=".", objects={name: OBJECTS[name]})
    opened = read_voc(tmp_path)
    assert opened["train"].ids == ("train/a.png",)
    assert opened["val"].ids == ("valid/b.png",)
    assert opened["val"].targets.tolist() == [[1, 0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "cp1252", "gbk", "big5"])
def test_every_declared_encoding(tmp_path, encoding):
    name = "貓頭" if encoding in ("gbk", "big5") else "étoile"
    root = write_export(tmp_path)
    content = f'<?xml version="1.0" encoding="{encoding}"?>' + voc_annotation("a", [(name, 0)])
    (root / "Annotations" / "a.xml").write_bytes(content.encode(encoding))
    assert name in read_voc(root)["all"].classes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<a><object><name> </name></object></a>", "object 1: no name"),
        (b"<a><object/></a>", "object 1: no name"),
        (b"<a><object><name>owl</name><difficult>2</difficult></object></a>", "difficult is '2'"),
        (b"<a><object><name>\xe9toile</name></object></a>", "save it as UTF-8"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "not well-formed XML"),
        (b'<?xml version="1.0" encoding="gbk"?><a>\xff\xff</a>', "not well-formed XML"),
        (b'<?xml version="1.0" encoding="base64"?><a/>', "not well-formed XML"),
        (b"", "not well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type or entities"),
    ],
)
def test_broken_annotations_are_named(tmp_path, content, message):
    root = write_export(tmp_path)
    (root / "Annotations" / "b.xml").write_bytes(content)
    with pytest.raises(DataError, match=rf"b\.xml.*{message}"):
        read_voc(root)


def test_a_pipe_is_never_opened(tmp_path):
    root = write_export(tmp_path)
    (root / "Annotations" / "b.xml").unlink()
    os.mkfifo(root / "Annotations" / "b.xml")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("b\n")
    with pytest.raises(DataError, match=r"holds 'b', but there is no"):
        read_voc(root)
    (lists / "train.txt").unlink()
    os.mkfifo(lists / "train.txt")
    with pytest.raises(DataError, match=r"train\.txt: not a plain file"):
        read_voc(root)


def test_images_of_another_name_or_of_two_endings(tmp_path):
    root = write_export(tmp_path)
    (root / "JPEGImages" / "a.png").rename(root / "JPEGImages" / "other.png")
    path = root / "Annotations" / "a.xml"
    path.write_text(voc_annotation("C:\\pictures\\other", []).replace(".jpg", ".png"))
    write_image(root / "JPEGImages" / "b.jpg")
    assert read_voc(root)["all"].ids[:2] == ("JPEGImages/other.png", "JPEGImages/b.png")
    (root / "Annotations" / "b.xml").write_text("<a/>")
    with pytest.raises(DataError, match=r"b\.xml: b\.jpg and b\.png have its name"):
        read_voc(root)
    (root / "JPEGImages" / "b.jpg").unlink()
    (root / "Annotations" / "a.xml").write_text(voc_annotation("c", []).replace(".jpg", ".png"))
    with pytest.raises(DataError, match=r"two annotations name c\.png"):
        read_voc(root)


def test_wrong_layouts_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no XML file; expected Annotations"):
        read_voc(tmp_path)
    write_image(tmp_path / "cat" / "a.png")
    with pytest.raises(DataError, match=rf"Did you mean folders:{tmp_path}\?"):
        read_voc(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        read_voc(tmp_path / "cat" / "a.png")
    write_export(tmp_path, objects={"c": []})
    with pytest.raises(DataError, match="no annotation has an object"):
        read_voc(tmp_path)


def test_the_source_is_opened_by_name(tmp_path):
    root = write_export(tmp_path)
    assert (
        len(open_source(Data(source=f"voc:{root}", options={"difficult": "absent"}))["all"]) == 3
    )
    with pytest.raises(ConfigError, match=rf"Did you mean voc:{root}\?"):
        open_source(Data(source=str(root)))

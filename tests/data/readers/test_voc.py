import pytest
from fakes import VOC_LISTS, write_voc

from colabel.data import read_voc2007, read_voc2012
from colabel.data.readers.voc import CLASSES
from colabel.errors import DataError

DOG, PERSON, SOFA, MONITOR = map(CLASSES.index, ("dog", "person", "sofa", "tvmonitor"))


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path)


def nonzero(records, row):
    return {column: int(v) for column, v in enumerate(records.targets[row]) if v != 0}


@pytest.mark.parametrize("split", VOC_LISTS)
def test_every_split_has_its_images(folder, split):
    records = read_voc2007(folder, split)
    assert list(records.ids) == VOC_LISTS[split]
    assert len(records.classes) == 20
    assert records.images.open(0).size == (16, 12)


def test_a_difficult_object_alone_is_unknown(folder):
    train, test = read_voc2007(folder, "train"), read_voc2007(folder, "test")
    assert nonzero(train, 0) == {DOG: 1, PERSON: -1}
    assert nonzero(train, 1) == {PERSON: 1}  # one of the persons is not difficult
    assert nonzero(test, 0) == {SOFA: 1, MONITOR: -1}
    assert train.notes == ("1 labels with difficult objects only are unknown (-1)",)


@pytest.mark.parametrize(("difficult", "value"), [("present", 1), ("absent", 0)])
def test_difficult_objects_as_asked(folder, difficult, value):
    records = read_voc2007(folder, "train", difficult=difficult)
    assert records.targets[0, PERSON] == value
    assert records.notes == ()
    with pytest.raises(DataError, match="did you mean 'present'"):
        read_voc2007(folder, "train", difficult="presnt")


def test_an_image_without_objects_has_no_labels(folder):
    assert not read_voc2007(folder, "val").targets.any()


@pytest.mark.parametrize("inner", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_the_folder_may_be_given_at_three_levels(folder, inner):
    root = folder.parents[1] / inner
    assert read_voc2007(root, "train").root == folder


def test_voc2012(tmp_path):
    write_voc(tmp_path, "VOC2012")
    assert len(read_voc2012(tmp_path, "trainval")) == 3
    with pytest.raises(DataError, match="no public labels for its test split; use 'val'"):
        read_voc2012(tmp_path, "test")
    with pytest.raises(DataError, match="PASCAL VOC2007 not found; looked for"):
        read_voc2007(tmp_path, "train")
    with pytest.raises(DataError, match="did you mean 'train'"):
        read_voc2012(tmp_path, "trian")


def test_a_list_that_is_missing_or_empty(folder):
    path = folder / "ImageSets" / "Main" / "test.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match=r"test\.txt: the list is empty"):
        read_voc2007(folder, "test")
    path.unlink()
    with pytest.raises(DataError, match=r"test\.txt: no such file; the split 'test'"):
        read_voc2007(folder, "test")


def test_lists_with_a_label_behind_the_name(folder):
    (folder / "ImageSets" / "Main" / "train.txt").write_text("000001 -1\n000002  1\n")
    assert read_voc2007(folder, "train").ids == ("000001", "000002")


def test_a_list_that_climbs_out_of_the_folder(folder):
    (folder / "ImageSets" / "Main" / "train.txt").write_text("000001\n../../x\n")
    with pytest.raises(DataError, match=r"train\.txt, line 2: the path '../../x' leaves"):
        read_voc2007(folder, "train")


BOMB = """<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>
<annotation><object><name>&y;</name></object></annotation>"""
OUTSIDE = """<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&x;</name></object></annotation>"""
DOCTYPE = "<!DOCTYPE annotation><annotation/>"


@pytest.mark.parametrize("content", [BOMB, OUTSIDE, DOCTYPE])
def test_entities_are_refused(folder, content):
    (folder / "Annotations" / "000002.xml").write_text(content)
    with pytest.raises(DataError, match=r"000002\.xml: holds a document type or entities"):
        read_voc2007(folder, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation>", "not well-formed XML"),
        ("", "not well-formed XML"),
        ("<annotation><object><name>dgo</name></object></annotation>", "object 1: .*mean 'dog'"),
        ("<annotation><object/></annotation>", "no name; expected the class"),
        (
            "<a><object><name>dog</name><difficult>2</difficult></object></a>",
            "difficult is '2', expected 0 or 1",
        ),
    ],
)
def test_broken_annotations_are_named(folder, content, message):
    (folder / "Annotations" / "000001.xml").write_text(content)
    with pytest.raises(DataError, match=rf"000001\.xml.*{message}"):
        read_voc2007(folder, "train")


def test_a_missing_annotation(folder):
    (folder / "Annotations" / "000001.xml").unlink()
    with pytest.raises(
        DataError, match=r"000001\.xml: no such file; expected the annotation of a listed image"
    ):
        read_voc2007(folder, "train")


def test_missing_images(folder):
    images = folder / "JPEGImages"
    (images / "000001.jpg").unlink()
    assert "1 of 2 image files are missing" in read_voc2007(folder, "train").notes[1]
    (images / "000002.jpg").unlink()
    with pytest.raises(DataError, match="none of the 2 images"):
        read_voc2007(folder, "train")
    assert len(read_voc2007(folder, "train", require_images=False)) == 2

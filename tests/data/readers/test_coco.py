import json

import pytest
from fakes import coco_instances, write_coco

from colabel.data import read_coco2014, read_coco2017
from colabel.errors import DataError


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path, 2014)


def rewrite(root, change, part="train2014"):
    instances = coco_instances(part)
    change(instances)
    (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(instances))


@pytest.mark.parametrize(("split", "part"), [("train", "train2014"), ("test", "val2014")])
def test_labels_are_the_categories_that_occur(root, split, part):
    records = read_coco2014(root, split)
    assert records.classes == ("person", "car", "cat")  # in the order of the ids 1, 3, 7
    assert records.targets.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert records.ids[0] == f"{part}/{part}_0.jpg"
    assert records.images.open(3).size == (16, 12)
    assert records.notes == ("1 images without annotations kept (option unannotated)",)


def test_images_without_annotations_can_be_dropped(root):
    records = read_coco2014(root, "train", unannotated="drop")
    assert [name[-5] for name in records.ids] == ["0", "1", "3"]
    assert records.targets.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1]]
    assert records.images.locate(2).endswith("train2014_3.jpg")
    assert records.notes == ("1 images without annotations dropped (option unannotated)",)
    with pytest.raises(DataError, match="did you mean 'drop'"):
        read_coco2014(root, "train", unannotated="dorp")


def test_coco2017(tmp_path):
    write_coco(tmp_path, 2017)
    assert read_coco2017(tmp_path, "test").ids[0] == "val2017/val2017_0.jpg"
    with pytest.raises(DataError, match="COCO 2014 not found; looked for"):
        read_coco2014(tmp_path, "train")


def test_there_is_no_validation_split(root):
    with pytest.raises(DataError, match=r"no split 'val' here.*customary test split"):
        read_coco2014(root, "val")


def test_annotations_may_lie_beside_the_images(root):
    (root / "annotations" / "instances_train2014.json").rename(root / "instances_train2014.json")
    assert len(read_coco2014(root, "train")) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable JSON"),
        (b'{"images": [', "not readable JSON"),
        (b"[]", r"not as expected \(Expected `object`, got `array`.*COCO's images"),
        (b'{"images": [], "annotations": []}', "missing required field `categories`"),
        (b'{"images": {}, "annotations": [], "categories": []}', r"at `\$\.images`"),
        (b'{"images": [], "annotations": [], "categories": []}', "no images or no categories"),
        (b"\xff\xfe\x00", "not readable JSON"),
    ],
)
def test_json_of_another_shape(root, content, message):
    (root / "annotations" / "instances_train2014.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"instances_train2014\.json.*{message}"):
        read_coco2014(root, "train")


@pytest.mark.parametrize(
    ("table", "field", "value", "message"),
    [
        ("images", "file_name", 7, r"Expected `str`, got `int` - at `\$\.images"),
        ("images", "id", "10", r"Expected `int`, got `str`"),
        ("images", "id", 11, "the image id 11 occurs twice"),
        ("annotations", "category_id", 2, "annotation 1: category 2 is not among"),
        ("annotations", "image_id", None, "Expected `int`, got `null`"),
        ("categories", "id", 1, "the category id 1 occurs twice"),
        ("categories", "name", "person", "categories 1 and 7 are both called 'person'"),
        ("images", "file_name", "../../x.jpg", r"image id 10: the path .*leaves"),
        ("images", "file_name", "../val2014/x.jpg", r"image id 10: the path .*leaves"),
        ("images", "file_name", "/etc/x.jpg", r"image id 10: the path .*leaves"),
        ("images", "file_name", "", "image id 10"),
        ("images", "file_name", "train2014_1.jpg", "the id 'train2014/train2014_1.jpg' occurs"),
    ],
)
def test_single_values_that_are_wrong(root, table, field, value, message):
    rewrite(root, lambda instances: instances[table][0].update({field: value}))
    with pytest.raises(DataError, match=message):
        read_coco2014(root, "train")


def test_annotations_of_images_that_were_cut_away(root):
    rewrite(root, lambda instances: instances["images"].pop(0))
    records = read_coco2014(root, "train")
    assert records.targets.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert "2 annotations of images that are not in the file ignored" in records.notes

    def shift(instances):
        for image in instances["images"]:
            image["id"] += 1000

    rewrite(root, shift)
    with pytest.raises(DataError, match="not one annotation belongs to an image"):
        read_coco2014(root, "train")


def test_no_annotation_at_all_is_allowed(root):
    rewrite(root, lambda instances: instances["annotations"].clear())
    assert not read_coco2014(root, "train").targets.any()


def test_a_folder_without_images(root):
    for path in (root / "train2014").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="none of the 4 images"):
        read_coco2014(root, "train")
    assert len(read_coco2014(root, "train", require_images=False)) == 4

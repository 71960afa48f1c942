import contextlib
import json
import os
import time

import pytest
from damaged_json import HOSTILE, damaged_json
from fakes import coco_instances, write_coco, write_image
from hypothesis import given

from colabel.build.source import open_source
from colabel.data.readers.coco_export import read_coco
from colabel.errors import ColabelError, DataError
from colabel.settings.data import Data

TARGETS = [[0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
UNANNOTATED = "1 images without annotations kept (option unannotated)"


def write_export(folder, instances, *, name="_annotations.coco.json", images="."):
    """Write a file and the images it lists; return the file."""
    for image in instances["images"]:
        write_image(folder / images / str(image["file_name"]))
    (folder / name).write_text(json.dumps(instances))
    return folder / name


@pytest.fixture
def file(tmp_path):
    return write_export(tmp_path, coco_instances("p"))


def rewrite(file, change):
    instances = coco_instances("p")
    change(instances)
    file.write_text(json.dumps(instances))


def test_a_single_file(file):
    opened = read_coco(file)
    assert list(opened) == ["all"]
    records = opened["all"]
    assert records.classes == ("person", "car", "cat")
    assert records.targets.tolist() == TARGETS
    assert records.ids == ("p_0.jpg", "p_1.jpg", "p_2.jpg", "p_3.jpg")
    assert records.images.open(3).size == (16, 12)
    assert records.notes == (UNANNOTATED,)
    dropped = read_coco(file, unannotated="drop")["all"]
    assert dropped.ids == ("p_0.jpg", "p_1.jpg", "p_3.jpg")
    assert dropped.notes == ("1 images without annotations dropped (option unannotated)",)


def test_a_byte_order_mark_is_no_hindrance(file):
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_coco(file)["all"].targets.tolist() == TARGETS


def test_images_in_another_folder(tmp_path):
    file = write_export(tmp_path / "labels", coco_instances("p"), images="../pictures")
    with pytest.raises(DataError, match="none of the 4 images"):
        read_coco(file)
    records = read_coco(file, images=tmp_path / "pictures")["all"]
    assert records.ids[0] == "p_0.jpg"
    assert records.images.open(0).size == (16, 12)
    assert len(read_coco(file, require_images=False)["all"]) == 4


def test_file_names_with_folders_and_images_that_were_found(tmp_path):
    instances = coco_instances("p")
    instances["images"][0]["file_name"] = "deep\\er/p_0.jpg"
    write_image(tmp_path / "images" / "deep" / "er" / "p_0.jpg")
    (tmp_path / "labels.json").write_text(json.dumps(instances))
    records = read_coco(tmp_path / "labels.json")["all"]
    assert records.ids[:2] == ("images/deep/er/p_0.jpg", "images/p_1.jpg")
    assert records.images.open(0).size == (16, 12)
    assert f"images taken from {tmp_path / 'images'} (option images)" in records.notes
    assert any(note.startswith("3 of 4 image files are missing") for note in records.notes)


def test_the_published_layout(tmp_path):
    root = write_coco(tmp_path, 2017)
    (root / "annotations" / "captions_train2017.json").write_text("{}")
    opened = read_coco(root)
    assert list(opened) == ["train", "val"]
    assert opened["val"].ids[0] == "val2017/val2017_0.jpg"
    assert opened["train"].targets.tolist() == opened["val"].targets.tolist() == TARGETS


def roboflow(part):
    """Return a file whose category 0 groups the others."""
    instances = coco_instances(part)
    for category in instances["categories"]:
        category["supercategory"] = "cat"
    instances["categories"].append({"id": 0, "name": "cat", "supercategory": "none"})
    return instances


def test_folders_of_splits_and_a_category_that_groups_others(tmp_path):
    for part in ("train", "valid"):
        write_export(tmp_path / part, roboflow(part))
    opened = read_coco(tmp_path)
    assert list(opened) == ["train", "val"]
    records = opened["val"]
    assert records.classes == ("person", "car", "cat")
    assert records.ids[0] == "valid/valid_0.jpg"
    assert records.images.open(0).size == (16, 12)
    assert (
        records.notes[0] == "the category 0, 'cat', groups others and has no annotation: left out"
    )
    used = roboflow("train")
    used["annotations"].append({"image_id": 10, "category_id": 0})
    write_export(tmp_path / "train", used)
    with pytest.raises(DataError, match="categories 0 and 7 are both called 'cat'"):
        read_coco(tmp_path)


def test_a_category_zero_that_groups_nothing_stays(file):
    rewrite(file, lambda instances: instances["categories"].append({"id": 0, "name": "owl"}))
    assert read_coco(file)["all"].classes == ("owl", "person", "car", "cat")


def test_a_class_that_one_file_lacks_is_unknown_there(tmp_path):
    train, test = coco_instances("train"), coco_instances("test")
    test["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "owl"}]
    test["annotations"] = [{"image_id": 10, "category_id": 1}, {"image_id": 11, "category_id": 2}]
    write_export(tmp_path / "train", train)
    write_export(tmp_path / "test", test)
    opened = read_coco(tmp_path)
    assert opened["test"].classes == ("person", "car", "cat", "owl")
    assert opened["test"].targets.tolist()[:2] == [[-1, -1, 1, 0], [-1, -1, 0, 1]]
    assert opened["train"].targets.tolist()[0] == [0, 1, 1, -1]
    note = "classes that _annotations.coco.json lacks are unknown: car, person"
    assert note in opened["test"].notes


@pytest.mark.parametrize(
    ("table", "field", "value", "message"),
    [
        ("categories", "name", "person", "the categories 1 and 7 are both called 'person'"),
        ("categories", "id", 1, "the category id 1 occurs twice"),
        ("images", "id", 11, "the image id 11 occurs twice"),
        ("images", "file_name", "p_1.jpg", "the images 10 and 11 are both the file 'p_1.jpg'"),
        ("images", "file_name", "./p_1.jpg", "the images 10 and 11 are both"),
        ("images", "file_name", "../../x.jpg", r"image id 10: the path .*leaves"),
        ("annotations", "category_id", 2, "annotation 1: category 2 is not among"),
        ("annotations", "category_id", "3", "Expected `int`, got `str`"),
    ],
)
def test_single_values_that_are_wrong(file, table, field, value, message):
    rewrite(file, lambda instances: instances[table][0].update({field: value}))
    with pytest.raises(DataError, match=rf"_annotations\.coco\.json.*{message}"):
        read_coco(file)


@pytest.mark.parametrize("key", ["annotations", "category_id"])
def test_a_key_that_occurs_twice_is_refused(file, key):
    value = [] if key == "annotations" else 3
    content = json.dumps(coco_instances("p"))
    file.write_text(content.replace(f'"{key}":', f'"{key}": {value}, "{key}":', 1))
    with pytest.raises(DataError, match=f"the key '{key}' occurs twice"):
        read_coco(file)


def test_a_field_of_the_same_name_elsewhere_is_no_repetition(file):
    rewrite(file, lambda instances: instances.update(info={"images": 4, "category_id": 1}))
    assert read_coco(file)["all"].targets.tolist() == TARGETS


def test_folders_that_are_not_clear(tmp_path):
    with pytest.raises(DataError, match=r"no JSON file; expected a COCO file"):
        read_coco(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(DataError, match=r"2 JSON files, of which a\.json names no split"):
        read_coco(tmp_path)
    (tmp_path / "a.json").rename(tmp_path / "train_2.json")
    with pytest.raises(DataError, match=r"train\.json and train_2\.json are both train"):
        read_coco(tmp_path)
    write_image(tmp_path / "other" / "train" / "cat" / "a.png")
    with pytest.raises(DataError, match=r"0 JSON files.*Did you mean folders:.*other\?"):
        read_coco(tmp_path / "other")


def test_no_annotation_is_left(file):
    rewrite(file, lambda instances: instances["annotations"].clear())
    assert not read_coco(file)["all"].targets.any()
    with pytest.raises(DataError, match="no image has an annotation"):
        read_coco(file, unannotated="drop")


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_words(file, content):
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"_annotations\.coco\.json: "):
        read_coco(file)


def test_a_pipe_is_never_opened(file):
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match="not a plain file; expected COCO's images"):
        read_coco(file)


@given(content=damaged_json(coco_instances("p")))
def test_damaged_files_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "damaged.json"
    file.write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_coco(file, require_images=False)["all"].fingerprint()


def test_fifty_megabytes_are_read_within_seconds(tmp_path):
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(100_000)]
    outline = [[float(number) for number in range(12)]]
    annotations = [
        {"id": n, "image_id": n % 100_000, "category_id": n % 80, "segmentation": outline}
        for n in range(350_000)
    ]
    categories = [{"id": number, "name": f"class {number}"} for number in range(80)]
    file = tmp_path / "large.json"
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    assert file.stat().st_size > 50e6
    start = time.perf_counter()
    records = read_coco(file, require_images=False)["all"]
    assert time.perf_counter() - start < 20
    assert records.targets.sum(axis=0).tolist() == [1250] * 80


def test_the_source_is_opened_by_name(file):
    data = Data(source=f"coco:{file}", options={"images": str(file.parent)})
    assert len(open_source(data)["all"]) == 4
    with pytest.raises(ColabelError, match=rf"Did you mean coco:{file}\?"):
        open_source(Data(source=str(file)))
    with pytest.raises(ColabelError, match=rf"Did you mean coco:{file.parent}\?"):
        open_source(Data(source=str(file.parent)))

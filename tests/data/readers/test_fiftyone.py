import contextlib
import json
import os

import pytest
from damaged_json import HOSTILE, damaged_json
from fakes import write_image
from hypothesis import given

from colabel.build.source import open_source
from colabel.data.readers.fiftyone import read_fiftyone
from colabel.errors import ColabelError, ConfigError, DataError
from colabel.settings.data import Data

LABELS = {
    "classes": ["owl", "moon", "cat"],
    "labels": {
        "a": [0, 1],
        "deep/b": 2,
        "c.png": ["moon", {"label": "owl", "confidence": 0.4}],
        "d": [],
        "e": None,
        "f": {"label": 1, "confidence": 1.0},
        "g": {"label": None},
    },
}
IMAGES = ("a", "deep/b", "c", "d", "e", "f")
SAMPLES = {
    "samples": [
        {
            "filepath": "data/a.png",
            "tags": ["train", "sunny"],
            "truth": {
                "_cls": "Classifications",
                "classifications": [{"_cls": "Classification", "label": "owl", "confidence": 0.5}],
            },
            "score": {"_cls": "Regression", "value": 1},
        },
        {
            "filepath": "data/b.png",
            "tags": ["validation"],
            "truth": {"_cls": "Classification", "label": "moon"},
        },
        {"filepath": "data/c.png", "tags": ["train"], "truth": None},
        {
            "filepath": "data/d.png",
            "tags": ["train"],
            "truth": {"_cls": "Classifications", "classifications": []},
        },
    ]
}


def write_export(root, content=LABELS, *, images=IMAGES, name="labels.json"):
    for image in images:
        write_image(root / "data" / f"{image}.png")
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root


def test_indices_names_and_lists_of_them(tmp_path):
    records = read_fiftyone(write_export(tmp_path))["all"]
    assert records.classes == ("owl", "moon", "cat")
    assert dict(zip(records.ids, records.targets.tolist(), strict=True)) == {
        "data/a.png": [1, 1, 0],
        "data/deep/b.png": [0, 0, 1],
        "data/c.png": [1, 1, 0],
        "data/d.png": [0, 0, 0],
        "data/f.png": [0, 1, 0],
    }
    assert records.images.open(1).size == (16, 12)
    assert records.notes == (
        "2 images that nobody labelled left out (option unlabelled)",
        "1 labels with a confidence below 1 taken as present",
    )
    kept = read_fiftyone(tmp_path, unlabelled="keep")["all"]
    assert kept.ids[4] == "data/e.png"
    assert kept.targets[4].tolist() == [0, 0, 0]


def test_without_classes_the_names_are_sorted(tmp_path):
    root = write_export(tmp_path, {"classes": None, "labels": {"a": "owl", "d": ["cat", "owl"]}})
    records = read_fiftyone(root)["all"]
    assert records.classes == ("cat", "owl")
    assert records.targets.tolist() == [[0, 1], [1, 1]]


def test_folders_of_splits_and_images_elsewhere(tmp_path):
    write_export(tmp_path / "train", {"classes": ["owl"], "labels": {"a": 0}})
    write_export(tmp_path / "validation", {"classes": ["moon"], "labels": {"d": 0}})
    opened = read_fiftyone(tmp_path)
    assert list(opened) == ["train", "val"]
    assert opened["val"].classes == opened["train"].classes == ("owl", "moon")
    assert opened["val"].ids == ("validation/data/d.png",)
    assert opened["val"].targets.tolist() == [[0, 1]]
    other = write_export(tmp_path / "other", images=())
    records = read_fiftyone(other, images=tmp_path / "train" / "data")["all"]
    assert records.ids[0] == "a.png"
    assert records.images.open(0).size == (16, 12)


def test_samples_are_divided_by_their_tags(tmp_path):
    opened = read_fiftyone(write_export(tmp_path, SAMPLES, name="samples.json"))
    assert list(opened) == ["train", "val"]
    assert opened["train"].classes == ("moon", "owl")
    assert opened["train"].ids == ("data/a.png", "data/d.png")
    assert opened["train"].targets.tolist() == [[0, 1], [0, 0]]
    assert opened["val"].targets.tolist() == [[1, 0]]
    assert opened["val"].notes[0] == "splits taken from the tags of the samples"


def test_samples_without_tags_and_with_paths_of_another_machine(tmp_path):
    samples = json.loads(json.dumps(SAMPLES))
    for sample in samples["samples"]:
        sample["filepath"] = f"C:\\fiftyone\\{sample['filepath']}"
    samples["samples"][0]["tags"] = []
    records = read_fiftyone(write_export(tmp_path, samples, name="samples.json"))["all"]
    assert records.ids == ("data/a.png", "data/b.png", "data/d.png")
    assert "4 images looked up by their file name alone" in records.notes


def test_several_fields_of_classifications(tmp_path):
    samples = json.loads(json.dumps(SAMPLES))
    samples["samples"][0]["guess"] = {"_cls": "Classification", "label": "cat"}
    root = write_export(tmp_path, samples, name="samples.json")
    with pytest.raises(DataError, match=r"2 fields of classifications \(guess, truth\).*field"):
        read_fiftyone(root)
    assert read_fiftyone(root, field="guess")["train"].classes == ("cat",)
    with pytest.raises(DataError, match=r"no field 'trut' .*did you mean 'truth'"):
        read_fiftyone(root, field="trut")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"classes": ["a"], "labels": {"a": 1}}, "image 'a': the label is number 1, .* 1 classes"),
        ({"classes": ["a"], "labels": {"a": -1}}, "the label is number -1"),
        ({"classes": None, "labels": {"a": 0}}, "number 0, but the file has 0 classes"),
        ({"classes": ["owl"], "labels": {"a": "oll"}}, "'oll' is no class; did you mean 'owl'"),
        ({"classes": ["a", "a"], "labels": {"a": 0}}, "the class 'a' occurs twice"),
        ({"classes": ["a"], "labels": {"a": 0, "a.png": 0}}, "a second entry for a.png"),
        ({"classes": ["a"], "labels": {"../../x": 0}}, "the path .* leaves"),
        ({"classes": ["a"], "labels": {"a": 0.5}}, "not as expected"),
        ({"classes": ["a"], "labels": {"a": True}}, "not as expected"),
        ({"classes": ["a"], "labels": [0]}, "not as expected"),
        ({"classes": ["a"]}, "missing required field `labels`"),
        ({"classes": ["a"], "labels": {"a": None}}, "no image with labels"),
        ({"classes": ["a"], "labels": {"z": 0}}, r"none of the 1 images listed in .*labels\.json"),
    ],
)
def test_labels_that_are_wrong(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_fiftyone(write_export(tmp_path, content))


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    root = write_export(tmp_path)
    (root / "labels.json").write_text('{"classes": ["x", "y"], "labels": {"a": 0, "a": 1}}')
    with pytest.raises(DataError, match="the key 'a' occurs twice"):
        read_fiftyone(root)


def test_two_images_of_one_name_are_refused(tmp_path):
    root = write_export(tmp_path)
    write_image(root / "data" / "a.jpg")
    with pytest.raises(DataError, match=r"'a' may be a\.jpg or a\.png"):
        read_fiftyone(root)


@pytest.mark.parametrize("name", ["labels.json", "samples.json"])
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_words(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: "):
        read_fiftyone(tmp_path)


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "labels.json")
    with pytest.raises(DataError, match=r"labels\.json: not a plain file"):
        read_fiftyone(tmp_path)
    with pytest.raises(ConfigError, match="not understood"):
        open_source(Data(source=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "document"), [("labels.json", LABELS), ("samples.json", SAMPLES)]
)
def test_damaged_files_are_read_or_refused(tmp_path, name, document):
    root = write_export(tmp_path, images=("a", "b", "c"))
    (root / "labels.json").unlink()

    @given(content=damaged_json(document))
    def read(content):
        (root / name).write_bytes(content)
        with contextlib.suppress(DataError):
            for records in read_fiftyone(root, require_images=False).values():
                assert records.fingerprint()

    read()


def test_wrong_layouts_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither labels\.json nor samples\.json"):
        read_fiftyone(tmp_path)
    root = write_export(tmp_path)
    with pytest.raises(DataError, match=rf"not a folder.*Did you mean fiftyone:{root}\?"):
        read_fiftyone(root / "labels.json")
    with pytest.raises(DataError, match="remove the option field"):
        read_fiftyone(root, field="truth")
    with pytest.raises(DataError, match="did you mean 'keep'"):
        read_fiftyone(root, unlabelled="kep")


def test_the_source_is_opened_by_name(tmp_path):
    root = write_export(tmp_path)
    assert len(open_source(Data(source=f"fiftyone:{root}"))["all"]) == 5
    for path in (root, root / "labels.json"):
        with pytest.raises(ColabelError, match=rf"Did you mean fiftyone:{root}\?"):
            open_source(Data(source=str(path)))

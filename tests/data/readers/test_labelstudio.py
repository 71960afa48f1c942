import contextlib
import json
import os

import pytest
from damaged_json import HOSTILE, damaged_json
from fakes import write_image
from hypothesis import given

from colabel.build.source import open_source
from colabel.data.readers.labelstudio import read_labelstudio
from colabel.errors import ColabelError, DataError
from colabel.settings.data import Data


def annotation(*choices, cancelled=False, name="kind"):
    result = {"type": "choices", "from_name": name, "value": {"choices": list(choices)}}
    return {"result": [result] if choices else [], "was_cancelled": cancelled, "completed_by": 1}


def task(number, reference, *annotations):
    return {"id": number, "data": {"image": reference}, "annotations": list(annotations)}


TASKS = [
    task(1, "/data/upload/2/0a1b2c3d-a.png", annotation("owl", "moon")),
    task(2, "/data/local-files/?d=set/deep%20er/b.png", annotation("moon")),
    task(3, "https://example.org/pictures/c.png?size=3", annotation()),
    task(4, "s3://bucket/d.png", annotation(cancelled=True)),
    task(5, "e.png"),
    task(6, "f.png", annotation("owl"), annotation("moon", cancelled=True), annotation("owl")),
]
ROWS = [
    {"image": "/data/upload/a.png", "id": 1, "kind": "owl", "annotator": 1, "annotation_id": 1},
    {"image": "b.png", "id": 2, "kind": {"choices": ["owl", "moon"]}, "annotator": 1},
    {"image": "c.png", "id": 3, "annotator": 1, "lead_time": 2.5},
]


@pytest.fixture(autouse=True)
def images(tmp_path):
    for name in ("a", "deep er/b", "c", "d", "e", "f"):
        write_image(tmp_path / f"{name}.png")


def write_export(folder, items):
    (folder / "export.json").write_text(json.dumps(items))
    return folder / "export.json"


def test_tasks_with_their_choices(tmp_path):
    records = read_labelstudio(write_export(tmp_path, TASKS))["all"]
    assert records.classes == ("moon", "owl")
    assert records.ids == ("a.png", "deep er/b.png", "c.png", "f.png")
    assert records.targets.tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]
    assert records.images.open(1).size == (16, 12)
    assert records.notes == (
        "1 tasks that were skipped left out",
        "1 tasks without annotations left out",
        "1 images without a choice kept",
        "1 tasks with several annotations (option annotators: agree)",
        "1 images found without the digits that an upload puts in front",
    )


def test_rows_of_json_min(tmp_path):
    records = read_labelstudio(write_export(tmp_path, ROWS))["all"]
    assert records.classes == ("moon", "owl")
    assert records.ids == ("a.png", "deep er/b.png", "c.png")
    assert records.targets.tolist() == [[0, 1], [1, 1], [0, 0]]
    single = [{**row, "kind": "owl"} for row in ROWS]
    assert read_labelstudio(write_export(tmp_path, single))["all"].classes == ("owl",)


@pytest.mark.parametrize(
    ("annotators", "targets"),
    [("majority", [1, 0, -1]), ("any", [1, 1, 1]), ("all", [0, 0, 0])],
)
def test_annotators_who_disagree(tmp_path, annotators, targets):
    choices = [("cat", "owl"), ("cat", "dog"), ("cat", "owl"), ()]  # of four: 3 cat, 1 dog, 2 owl
    file = write_export(tmp_path, [task(7, "a.png", *(annotation(*names) for names in choices))])
    with pytest.raises(DataError, match=r"task 7: its annotators disagree \(cat, owl / cat, dog"):
        read_labelstudio(file)
    records = read_labelstudio(file, annotators=annotators)["all"]
    assert records.targets.tolist() == [targets]
    rows = [{"id": 7, "image": "a.png", "kind": {"choices": list(names)}} for names in choices]
    records = read_labelstudio(write_export(tmp_path, rows), annotators=annotators)["all"]
    assert records.targets.tolist() == [targets]


def test_several_sets_of_choices_or_images(tmp_path):
    tasks = json.loads(json.dumps(TASKS))
    tasks[0]["annotations"][0]["result"] += annotation("sharp", name="quality")["result"]
    tasks[0]["annotations"][0]["result"].append({"type": "rectanglelabels", "value": {"x": 1}})
    file = write_export(tmp_path, tasks)
    with pytest.raises(DataError, match=r"2 sets of choices \(kind, quality\); say which"):
        read_labelstudio(file)
    records = read_labelstudio(file, labels="kind")["all"]
    assert records.targets.tolist()[0] == [1, 1]
    assert records.notes[0] == "1 results of the type rectanglelabels ignored"
    with pytest.raises(DataError, match=r"'knd' is none of the sets.*did you mean 'kind'"):
        read_labelstudio(file, labels="knd")
    tasks = [{**one, "data": {**one["data"], "thumbnail": "t.png"}} for one in TASKS]
    file = write_export(tmp_path, tasks)
    with pytest.raises(DataError, match=r"2 fields that refer to an image file \(image, thumb"):
        read_labelstudio(file)
    assert len(read_labelstudio(file, image="image")["all"]) == 4


def test_images_in_a_folder_of_their_own_and_names_that_occur_twice(tmp_path):
    for name in ("x/a", "y/a", "z/c"):
        write_image(tmp_path / "pictures" / f"{name}.png")
    tasks = [
        task(1, "/data/local-files/?d=pictures/x/a.png", annotation("owl")),
        task(2, "/data/local-files/?d=y\\a.png", annotation("moon")),
        task(3, "c.png", annotation("moon")),
    ]
    file = write_export(tmp_path, tasks)
    records = read_labelstudio(file, images=tmp_path / "pictures")["all"]
    assert records.ids == ("x/a.png", "y/a.png", "z/c.png")
    tasks[0]["data"]["image"] = "a.png"
    with pytest.raises(DataError, match=r"task 1: 'a\.png' may be x/a\.png or y/a\.png"):
        read_labelstudio(write_export(tmp_path, tasks), images=tmp_path / "pictures")
    with pytest.raises(DataError, match="no such folder"):
        read_labelstudio(file, images=tmp_path / "nowhere")


def test_images_that_are_missing_are_named(tmp_path):
    tasks = [task(1, "a.png", annotation("owl")), task(2, "gone.png", annotation("owl"))]
    records = read_labelstudio(write_export(tmp_path, tasks))["all"]
    assert records.notes == (f"1 of 2 image files are missing, first {tmp_path / 'gone.png'}",)
    with pytest.raises(DataError, match="none of the 1 images"):
        read_labelstudio(write_export(tmp_path, tasks[1:]))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([task(1, "a.png")], "no task has a choice"),
        ([task(1, "", annotation("owl"))], "0 fields that refer to an image"),
        ([task(1, "data:image/png;base64,AA.png", annotation("owl"))], "0 fields that refer"),
        ([*TASKS[:1], task(9, 7, annotation("owl"))], r"task 9: image is 7"),
        ([*TASKS[:1], task(9, "", annotation("owl"))], r"task 9: '' names no file"),
        (
            [*TASKS[:1], task(9, "x/a.png", annotation("owl"))],
            r"task 1 and task 9 are both.*a\.png",
        ),
        ([*TASKS[:1], {"id": 3}], r"missing required field `data`.*\[1\]"),
        ([{**ROWS[0], "kind": 3}, ROWS[1]], r"row 1: kind is 3; expected choices"),
        ([ROWS[0], {**ROWS[1], "id": 1}], r"row 2: task 1 refers to"),
        ([{**ROWS[0], "mood": "calm"}], r"2 fields of choices \(kind, mood\)"),
        ([1], "not as expected"),
        ([], "0 fields that refer"),
    ],
)
def test_exports_that_are_wrong(tmp_path, items, message):
    with pytest.raises(DataError, match=rf"export\.json.*{message}"):
        read_labelstudio(write_export(tmp_path, items))


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    file = write_export(tmp_path, TASKS)
    file.write_text(file.read_text().replace('"id": 1,', '"id": 1, "id": 2,', 1))
    with pytest.raises(DataError, match="the key 'id' occurs twice"):
        read_labelstudio(file)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_words(tmp_path, content):
    (tmp_path / "export.json").write_bytes(content)
    with pytest.raises(DataError, match=r"export\.json: "):
        read_labelstudio(tmp_path / "export.json")


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "export.json")
    with pytest.raises(DataError, match="not a plain file"):
        read_labelstudio(tmp_path / "export.json")


@pytest.mark.parametrize("document", [TASKS, ROWS], ids=["JSON", "JSON_MIN"])
def test_damaged_files_are_read_or_refused(tmp_path, document):
    file = tmp_path / "export.json"

    @given(content=damaged_json(document))
    def read(content):
        file.write_bytes(content)
        with contextlib.suppress(DataError):
            assert read_labelstudio(file, annotators="any")["all"].fingerprint()

    read()


def test_the_source_is_opened_by_name(tmp_path):
    for items in (TASKS, ROWS):
        file = write_export(tmp_path, items)
        data = Data(source=f"labelstudio:{file}", options={"images": str(tmp_path)})
        assert open_source(data)["all"].classes == ("moon", "owl")
        with pytest.raises(ColabelError, match=rf"Did you mean labelstudio:{file}\?"):
            open_source(Data(source=str(file)))
    with pytest.raises(DataError, match="a folder; expected a file"):
        open_source(Data(source=f"labelstudio:{tmp_path}"))
    with pytest.raises(DataError, match="did you mean 'majority'"):
        read_labelstudio(file, annotators="mayority")

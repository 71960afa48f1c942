"""JSON of any shape, and tables of any text, are read or refused in a sentence."""

import contextlib
import json
import time

import pytest
from fakes import write_image
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.build.source import open_source
from colabel.data.readers.table_cells import read_brackets
from colabel.errors import ColabelError
from colabel.settings.data import Data

pytestmark = pytest.mark.fuzz

KEYS = (
    "images", "annotations", "categories", "id", "file_name", "image_id", "category_id", "name",
    "supercategory", "classes", "labels", "label", "confidence", "samples", "filepath", "tags",
    "_cls", "classifications", "truth", "data", "image", "result", "type", "value", "choices",
    "from_name", "completions", "was_cancelled", "path", "split", "group", "",
)  # fmt: skip
WORDS = (
    "a.png", "b.png", "data/a.png", "../a.png", "/etc/passwd", "cat", "dog", "Classification",
    "Classifications", "choices", "train", "val", "", " ", "\ud800", "\x1b[31m", "\u202ecat",
    "\0", "a\nb", "x" * 1200, "0", "1", "-1", "nan", "['cat', 'dog']", "{'cat': 1}", "1" * 5000,
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 2**63, 10**400, 0.5, 1e308, True, False, None)

scalars = st.one_of(st.sampled_from(WORDS), st.sampled_from(NUMBERS), st.text(max_size=5))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=5),
    ),
    max_leaves=25,
)


@st.composite
def changed(draw, tree):
    """Return a tree with one of its parts replaced by another."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(tree, (dict, list)) or not tree:
        return draw(trees)
    if isinstance(tree, dict):
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: draw(changed(tree[key]))}
    place = draw(st.integers(0, len(tree) - 1))
    return [*tree[:place], draw(changed(tree[place])), *tree[place + 1 :]]


COCO = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [{"image_id": 1, "category_id": 3}],
    "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 0, "name": "dog"}],
}
LABELS = {"classes": ["cat", "dog"], "labels": {"a": [0, 1], "b": {"label": 1, "confidence": 0.5}}}
SAMPLES = {
    "samples": [
        {"filepath": "data/a.png", "tags": ["train"],
         "truth": {"_cls": "Classifications", "classifications": [{"label": "cat"}]}},
        {"filepath": "data/b.png", "truth": {"_cls": "Classification", "label": "dog"}},
    ]
}  # fmt: skip
TASKS = [
    {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [
        {"type": "choices", "from_name": "kind", "value": {"choices": ["cat"]}}]}]},
]  # fmt: skip
ROWS = [{"image": "a.png", "id": 1, "kind": {"choices": ["cat"]}, "annotator": 1}]
RECORDS = [{"path": "a.png", "labels": ["cat"], "split": "train"}, {"path": "b.png", "labels": []}]
SOURCES = {
    "coco": ("coco:{}/x.json", "x.json", COCO),
    "fiftyone labels": ("fiftyone:{}", "labels.json", LABELS),
    "fiftyone samples": ("fiftyone:{}", "samples.json", SAMPLES),
    "labelstudio": ("labelstudio:{}/x.json", "x.json", TASKS),
    "labelstudio minimal": ("labelstudio:{}/x.json", "x.json", ROWS),
    "records": ("{}/x.json", "x.json", RECORDS),
}


def opens_or_refuses(data):
    """Open a source; check that what comes is fit to be kept, and came in time."""
    start = time.monotonic()
    with contextlib.suppress(ColabelError):
        for records in open_source(data).values():
            records.fingerprint()
            json.dumps([*records.classes, *records.notes], ensure_ascii=False).encode()
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("kind", SOURCES)
def test_json_of_any_shape(tmp_path, kind):
    source, name, tree = SOURCES[kind]
    for image in "ab":
        write_image(tmp_path / f"{image}.png")
        write_image(tmp_path / "data" / f"{image}.png")

    @settings(max_examples=examples(60))
    @given(other=changed(tree))
    def attempt(other):
        (tmp_path / name).write_text(json.dumps(other))
        opens_or_refuses(Data(source=source.format(tmp_path)))

    attempt()


cells = st.one_of(
    st.sampled_from(WORDS),
    st.text(alphabet="ab;,|/ \"'[](){}:=01.#\\\t-", max_size=12),
    st.text(max_size=6),
)


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_tables_of_any_text(tmp_path, ending):
    write_image(tmp_path / "a.png")

    @settings(max_examples=examples(150))
    @given(
        header=st.lists(
            st.one_of(st.sampled_from(["path", "labels", "split", "cat", "dog", "group"]), cells),
            min_size=1,
            max_size=5,
        ),
        rows=st.lists(st.lists(cells, max_size=5), max_size=6),
        separator=st.sampled_from([",", ";", "\t", "|", " "]),
        end=st.sampled_from(["\n", "\r\n", "\r"]),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        images=st.booleans(),
    )
    def attempt(header, rows, separator, end, encoding, images):
        rows = [["a.png", *row] if images else row for row in rows]
        text = end.join(separator.join(row) for row in [header, *rows])
        (tmp_path / f"x.{ending}").write_bytes(text.encode(encoding, "replace"))
        opens_or_refuses(Data(source=str(tmp_path / f"x.{ending}")))

    attempt()


@settings(max_examples=examples(300))
@given(
    inner=st.one_of(
        st.text(max_size=20),
        st.text(alphabet="[]{}()'\",:01.ab\\xeE+-_ #", max_size=30),
        st.builds(
            lambda part, times: part * times, st.sampled_from("[({-'\"1"), st.integers(1, 9000)
        ),
    ),
    brackets=st.sampled_from(["[]", "{}", "()"]),
)
def test_lists_in_brackets(inner, brackets):
    start = time.monotonic()
    read_brackets(f"{brackets[0]}{inner}{brackets[1]}")
    assert time.monotonic() - start < 5

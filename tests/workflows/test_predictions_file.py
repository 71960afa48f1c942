import csv
import io
import json
import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabel.workflows.predict import Prediction
from colabel.workflows.predictions_file import (
    escape,
    join_labels,
    read_csv,
    split_labels,
    unescape,
    write_csv,
    write_jsonl,
)

AWKWARD = (
    "image", "labels", "\\image", "red; ripe", "red", " ripe", "a\\;b", "=SUM(A1)", "+1", "-x",
    "@home", 'quo"te', "comma,", "two\nlines", "tab\t", "x41", "\\x41", "ünïcode", "\\", ";",
)  # fmt: skip
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
texts = st.text(st.sampled_from('\\;=+-@nrtx41a,"\n\r\té\udcff\udc80'), min_size=1, max_size=8)


def prediction(image, classes, labels=None):
    probabilities = {name: index / 64 for index, name in enumerate(classes)}
    return Prediction(image, tuple(classes if labels is None else labels), probabilities, None)


def written(predictions, classes):
    file = io.StringIO(newline="")
    write_csv(predictions, classes, file)
    file.seek(0)
    return file


def test_a_table_reads_back_whatever_names_it_holds():
    images = (*AWKWARD, "scans/a.png", os.fsdecode(b"byte\xff.png"))
    predictions = [prediction(image, AWKWARD, AWKWARD[n:]) for n, image in enumerate(images)]
    file = written(predictions, AWKWARD)
    rows = list(csv.reader(file))
    header = rows[0]
    assert header[:2] == ["image", "labels"]
    assert len(set(header)) == len(header)
    file.seek(0)
    for answer, expected in zip(read_csv(file), predictions, strict=True):
        assert answer[0] == expected.image
        assert answer[1] == list(expected.labels)
        assert answer[2] == pytest.approx(expected.probabilities, abs=1e-6)


def test_the_table_is_utf8_a_line_for_each_and_no_formula():
    images = (*AWKWARD, os.fsdecode(b"byte\xff.png"))
    text = written([prediction(one, AWKWARD, [one]) for one in images], AWKWARD).getvalue()
    assert len(text.encode().splitlines()) == 1 + len(images)
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(FORMULAS) for cell in row)


def test_ordinary_names_stay_as_they_are():
    text = written([prediction("scans/a b.png", ["cat", "sea lion"])], ["cat", "sea lion"])
    assert text.getvalue() == (
        "image,labels,cat,sea lion\nscans/a b.png,cat;sea lion,0.000000,0.015625\n"
    )


@given(texts)
def test_escaping_can_be_undone(text):
    assert unescape(escape(text)) == text
    escape(text).encode()


@given(st.lists(texts, max_size=4))
def test_labels_are_divided_where_they_were_joined(labels):
    assert split_labels(join_labels(labels)) == labels


def test_json_reads_back_whatever_names_it_holds():
    description = SimpleNamespace(classes=AWKWARD, thresholds=(0.5,) * len(AWKWARD))
    images = (*AWKWARD, os.fsdecode(b"byte\xff.png"))
    file = io.StringIO()
    write_jsonl([prediction(image, AWKWARD) for image in images], description, file)
    lines = file.getvalue().encode().split(b"\n")[:-1]
    assert [json.loads(line)["image"] for line in lines] == list(images)
    assert json.loads(lines[0])["labels"] == list(AWKWARD)
    assert list(json.loads(lines[0])["thresholds"]) == list(AWKWARD)

import csv
import io
import json
import os
from types import SimpleNamespace

import pytest
from fuzzing import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from colabel.runs.operating_point import OperatingPoint, Rule
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
    "image", "labels", "abstains", "\\image", "red; ripe", "red", " ripe", "a\\;b", "=SUM(A1)",
    "+1", "-x", "@home", 'quo"te',
    "comma,", "two\nlines", "tab\t", "x41", "\\x41", "ünïcode", "\\", ";",
)  # fmt: skip
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
anything = st.text(st.characters(exclude_categories=()), max_size=12)
texts = st.text(st.sampled_from('\\;=+-@nrtx41a,"\n\r\té\udcff\udc80'), min_size=1, max_size=8)


def prediction(image, classes, labels=None, *, abstains=None):
    probabilities = {name: index / 64 for index, name in enumerate(classes)}
    return Prediction(
        image,
        tuple(classes if labels is None else labels),
        logits={name: index - 2.0 for index, name in enumerate(classes)},
        probabilities=probabilities,
        uncertainty={"entropy_sum": 0.5},
        variance=None,
        abstains=abstains,
    )


def written(predictions, classes, **options):
    file = io.StringIO(newline="")
    write_csv(predictions, classes, file, **options)
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


@pytest.mark.fuzz
@settings(max_examples=examples(200))
@given(texts | anything)
def test_escaping_can_be_undone(text):
    cell = escape(text)
    assert unescape(cell) == text
    cell.encode()
    assert len(cell.splitlines()) <= 1
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in cell)


def test_a_column_says_where_the_model_should_not_decide():
    predictions = [
        prediction("a.png", AWKWARD, abstains=True),
        prediction("b.png", AWKWARD, AWKWARD[:1], abstains=False),
    ]
    file = written(predictions, AWKWARD, abstain=True)
    rows = list(csv.reader(file))
    assert rows[0][:3] == ["image", "labels", "abstains"]
    assert "\\abstains" in rows[0][3:]
    assert [row[2] for row in rows[1:]] == ["yes", "no"]
    file.seek(0)
    first, second = read_csv(file)
    assert (first[0], list(first[2])) == ("a.png", list(AWKWARD))
    assert second[:2] == ("b.png", [AWKWARD[0]])
    assert list(second[2].values()) == list(predictions[1].probabilities.values())


def test_what_acts_on_a_terminal_is_written_out():
    assert escape("\x1b[2J\x9b\u202e\ud800\u2028") == r"\u001b[2J\u009b\u202e\ud800\u2028"
    assert escape("a\u200bb\u200d") == "a\u200bb\u200d"  # merely unseen: the name stays


@pytest.mark.fuzz
@settings(max_examples=examples(100))
@given(st.lists(texts | anything.filter(bool), max_size=4))
def test_labels_are_divided_where_they_were_joined(labels):
    assert split_labels(join_labels(labels)) == labels


def test_json_reads_back_whatever_names_it_holds():
    description = SimpleNamespace(
        classes=AWKWARD, operating_point=OperatingPoint.plain(len(AWKWARD))
    )
    images = (*AWKWARD, os.fsdecode(b"byte\xff.png"))
    file = io.StringIO()
    write_jsonl([prediction(image, AWKWARD) for image in images], description, file)
    lines = file.getvalue().encode().split(b"\n")[:-1]
    assert [json.loads(line)["image"] for line in lines] == list(images)
    assert json.loads(lines[0])["labels"] == list(AWKWARD)
    first = json.loads(lines[0])
    assert list(first["thresholds"]) == list(first["logits"]) == list(AWKWARD)
    assert first["decisions"] == dict.fromkeys(AWKWARD, True)
    assert first["uncertainty"] == {"entropy_sum": 0.5}
    assert first["abstains"] is None
    assert first["guaranteed"] == []


def test_json_says_which_thresholds_keep_a_guarantee():
    kept = Rule(target="recall=0.9", by="recall=0.9", guaranteed=True, found=20, needed=9)
    rules = (Rule(target="recall=0.9", by="f1", found=3, needed=9), kept)
    point = OperatingPoint(thresholds=(0.5, 0.25), rules=rules)
    description = SimpleNamespace(classes=("cat", "dog"), operating_point=point)
    file = io.StringIO()
    write_jsonl([prediction("a.png", ("cat", "dog"))], description, file)
    assert json.loads(file.getvalue())["guaranteed"] == ["dog"]


@pytest.mark.fuzz
@settings(max_examples=examples(60))
@given(
    st.lists(anything, min_size=1, max_size=4, unique=True),
    st.lists(anything, min_size=1, max_size=4),
)
def test_any_names_read_back_from_both_forms(classes, images):
    predictions = [prediction(image, classes) for image in images]
    table = written(predictions, classes)
    table.getvalue().encode()
    assert [row[0] for row in read_csv(table)] == images
    file = io.StringIO()
    description = SimpleNamespace(
        classes=classes, operating_point=OperatingPoint.plain(len(classes))
    )
    write_jsonl(predictions, description, file)
    lines = file.getvalue().encode().splitlines()
    assert len(lines) == len(images)
    for line, image in zip(lines, images, strict=True):
        assert len(json.loads(line)["probabilities"]) <= len(classes)
        assert json.loads(line)["image"].encode("utf-16", "surrogatepass") == image.encode(
            "utf-16", "surrogatepass"
        )

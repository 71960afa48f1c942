import json

import pytest

from colabel.data.readers.rows import LIST_DELIMITER, RowOptions, read_rows
from colabel.errors import DataError

RECORDS = [{"path": "a.jpg", "cat": 1, "x": 0.5}, {"path": "b.jpg", "cat": 0, "x": None}]
COLUMNS = {"path": ["a.jpg", "b.jpg"], "cat": ["1", "0"], "x": ["0.5", ""]}


def read(folder, content, name="t.json", **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, RowOptions(**options))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (json.dumps(RECORDS), [1, 1]),
        (json.dumps(RECORDS, indent=1), [2, 7]),
        ("\n".join(map(json.dumps, RECORDS)), [1, 2]),
        ("\r\n\r\n".join(map(json.dumps, RECORDS)), [1, 3]),
        ("\n".join(json.dumps(record, indent=1) for record in RECORDS), [1, 6]),
        ("\ufeff" + json.dumps(RECORDS), [1, 1]),
    ],
)
def test_records(tmp_path, content, lines):
    rows = read(tmp_path, content)
    assert rows.columns == COLUMNS
    assert list(rows.lines) == lines
    assert rows.unit == "line"
    assert rows.notes == ()


def test_records_under_any_ending_and_in_utf_16(tmp_path):
    for name in ("t.jsonl", "t.ndjson", "t.csv", "t.txt"):
        assert read(tmp_path, json.dumps(RECORDS), name).columns == COLUMNS
    assert read(tmp_path, json.dumps(RECORDS).encode("utf-16")).columns == COLUMNS


def test_records_under_one_key(tmp_path):
    rows = read(tmp_path, json.dumps({"version": 1, "data": RECORDS}))
    assert rows.columns == COLUMNS
    assert rows.where(1).endswith("t.json, record 2")
    assert rows.notes == ("the records stand under the key 'data'; left out: version",)


def test_values_are_text_as_in_a_csv_file(tmp_path):
    record = (
        '{"whole": 1.0, "long": 123456789012345678901234567890, "exact": 0.10, "yes": true, '
        '"no": false, "nothing": null, "nan": NaN, "text": " a ", "tags": ["cat", "big dog"], '
        '"empty": [], "numbers": [1, 2.0]}'
    )
    assert {name: cells[0] for name, cells in read(tmp_path, record).columns.items()} == {
        "whole": "1", "long": "123456789012345678901234567890", "exact": "0.10", "yes": "1",
        "no": "0", "nothing": "", "nan": "", "text": "a",
        "tags": f"cat{LIST_DELIMITER}big dog", "empty": "", "numbers": f"1{LIST_DELIMITER}2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (
            {"path": {"0": "a.jpg", "1": "b.jpg"}, "cat": {"0": 1, "1": 0}},
            "the rows stand under the names of the columns, as pandas writes",
        ),
        (
            {"0": {"path": "a.jpg", "cat": 1}, "1": {"path": "b.jpg", "cat": 0}},
            "the records stand under their numbers, as pandas writes",
        ),
        (
            {"path": ["a.jpg", "b.jpg"], "cat": [1, 0]},
            "the cells stand in one array per column",
        ),
    ],
)
def test_a_table_in_one_object(tmp_path, content, note):
    rows = read(tmp_path, json.dumps(content))
    assert rows.columns == {"path": ["a.jpg", "b.jpg"], "cat": ["1", "0"]}
    assert rows.notes == (note,)


def test_missing_keys_are_blank_and_told(tmp_path):
    rows = read(tmp_path, '{"path": "a"}\n{"path": "b", "cat": 1}\n{"cat": 0}\n{"path": "d"}')
    assert rows.columns == {"path": ["a", "b", "", "d"], "cat": ["", "1", "0", ""]}
    assert rows.notes == (
        "the key 'path' is missing in 1 of 4 records, which are blank there",
        "the key 'cat' is missing in 2 of 4 records, which are blank there",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"classes": ["a"], "labels": {"0": ["a"]}}', "line 1: one object with the keys classes"),
        ('{"a": [{"x": 1}], "b": [{"y": 1}]}', "one object with the keys a, b, which is no table"),
        (
            '[{"path": "a"},\n{"path": "b", "box": {"x": 1}}]',
            r"line 2: the key 'box' holds nested",
        ),
        ('[{"path": "a"},\n{"path": [["b"]]}]', "line 2: the key 'path' holds nested values"),
        ('[{"path": "a", "path": "b"}]', "line 1: the key 'path' twice in one record"),
        ('[{"path": "a"},\n{"path": "b"', "line 2: not JSON"),
        ('[{"path": "a"},\n{"path": "b"}', "line 2: the array is not closed"),
        ('[{"path": "a"}\n{"path": "b"}]', "line 2: '{' where a comma"),
        ('[{"path": "a"},\n]', "line 2: not JSON"),
        ('[{"path": "a"}]\n{}', "line 2: text after the end of the array"),
        ('{"path": "a"}\n["b"]', r'line 2: \["b"\] is no record'),
        ("[1, 2]", "line 1: '?\"?1\"?'? is no record"),
        ("[]", "no rows"),
        ("[{}]", "no column"),
        ("", "the file is empty"),
        ("[" * 100_000, "line 1: values nested too deeply"),
        ('{"a":' * 100_000, "line 1: values nested too deeply"),
        (b'[{"path": "\xff"}]', "line 1: not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path, content, message):
    with pytest.raises(DataError, match=rf"t\.json.*{message}"):
        read(tmp_path, content)


def test_every_nested_key_is_named_at_once(tmp_path):
    content = '{"path": "a.jpg", "price": {"amount": 1}, "tags": {"colour": ["red"]}}\n' * 2
    with pytest.raises(DataError, match=r"'price' holds.*a key of its own.*here: price, tags\.$"):
        read(tmp_path, content)
    with pytest.raises(DataError, match=r"'tags' holds.*here: tags\.$"):
        read(tmp_path, content, ignore=("price",))


def test_a_nested_key_can_be_ignored(tmp_path):
    rows = read(tmp_path, '[{"path": "a", "box": {"x": 1}}]', ignore=("box",))
    assert rows.columns == {"path": ["a"], "box": [""]}

import errno
import json
import math

import pytest

from colabel.errors import RunError
from colabel.training.log import TrainingLog, read_log


def test_lines_are_json_even_where_numbers_are_not_finite(tmp_path):
    path = tmp_path / "log.jsonl"
    with TrainingLog(path, position=0) as log:
        log.write({"a": math.inf, "b": [math.nan, 1.5], "c": {"d": -math.inf, "e": None}})
        # readable before the log is closed
        assert json.loads(path.read_text()) == {
            "a": None,
            "b": [None, 1.5],
            "c": {"d": None, "e": None},
        }


def test_a_log_goes_on_from_a_position_and_drops_what_came_after(tmp_path):
    path = tmp_path / "log.jsonl"
    with TrainingLog(path, position=0) as log:
        log.write({"n": 1})
        position = log.position()
        log.write({"n": 2})
    assert position == len('{"n": 1}\n')
    with TrainingLog(path, position=position) as log:
        assert log.position() == position
        log.write({"n": 3})
    assert [record["n"] for record in read_log(path)] == [1, 3]


def test_a_log_shorter_than_the_position_is_not_filled_up(tmp_path):
    path = tmp_path / "log.jsonl"
    with TrainingLog(path, position=1000) as log:
        log.write({"n": 1})
    assert read_log(path) == [{"n": 1}]


def test_an_unfinished_last_line_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n{"n": 2, "los')
    assert read_log(path) == [{"n": 1}]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\nhello\n{"n": 2}\n')
    with pytest.raises(
        RunError, match=r"log\.jsonl, line 2: expected a JSON object, got b'hello'"
    ):
        read_log(path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    log = TrainingLog(tmp_path / "log.jsonl", position=0)

    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    log.close()
    monkeypatch.setattr(log, "_file", Full())
    with pytest.raises(RunError, match=r"log\.jsonl: No space left on device; make room"):
        log.write({"n": 1})


def test_a_log_with_a_second_name_is_written_to_under_its_own_alone(tmp_path):
    other, path = tmp_path / "elsewhere", tmp_path / "log.jsonl"
    other.write_text('{"kind": "step"}\n{"kind": "lost"}\n')
    path.hardlink_to(other)
    with TrainingLog(path, position=17) as log:
        log.write({"kind": "epoch"})
    assert read_log(path) == [{"kind": "step"}, {"kind": "epoch"}]
    assert other.read_text() == '{"kind": "step"}\n{"kind": "lost"}\n'

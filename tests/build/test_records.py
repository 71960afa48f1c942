"""Images are verified by all processes together, with the result of one."""

import json

import pytest
from tiny_runs import TESTS, run_script, write_tiny_table

CORRUPT = (3, 4, 8)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What one process and each of two learned of eleven images, three of them corrupt."""
    folder = tmp_path_factory.mktemp("verification")
    write_tiny_table(folder, images=11)
    for number in CORRUPT:
        (folder / "images" / f"{number:02}.png").write_bytes(b"nothing")
    for processes in (1, 2):
        done = run_script(TESTS / "verification_runs.py", folder, processes=processes)
        assert done.returncode == 0, done.stderr
    return {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("0-of-1", "0-of-2", "1-of-2")
    }


def names(numbers):
    return [f"images/{number:02}.png" for number in numbers]


def test_one_process_finds_what_is_corrupt(answers):
    alone = answers["0-of-1"]
    assert alone["decoded"] == names(range(11))
    kept, notes = alone["skip"]
    assert kept == names(number for number in range(11) if number not in CORRUPT)
    assert "3 of 11 images cannot be decoded" in notes[-1]
    places = [alone["stop"].index(name) for name in names(CORRUPT)]
    assert places == sorted(places)


@pytest.mark.slow
def test_two_processes_share_the_work(answers):
    assert answers["0-of-2"]["decoded"] == names(range(0, 11, 2))
    assert answers["1-of-2"]["decoded"] == names(range(1, 11, 2))


@pytest.mark.slow
@pytest.mark.parametrize("process", ["0-of-2", "1-of-2"])
def test_each_of_two_processes_learns_what_one_finds(answers, process):
    for policy in ("skip", "stop"):
        assert answers[process][policy] == answers["0-of-1"][policy]

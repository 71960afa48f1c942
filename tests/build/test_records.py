"""Images are verified by all processes together, with the result of one."""

import json

import numpy as np
import pytest
from fakes import write_image
from tiny_runs import TESTS, run_python, write_tiny_table

from colabel.build.records import decodable
from colabel.config import check_config
from colabel.data import FileImages, Records
from colabel.data.cache import PixelCache
from colabel.data.decode import load_squashed
from colabel.training import make_accelerator

CORRUPT = (3, 4, 8)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What one process and each of two learned of eleven images, three of them corrupt."""
    folder = tmp_path_factory.mktemp("verification")
    write_tiny_table(folder, images=11)
    for number in CORRUPT:
        (folder / "images" / f"{number:02}.png").write_bytes(b"nothing")
    for processes in (1, 2):
        done = run_python(TESTS / "verification_runs.py", folder, processes=processes)
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


@pytest.fixture
def pictures(tmp_path):
    """Files of every kind: one so large that it is decoded at a part of its resolution."""
    write_image(tmp_path / "large.jpg", size=(300, 280), seed=1)
    for number, suffix in enumerate(("jpg", "png", "png")):
        write_image(tmp_path / f"{number}.{suffix}", size=(40, 36), seed=number)
    names = ("large.jpg", "0.jpg", "1.png", "2.png")
    images = FileImages(names, tmp_path)
    return Records(names, images, np.ones((4, 1), dtype=np.int8), ("any",))


def test_what_is_decoded_to_be_verified_need_not_be_decoded_again(pictures):
    size = 16
    cache = PixelCache(images=4, size=size, limit=2**20)
    config = check_config({"data": {"image_size": size}})
    decodable(pictures, "train", config, make_accelerator(cpu=True), None, cache=cache)
    assert cache.filled == 3
    assert cache.get(0) is None  # training decodes less of it than was verified
    for index in range(4):
        kept, expected = cache.get(index), load_squashed(pictures.images, index, size)
        assert kept is None or np.array_equal(kept, expected)


def test_a_cache_with_less_room_keeps_the_first(pictures):
    cache = PixelCache(images=4, size=16, limit=2 * 16 * 16 * 3)
    config = check_config({"data": {"image_size": 16}})
    decodable(pictures, "train", config, make_accelerator(cpu=True), None, cache=cache)
    assert (cache.capacity, cache.filled) == (2, 1)

import errno
import mmap
import os

import numpy as np
import pytest

from colabel.data.cache import PixelCache
from colabel.errors import ConfigError

IMAGE = 4 * 4 * 3


def block(value):
    return np.full((4, 4, 3), value, dtype=np.uint8)


@pytest.mark.parametrize(
    ("limit", "capacity"), [(0, 0), (IMAGE - 1, 0), (IMAGE, 1), (3 * IMAGE + 5, 3), (10**6, 5)]
)
def test_keeps_whole_images_within_the_limit(limit, capacity):
    cache = PixelCache(images=5, size=4, limit=limit)
    assert cache.capacity == capacity
    for index in range(5):
        cache.put(index, block(index + 1))
    assert cache.filled == capacity
    for index in range(5):
        stored = cache.get(index)
        if index < capacity:
            assert (stored == index + 1).all()
        else:
            assert stored is None


def test_black_pixels_count_as_stored():
    cache = PixelCache(images=1, size=4, limit=IMAGE)
    assert cache.get(0) is None
    cache.put(0, block(0))
    assert (cache.get(0) == 0).all()


def test_returns_copies():
    cache = PixelCache(images=1, size=4, limit=IMAGE)
    mine = block(3)
    cache.put(0, mine)
    mine[:] = 0
    cache.get(0)[:] = 9
    assert (cache.get(0) == 3).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform starts processes otherwise")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_is_shared_with_a_fork_in_both_directions():
    cache = PixelCache(images=2, size=4, limit=2 * IMAGE)
    cache.put(0, block(7))
    child = os.fork()
    if child == 0:
        seen = cache.get(0)
        cache.put(1, block(8))
        os._exit(0 if seen is not None and (seen == 7).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (cache.get(1) == 8).all()


def test_memory_is_taken_only_as_images_arrive():
    cache = PixelCache(images=100, size=1024, limit=10**12)

    def shared_kilobytes():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssShmem"))

    if not os.path.exists("/proc/self/status"):
        pytest.skip("no /proc")
    before = shared_kilobytes()
    cache.put(50, np.ones((1024, 1024, 3), dtype=np.uint8))
    assert 3000 <= shared_kilobytes() - before <= 3300


def test_refuses_a_negative_limit():
    with pytest.raises(ConfigError, match="must not be negative, got -1"):
        PixelCache(images=1, size=4, limit=-1)


def test_memory_that_cannot_be_had_is_named(monkeypatch):
    def refuse(descriptor, length):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(ConfigError, match=r"300 MiB cannot be reserved .*cache_mb"):
        PixelCache(images=100, size=1024, limit=10**12)

import threading
import time

import pytest

from colabel.data.threads import reading_threads


def test_an_interruption_does_not_wait_for_what_nobody_asks_for_any_more():
    begun, release = [], threading.Event()

    def read(number):
        begun.append(number)
        release.wait(10)

    def interrupted():
        with reading_threads(2) as pool:
            for number in range(500):
                pool.submit(read, number)
            while len(begun) < 2:
                time.sleep(0.001)
            release.set()
            raise KeyboardInterrupt

    release.clear()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert 2 <= len(begun) < 500


def test_what_was_asked_for_is_read():
    with reading_threads(2) as pool:
        waiting = [pool.submit(abs, -number) for number in range(100)]
        assert [one.result() for one in waiting] == list(range(100))

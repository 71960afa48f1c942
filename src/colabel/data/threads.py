"""Threads that read images ahead of those who ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def reading_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Hold threads until the block ends, even by Ctrl-C; what they have not begun is left undone.

    An interruption would otherwise wait for hundreds of images that nobody asks for any more.

    Args:
        count: how many threads.

    Example:
        >>> with reading_threads(2) as pool:
        ...     pool.submit(abs, -3).result()
        3
    """
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)

"""Decoded, squashed pixels kept in memory between epochs, up to a limit."""

from __future__ import annotations

import mmap
import multiprocessing

import numpy as np
import numpy.typing as npt

from colabel.errors import ConfigError


class PixelCache:
    """Memory for the pixels of the first images of a set, shared with forked workers.

    Whoever decodes an image first stores it; everybody else reads it. The memory is reserved
    at once and taken from the machine only as images arrive. Each process that is not a fork of
    the one that made the cache (each rank of a distributed run) needs a cache of its own.

    Args:
        images: number of images in the set.
        size: side of the squashed images, in pixels.
        limit: bytes that the pixels may take; the images that do not fit are decoded anew
            each time. 0 keeps none.

    Raises:
        ConfigError: if the limit is negative, or more than the machine can give.

    Example:
        >>> cache = PixelCache(images=10, size=2, limit=40)
        >>> cache.capacity
        3
        >>> cache.get(0) is None
        True
        >>> cache.put(0, np.full((2, 2, 3), 7, dtype=np.uint8))
        >>> int(cache.get(0).sum()), cache.filled
        (84, 1)
    """

    def __init__(self, *, images: int, size: int, limit: int) -> None:
        if limit < 0:
            raise ConfigError(f"the limit of the pixel cache must not be negative, got {limit}.")
        self.images = images
        self.size = size
        self.capacity = min(images, limit // (size * size * 3))
        """Images that fit: those with an index below this number are kept."""
        self._pixels = _shared(self.capacity * size * size * 3).reshape(-1, size, size, 3)
        self._ready = _shared(self.capacity)
        # A mark may be seen only after the pixels it stands for; the lock orders the two between
        # processes on every processor.
        self._lock = multiprocessing.Lock()

    @property
    def filled(self) -> int:
        """Images stored so far."""
        return int(np.count_nonzero(self._ready))

    def get(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Return a copy of the pixels, (size, size, 3), or ``None`` if they are not stored."""
        if index >= self.capacity:
            return None
        with self._lock:
            ready = bool(self._ready[index])
        return self._pixels[index].copy() if ready else None

    def put(self, index: int, pixels: npt.NDArray[np.uint8]) -> None:
        """Store the pixels, (size, size, 3), of an image, if it is among those that fit."""
        if index >= self.capacity:
            return
        self._pixels[index] = pixels
        with self._lock:
            self._ready[index] = 1


def _shared(length: int) -> npt.NDArray[np.uint8]:
    """Return zeros that a fork of this process sees and changes, too."""
    try:
        memory = mmap.mmap(-1, max(length, 1))
    except OSError as error:
        raise ConfigError(
            f"a pixel cache of {length / 2**20:.0f} MiB cannot be reserved ({error.strerror}); "
            "set data.cache_mb to less than the free memory."
        ) from error
    return np.frombuffer(memory, dtype=np.uint8)[:length]

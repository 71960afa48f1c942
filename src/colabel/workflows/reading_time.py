"""What reading a training image takes on this machine, and how large the images are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import numpy as np

from colabel.config import Config
from colabel.data import Records
from colabel.data.cache import PixelCache
from colabel.data.dataset import TrainingImages, without_corrupt
from colabel.data.transforms import Augment
from colabel.errors import ImageError

_SAMPLE = 24
"""Images that are read to see how long it takes and how large they are."""


@dataclass(frozen=True)
class Reading:
    """What reading a training image takes.

    Args:
        decode: seconds to decode and resize one, once.
        augment: seconds to take it from memory and augment it.
        side: median of the shorter sides, in pixels.
    """

    decode: float
    augment: float
    side: int


def measure_reading(train: Records, config: Config) -> Reading:
    """Read some images, spread over the set.

    Raises:
        ImageError: if one cannot be decoded, unless such images are to be left out.
    """
    positions = np.unique(np.linspace(0, len(train) - 1, _SAMPLE).round().astype(int)).tolist()
    some = train.subset(positions)
    sides, corrupt = [], []
    for index in range(len(some)):
        try:
            sides.append(min(some.images.open(index).size))
        except ImageError as error:
            corrupt.append((index, str(error)))
    some = without_corrupt(some, corrupt, on_corrupt=config.data.on_corrupt)
    size = config.data.image_size
    dataset = TrainingImages(
        some,
        size=size,
        augment=Augment(**config.augmentation.model_dump()),
        seed=0,
        views=1,
        cache=PixelCache(images=len(some), size=size, limit=len(some) * size * size * 3),
    )
    seconds = []
    for _ in range(2):  # decoded, then from memory
        began = time.perf_counter()
        for index in range(len(dataset)):
            dataset[index, 0]
        seconds.append((time.perf_counter() - began) / len(dataset))
    return Reading(max(seconds[0] - seconds[1], 0.0), seconds[1], int(median(sides)))

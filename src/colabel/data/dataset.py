"""Records as tensors; augmentation is a pure function of seed, epoch, index and view."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from colabel.data.cache import PixelCache
from colabel.data.decode import load_squashed
from colabel.data.records import ImageSource, Records
from colabel.data.transforms import Augment
from colabel.errors import ConfigError, ImageError

Sample = tuple[Tensor, Tensor, int]
"""Pixels, targets, position of the image in its records."""

_NAMED = 10  # corrupt files listed in a message before "and N more"


class TrainingImages(Dataset[Sample]):
    """Augmented training images, addressed by (index, epoch).

    Pixels depend on (seed, epoch, index, view) alone: not on the number of workers, on the order
    of the requests, or on what was drawn before, so that a resumed run sees the same images.
    With several views an image is decoded once and augmented once per view.

    Args:
        records: images and targets.
        size: side of the square the images are squashed to, in pixels.
        augment: random changes of the squashed image, or ``None`` for none.
        seed: non-negative; together with epoch, index and view it names one augmentation.
        views: augmented versions per image, at least 1.
        cache: keeps squashed pixels between epochs; built for these records and this size.

    Raises:
        ConfigError: if an argument is out of range or the cache was built for other images.

    Example:
        >>> from colabel.data.cache import PixelCache
        >>> from colabel.data.transforms import Augment
        >>> class Grey:
        ...     def __len__(self): return 2
        ...     def open(self, index): return Image.new("RGB", (40, 30), (90, 90, 90))
        ...     def locate(self, index): return f"grey {index}"
        ...     def select(self, indices): return self
        >>> records = Records(("a", "b"), Grey(), np.eye(2, dtype=np.int8), ("cat", "dog"))
        >>> dataset = TrainingImages(records, size=32, augment=Augment(), seed=0, views=2)
        >>> pixels, targets, index = dataset[1, 0]
        >>> pixels.shape, pixels.dtype, targets.tolist(), index
        (torch.Size([2, 3, 32, 32]), torch.uint8, [0, 1], 1)
    """

    def __init__(
        self,
        records: Records,
        *,
        size: int,
        augment: Augment | None,
        seed: int,
        views: int = 1,
        cache: PixelCache | None = None,
    ) -> None:
        if views < 1:
            raise ConfigError(f"views must be at least 1, got {views}.")
        if seed < 0:
            raise ConfigError(f"seed must not be negative, got {seed}.")
        self._pixels = _SquashedImages(records.images, size, cache)
        self._targets = torch.from_numpy(np.ascontiguousarray(records.targets, dtype=np.int8))
        self._augment = augment
        self._seed = seed
        self._views = views

    @property
    def cache(self) -> PixelCache | None:
        """The cache of squashed pixels, where there is one."""
        return self._pixels.cache

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._targets)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Return image ``key[0]`` as it looks in epoch ``key[1]``.

        Args:
            key: index of the image and epoch, both counted from 0.

        Returns:
            Pixels, uint8 in 0..255 of shape (3, size, size), or (views, 3, size, size) with more
            than one view; targets, int8 of shape (classes,); the index.

        Raises:
            ImageError: if the image cannot be decoded; the message names it.
        """
        index, epoch = key
        pixels = self._pixels[index]
        views = [self._view(pixels, index, epoch, view) for view in range(self._views)]
        stacked = views[0] if self._views == 1 else torch.stack(views)
        return stacked, self._targets[index], index

    def _view(self, pixels: npt.NDArray[np.uint8], index: int, epoch: int, view: int) -> Tensor:
        if self._augment is None:
            return _to_tensor(pixels)
        generator = draws_for(self._seed, epoch, index, view)
        return _to_tensor(np.asarray(self._augment(Image.fromarray(pixels), generator)))


def draws_for(seed: int, epoch: int, index: int, view: int = 0) -> random.Random:
    """Return the generator that the augmentation of an image in an epoch draws from."""
    return random.Random(f"{seed}/{epoch}/{index}/{view}")


class EvaluationImages(Dataset[Sample]):
    """Images as they are, only squashed to the model's size, addressed by index.

    Args:
        records: images and targets.
        size: side of the square the images are squashed to, in pixels.
        cache: keeps squashed pixels between passes; built for these records and this size.
        mirrored: give the mirror image of each instead.

    Raises:
        ConfigError: if the size is out of range or the cache was built for other images.
    """

    def __init__(
        self,
        records: Records,
        *,
        size: int,
        cache: PixelCache | None = None,
        mirrored: bool = False,
    ) -> None:
        self._pixels = _SquashedImages(records.images, size, cache)
        self._mirrored = mirrored
        self._targets = torch.from_numpy(np.ascontiguousarray(records.targets, dtype=np.int8))

    @property
    def cache(self) -> PixelCache | None:
        """The cache of squashed pixels, where there is one."""
        return self._pixels.cache

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._targets)

    def __getitem__(self, index: int) -> Sample:
        """Return pixels (uint8, (3, size, size)), targets (int8, (classes,)) and the index.

        Raises:
            ImageError: if the image cannot be decoded; the message names it.
        """
        pixels = self._pixels[index]
        if self._mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        return _to_tensor(pixels), self._targets[index], index


class _SquashedImages:
    """Pixels of shape (size, size, 3), decoded or from the cache; the two are the same bytes."""

    def __init__(self, images: ImageSource, size: int, cache: PixelCache | None) -> None:
        if size < 1:
            raise ConfigError(f"image size must be at least 1 pixel, got {size}.")
        if cache is not None and (cache.images, cache.size) != (len(images), size):
            raise ConfigError(
                f"the pixel cache was built for {cache.images} images of {cache.size} pixels, "
                f"these are {len(images)} of {size}; build one cache for each set of images."
            )
        self._images = images
        self._size = size
        self.cache = cache

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        cached = None if self.cache is None else self.cache.get(index)
        if cached is not None:
            return cached
        pixels = load_squashed(self._images, index, self._size)
        if self.cache is not None:
            self.cache.put(index, pixels)
        return pixels


def _to_tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """Return the channels first, in memory of its own."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def without_corrupt(
    records: Records,
    corrupt: Sequence[tuple[int, str]],
    *,
    on_corrupt: Literal["stop", "skip"],
) -> Records:
    """Stop at images that cannot be decoded, or leave them out, as the user asked.

    Args:
        records: the images that were verified.
        corrupt: position and message of every image that cannot be decoded.
        on_corrupt: ``"stop"`` raises if there is any, ``"skip"`` returns the others.

    Returns:
        The records themselves if nothing is corrupt, else the rest with a note that says so.

    Raises:
        ImageError: naming the files, if the policy is to stop, or if none would be left.
    """
    if not corrupt:
        return records
    names = "\n".join(f"  {message}" for _, message in corrupt[:_NAMED])
    if len(corrupt) > _NAMED:
        names += f"\n  and {len(corrupt) - _NAMED} more"
    counted = f"{len(corrupt)} of {len(records)} images cannot be decoded"
    if on_corrupt == "stop":
        raise ImageError(
            f"{counted}:\n{names}\nRepair or remove them, or leave them out: data.on_corrupt: "
            "skip in a recipe, --on-corrupt skip after training."
        )
    bad = {index for index, _ in corrupt}
    kept = [index for index in range(len(records)) if index not in bad]
    if not kept:
        raise ImageError(f"{counted}, so nothing is left:\n{names}")
    left = [records.ids[index] for index, _ in corrupt[:_NAMED]]
    more = ", ..." if len(corrupt) > _NAMED else ""
    note = f"{counted} and were left out (data.on_corrupt: skip): {', '.join(left)}{more}"
    return replace(records.subset(kept), notes=(*records.notes, note))

"""Images that were encoded before: features in place of pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from colabel.data.cache import PixelCache
from colabel.data.dataset import Sample, draws_for
from colabel.data.records import Records
from colabel.data.transforms import Augment
from colabel.errors import DataError

_MIRRORING = Augment(operations=0, cutout=0, horizontal_flip=True)


class EncodedImages(Dataset[Sample]):
    """Features and targets of images, addressed by index or, for training, by (index, epoch).

    Args:
        features: shape (images, ...): vectors, maps, or what frozen first stages gave, in the
            order of the records.
        records: the images they are of.
        mirrored: the same of their mirror images, of which augmentation draws; ``None`` to give
            the images as they are.
        seed: of the augmentation.

    Raises:
        DataError: if there are not as many features as images.

    Example:
        >>> class Unread:
        ...     def __len__(self): return 2
        ...     def open(self, index): raise NotImplementedError
        ...     def locate(self, index): return "nowhere"
        ...     def select(self, indices): return self
        >>> records = Records(("a", "b"), Unread(), np.eye(2, dtype=np.int8), ("cat", "dog"))
        >>> dataset = EncodedImages(torch.tensor([[0.5], [1.5]]), records)
        >>> dataset[1]
        (tensor([1.5000]), tensor([0, 1], dtype=torch.int8), 1)
    """

    cache: PixelCache | None = None
    """There are no pixels to keep."""

    def __init__(
        self,
        features: Tensor,
        records: Records,
        *,
        mirrored: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        if features.ndim < 2 or len(features) != len(records):
            raise DataError(
                f"expected features of {len(records)} images, got a tensor of shape "
                f"{tuple(features.shape)}."
            )
        self._features = features
        self._mirrored = mirrored
        self._seed = seed
        self._targets = torch.from_numpy(np.ascontiguousarray(records.targets, dtype=np.int8))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._targets)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        """Return features, targets (int8, (classes,)) and the index."""
        index, epoch = key if isinstance(key, tuple) else (key, None)
        features = self._features
        if self._mirrored is not None and epoch is not None:
            drawn = _MIRRORING.is_mirrored(draws_for(self._seed, epoch, index))
            features = self._mirrored if drawn else features
        return features[index], self._targets[index], index

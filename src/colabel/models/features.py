"""What an encoder gives of a batch of images: a vector each, and a map where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Features of a batch of images.

    Made by an encoder, or from what an encoder gave before; then only the part that was kept is
    there.

    Args:
        vector: the encoder's pooled features, shape (batch, width); ``None`` if only the map was
            kept.
        unpooled: what the encoder pooled, in its own layout; ``None`` if only vectors were kept,
            or the encoder has no such thing.
        to_map: brings ``unpooled`` into the shape (batch, channels, height, width); ``None`` where
            it has that shape.
        reason: why there is no map, for the message.
        previous: the map of the stage before the last, shape (batch, channels, height, width);
            ``None`` unless a head has asked the encoder for it.
        halfway: what the frozen first stages of an encoder gave, in its own layout, where the
            rest is still to be computed; then there is nothing else.

    Example:
        >>> tokens = torch.zeros(2, 9, 8)
        >>> features = Features(torch.zeros(2, 8), tokens, lambda given: given.mT[:, :, None])
        >>> features.map.shape, len(features)
        (torch.Size([2, 8, 1, 9]), 2)
    """

    vector: Tensor | None
    unpooled: Tensor | None = None
    to_map: Callable[[Tensor], Tensor] | None = None
    reason: str = "only the pooled features are there"
    previous: Tensor | None = None
    halfway: Tensor | None = None

    @property
    def map(self) -> Tensor:
        """Features at each position, shape (batch, channels, height, width).

        Raises:
            ValueError: if there is no map.
        """
        if self.unpooled is None:
            raise ValueError(f"there is no feature map: {self.reason}.")
        return self.unpooled if self.to_map is None else self.to_map(self.unpooled)

    @property
    def previous_map(self) -> Tensor:
        """Features at each position after the stage before the last.

        Raises:
            ValueError: if they were not asked for.
        """
        if self.previous is None:
            raise ValueError(
                "there is no map of the stage before the last; call give_previous_stage() of the "
                "encoder first."
            )
        return self.previous

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._some())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Features:
        """Return the same features on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def chunk(self, parts: int) -> tuple[Features, ...]:
        """Return the features in at most this many pieces, as :func:`torch.chunk` cuts them."""
        sizes = [len(piece) for piece in self._some().chunk(parts)]
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        rows = [slice(first, first + size) for first, size in zip(starts, sizes, strict=True)]
        return tuple(self._with(itemgetter(some)) for some in rows)

    def _some(self) -> Tensor:
        return next(
            tensor for tensor in (self.vector, self.unpooled, self.halfway) if tensor is not None
        )

    def _with(self, change: Callable[[Tensor], Tensor]) -> Features:
        return Features(
            None if self.vector is None else change(self.vector),
            None if self.unpooled is None else change(self.unpooled),
            self.to_map,
            self.reason,
            None if self.previous is None else change(self.previous),
            None if self.halfway is None else change(self.halfway),
        )

"""Memory that runs out in a training step, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from colabel.errors import NotEnoughMemoryError

_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory")
"""What torch says of it on the processor and on older GPUs, in a plain RuntimeError."""


@contextmanager
def explained_memory(kept: Callable[[], str]) -> Iterator[None]:
    """Say what to lower where the memory is not enough for a step.

    Args:
        kept: tells what is left of the training so far; called only then.

    Raises:
        NotEnoughMemoryError: in place of the error of Python or torch.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and not any(words in str(error).lower() for words in _WORDS):
            raise
        raise NotEnoughMemoryError(
            "the memory is not enough for a training step: lower training.batch_size or "
            "data.image_size, or set training.precision: bf16; where every term looks at each "
            f"image alone, training.accumulation divides the batch. {kept()}."
        ) from error

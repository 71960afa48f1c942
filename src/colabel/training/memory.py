"""Memory that runs out while a model is trained or used, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from colabel.errors import NotEnoughMemoryError

_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory", "alloc_failed")
"""What torch says of it on the processor and on older GPUs, in a plain RuntimeError."""


TO_TRAIN = (
    "lower training.batch_size or data.image_size, or set training.precision: bf16; where every "
    "term looks at each image alone, training.accumulation divides the batch"
)
TO_EVALUATE = "lower evaluation.batch_size or data.image_size"
TO_PREDICT = "lower --batch (batch= in Python)"
"""What helps where the memory is not enough."""


@contextmanager
def explained_memory(
    remedy: str, kept: Callable[[], str] = lambda: "nothing that was saved is lost"
) -> Iterator[None]:
    """Say what to lower where the memory is not enough for a batch.

    Args:
        remedy: what to lower.
        kept: tells what is left of the work so far; called only then.

    Raises:
        NotEnoughMemoryError: in place of the error of Python or torch.
    """
    try:
        yield
    except NotEnoughMemoryError:
        raise  # it says already what to lower
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and not any(words in str(error).lower() for words in _WORDS):
            raise
        raise NotEnoughMemoryError(
            f"the memory is not enough for a batch: {remedy}. {kept()}."
        ) from error

"""A bound on the memory that building a model may take, so that a description cannot lie big."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from colabel.errors import RunError

_FACTORIES = frozenset(
    {
        torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange,
        torch.linspace, torch.eye, torch.randint,
    }
)  # fmt: skip


class _Budget(TorchFunctionMode):
    """Counts what is made while it is active, and refuses before too much is."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._made = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FACTORIES:
            planned = {key: kwargs[key] for key in kwargs if key not in ("out", "generator")}
            shape = func(*args, **{**planned, "device": "meta"})
            self._made += shape.numel() * shape.element_size()
            if self._made > self._limit:
                raise RunError(
                    f"it would take more than {self._made:,} bytes, where its weights have at "
                    f"most {self._limit:,}"
                )
        return func(*args, **kwargs)


@contextmanager
def memory_budget(limit: int) -> Iterator[None]:
    """Refuse to make tensors of more bytes than this in all, before they are made.

    Args:
        limit: bytes of all tensors that are made within the block.

    Raises:
        RunError: where one would go beyond it.

    Example:
        >>> with memory_budget(1_000_000):
        ...     layer = torch.nn.Linear(100, 10)
        >>> with memory_budget(1_000_000):
        ...     torch.nn.Linear(100_000_000, 1_000_000)
        Traceback (most recent call last):
        colabel.errors.RunError: it would take more than 400,000,000,000,000 bytes, where ...
    """
    with _Budget(limit):
        yield

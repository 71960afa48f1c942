"""A bound on the memory that building a model may take, so that a description cannot lie big."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from colabel.errors import RunError

_META = torch.device("meta")


class _Budget(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes the shape of whatever is about to be made, and refuses before too much is."""

    def __init__(self, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._limit = limit
        self._made = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        # what works in place or gives a view of what is there takes no memory
        if not func._schema.is_mutable and not func.is_view:
            self._count(func, args, kwargs)
        return func(*args, **kwargs)

    def _count(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if _is_on_meta(kwargs.get("device")) or any(
            _is_on_meta(given.device) for given in tensors
        ):
            return  # it has a shape and no memory
        size = _bytes_of_result(func, args, kwargs)
        if tensors:  # a copy or an intermediate result, which does not stay
            made = size
        else:
            self._made += size
            made = self._made
        if made > self._limit:
            raise RunError(
                f"it would take more than {made:,} bytes, where its weights have at most "
                f"{self._limit:,}"
            )


def _is_on_meta(device: torch.device | str | None) -> bool:
    return device is not None and torch.device(device) == _META


def _bytes_of_result(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> int:
    """Return the bytes that an operation will take, found without taking them."""
    given, named = tree_map(_hollow, (args, kwargs))
    named = {name: value for name, value in named.items() if name != "generator"}
    if "device" in named:
        named["device"] = _META
    try:
        made = tree_leaves(func(*given, **named))
    except (RuntimeError, NotImplementedError):
        return 0  # its result depends on values, as the number in a tensor does: it is small
    return sum(leaf.numel() * leaf.element_size() for leaf in made if isinstance(leaf, Tensor))


def _hollow(value: Any) -> Any:
    return value.to(_META) if isinstance(value, Tensor) else value


@contextmanager
def memory_budget(limit: int) -> Iterator[None]:
    """Refuse to make larger tensors than this, or more in all, before they are made.

    Args:
        limit: bytes of all new tensors within the block together, and of any single tensor that
            is computed from others.

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

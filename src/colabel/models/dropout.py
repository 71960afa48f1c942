"""Dropout that stays active when a model is used, for samples of what it might have said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def dropout_layers(model: nn.Module) -> list[nn.Dropout]:
    """Return the layers that drop anything at all.

    Example:
        >>> len(dropout_layers(nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.0))))
        1
    """
    return [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p]


@contextmanager
def active_dropout(model: nn.Module) -> Iterator[None]:
    """Let the dropout layers of a model drop in evaluation mode, too, until the block ends.

    Source: Gal and Ghahramani 2016, "Dropout as a Bayesian approximation".

    Args:
        model: whose layers are of :class:`torch.nn.Dropout`; what a backbone drops by a function
            of its own is not reached.

    Example:
        >>> import torch
        >>> model = nn.Dropout(0.5).eval()
        >>> with active_dropout(model):
        ...     bool((model(torch.ones(100)) == 0).any())
        True
        >>> bool((model(torch.ones(100)) == 0).any())
        False
    """

    def drop(layer: nn.Module, given: tuple[Tensor, ...], answer: Any) -> Any:
        assert isinstance(layer, nn.Dropout)
        return answer if layer.training else functional.dropout(given[0], layer.p)

    handles = [layer.register_forward_hook(drop) for layer in dropout_layers(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""Gradients that cannot be differentiated again, and the error that says so."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Gradients = TypeVar("Gradients")


def first_order_only(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Make the backward pass of an autograd function refuse ``create_graph=True``.

    A backward pass that computes with plain tensors leaves no graph behind, or a wrong one.
    ``torch.autograd.function.once_differentiable`` is silent about that where the incoming
    gradient is a constant, as under a sum: a penalty on the gradient would train nothing.

    Args:
        backward: the static method of a ``torch.autograd.Function``.

    Returns:
        The method; it raises ``RuntimeError`` if a graph of it is asked for.

    Example:
        >>> class Square(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, value):
        ...         ctx.save_for_backward(value)
        ...         return value * value
        ...
        ...     @staticmethod
        ...     @first_order_only
        ...     def backward(ctx, gradient):
        ...         return 2 * ctx.saved_tensors[0] * gradient
        >>> value = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(Square.apply(value), value)
        (tensor(6.),)
        >>> torch.autograd.grad(Square.apply(value), value, create_graph=True)
        Traceback (most recent call last):
        RuntimeError: the backward pass of Square cannot be differentiated again: ...
    """

    @functools.wraps(backward)
    def checked(ctx: Any, *gradients: Any) -> Gradients:
        if torch.is_grad_enabled():  # true within a backward pass with create_graph=True alone
            name = type(ctx).__name__.removesuffix("Backward").lstrip("_")
            raise RuntimeError(
                f"the backward pass of {name} cannot be differentiated again: call backward() or "
                "torch.autograd.grad() without create_graph=True. For second derivatives compute "
                "the term from colabel.mixtures.similarity instead."
            )
        return backward(ctx, *gradients)

    return checked

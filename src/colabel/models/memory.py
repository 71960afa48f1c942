"""How much memory a training step will take at least, known before there is one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from colabel.models.feature_maps import copy_to_meta


class _Attention(torch.autograd.Function):
    """Attention whose weights are computed again in the backward pass, not kept."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return an output of the right shape, and keep what the kernels keep."""
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output)
        return output


class _LeanAttention(TorchFunctionMode):
    """Puts in place of attention what the best of its kernels keeps.

    Without values torch takes the kernel that keeps a number for every pair of positions: at 1024
    pixels five times what a processor or a GPU keeps of a whole transformer.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            return _Attention.apply(given["query"], given["key"], given["value"])
        return func(*args, **kwargs)


def kept_for_backward(module: nn.Module, image_size: int, *, trained: bool = True) -> int:
    """Return the bytes that a forward pass of one image keeps for the backward pass.

    They are counted on a copy without values, so that nothing is allocated. A training step takes
    more: gradients, what operations need for themselves, the state of the optimiser.

    Args:
        module: images (batch, 3, height, width) to anything.
        image_size: side of the image, in pixels.
        trained: whether its parameters are trained as they say; if not, nothing is kept.

    Example:
        >>> kept_for_backward(nn.Conv2d(3, 8, 3), 10) == 3 * 10 * 10 * 4
        True
        >>> kept_for_backward(nn.Conv2d(3, 8, 3), 10, trained=False)
        0
    """
    hollow = copy_to_meta(module)
    for copied, parameter in zip(hollow.parameters(), module.parameters(), strict=True):
        copied.requires_grad_(trained and parameter.requires_grad)
    own = {id(parameter) for parameter in hollow.parameters()}
    kept: dict[Any, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            # views share their storage, which on the meta device has nothing but an identity
            kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
            held.append(tensor)
        return tensor

    held: list[Tensor] = []  # so that no address is used twice
    images = torch.empty(1, 3, image_size, image_size, device="meta")
    with _LeanAttention(), torch.enable_grad(), saved_tensors_hooks(note, lambda kept: kept):
        output = hollow(images)
    del output
    return sum(kept.values())

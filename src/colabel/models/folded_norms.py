r"""Frozen batch normalisation as part of the convolution before it, in training too.

With stored statistics a batch-norm layer is an affine map of each channel,

.. math:: \gamma \frac{w * x - \mu}{\sqrt{v + \epsilon}} + \beta
    = \Big(\frac{\gamma}{\sqrt{v + \epsilon}} w\Big) * x
    + \beta - \frac{\gamma \mu}{\sqrt{v + \epsilon}},

so the convolution can do it with other weights. The weights are computed in every step from the
parameters, which stay where they are: gradients, names and saved models are the same, up to the
rounding of float32. A layer that went over every pixel of every channel twice, and kept a copy
for the backward pass, is gone; depthwise networks, which wait for memory most of the time, train
1.4 times as fast on a processor (``docs/performance.md``).
"""

from __future__ import annotations

import collections
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.nn import functional as F

from colabel.models.feature_maps import copy_to_meta


class _FoldedConv2d(nn.Conv2d):
    """A convolution that does the work of the frozen batch-norm layer after it."""

    folded_norm: tuple[nn.BatchNorm2d]
    """In a tuple, so that its parameters are not found twice."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self._folded()
        return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _folded(self) -> tuple[Tensor, Tensor]:
        (norm,) = self.folded_norm
        assert norm.running_mean is not None  # as was found when the two were paired
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight
        shift = -norm.running_mean * scale if self.bias is None else self.bias * scale
        if self.bias is not None:
            shift = shift - norm.running_mean * scale
        if norm.affine:
            shift = shift + norm.bias
        return self.weight * scale[:, None, None, None], shift


class _FoldedConv2dSame(_FoldedConv2d):
    """The same with padding that depends on the size of the image."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self._folded()
        kernel, stride = list(self.kernel_size), list(self.stride)
        padded = pad_same(input, kernel, stride, list(self.dilation))
        return F.conv2d(padded, weight, bias, self.stride, 0, self.dilation, self.groups)


class _FoldedBatchNorm2d(nn.BatchNorm2d):
    """A batch-norm layer that the convolution before it has done already."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class _FoldedBatchNormAct2d(BatchNormAct2d):
    """The same of timm, which is followed by an activation."""

    def forward(self, x: Tensor) -> Any:
        return self.act(self.drop(x))


_CONVOLUTIONS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: _FoldedConv2d,
    Conv2dSame: _FoldedConv2dSame,
}
_NORMS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: _FoldedBatchNorm2d,
    BatchNormAct2d: _FoldedBatchNormAct2d,
}


def fold_frozen_norms(backbone: nn.Module, image_size: int) -> int:
    """Let convolutions do the work of the batch-norm layers that alone read them, in place.

    Layers of other types, convolutions that are used twice or read by others too, and layers
    without stored statistics stay as they are.

    Args:
        backbone: whose batch-norm layers are in evaluation mode for good.
        image_size: side of images that it can encode, in pixels.

    Returns:
        How many layers were folded.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> images = torch.rand(1, 3, 2, 2)
        >>> before = net(images)
        >>> fold_frozen_norms(net, 2)
        1
        >>> torch.allclose(net(images), before, atol=1e-6)
        True
    """
    pairs = _pairs(backbone, image_size)
    for convolution_name, norm_name in pairs:
        convolution = backbone.get_submodule(convolution_name)
        norm = backbone.get_submodule(norm_name)
        convolution.__class__ = _CONVOLUTIONS[type(convolution)]
        norm.__class__ = _NORMS[type(norm)]
        convolution.folded_norm = (norm,)  # type: ignore[assignment]  # no module, but a tuple
    return len(pairs)


def _pairs(backbone: nn.Module, image_size: int) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the batch-norm layers that alone read each."""
    hollow = copy_to_meta(backbone).requires_grad_(True)
    made: dict[int, tuple[str, Tensor]] = {}
    read: list[tuple[str, str, Tensor]] = []
    calls: collections.Counter[str] = collections.Counter()
    for name, module in hollow.named_modules():
        if type(module) in _CONVOLUTIONS and not _is_changed(module):
            module.register_forward_hook(_noting(name, made, calls))
        elif type(module) in _NORMS and _has_statistics(module) and not _is_changed(module):
            module.register_forward_pre_hook(_reading(name, made, read, calls))
    kind = next(hollow.parameters()).dtype if list(hollow.parameters()) else torch.float32
    with torch.enable_grad():
        features = hollow(torch.empty(1, 3, image_size, image_size, device="meta", dtype=kind))
    readers = _readers(features)
    return [
        (convolution, norm)
        for convolution, norm, between in read
        if calls[convolution] == calls[norm] == 1 and readers[between.grad_fn] == 1
    ]


def _noting(
    name: str, made: dict[int, tuple[str, Tensor]], calls: collections.Counter[str]
) -> Any:
    def note(module: nn.Module, given: Any, output: Tensor) -> None:  # noqa: ARG001
        calls[name] += 1
        made[id(output)] = (name, output)  # kept, so that no other tensor gets its identity

    return note


def _reading(
    name: str,
    made: dict[int, tuple[str, Tensor]],
    read: list[tuple[str, str, Tensor]],
    calls: collections.Counter[str],
) -> Any:
    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:  # noqa: ARG001
        calls[name] += 1
        convolution, output = made.get(id(given[0]), ("", None))
        if output is not None:
            read.append((convolution, name, output))

    return note


def _readers(features: Tensor) -> collections.Counter[Any]:
    """Count what reads the result of each step that led to the features."""
    counts: collections.Counter[Any] = collections.Counter()
    seen, waiting = set(), [features.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for before, _ in node.next_functions:
            counts[before] += 1
            waiting.append(before)
    return counts


def _has_statistics(norm: nn.Module) -> bool:
    return getattr(norm, "running_mean", None) is not None


def _is_changed(module: nn.Module) -> bool:
    """Tell whether a layer does more than its type says, such as spectral normalisation."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    padding = getattr(module, "padding_mode", "zeros")
    return (
        any(hooks)
        or padding != "zeros"
        or hasattr(module, "parametrizations")
        or "forward" in vars(module)
    )

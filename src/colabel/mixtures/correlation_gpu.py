"""The sums of :mod:`colabel.mixtures.correlation` on a GPU, without any tensor of exponents.

Two Triton kernels keep a tile of exponents in registers. Forward, a program has one pair of images
and adds up its tiles under a running maximum. Backward, a program has a few components of one
image, meets the components of all images one after the other, and writes its own gradients: there
is nothing to add up between programs, so two runs give the same bits.

Triton comes with CUDA builds of PyTorch only and takes a second to load. So it is imported at the
first use, and the kernels below are plain functions until then.
"""

# ruff: noqa: ANN001, ANN202 -- a kernel's annotations are Triton's

import functools
import importlib
import importlib.util
import warnings
from types import SimpleNamespace
from typing import Any, no_type_check

import torch
from torch import Tensor

from colabel.mixtures.first_order import first_order_only

SIDE = 16
"""Components in a tile of the forward pass, down and across."""

ACROSS = 64
"""Components across a tile of the backward pass, of any images; down it has SIDE."""

tl: Any = SimpleNamespace(constexpr="constexpr")
"""``triton.language`` from the first call of :func:`kernels`; until then, what the kernels below
need to be defined: the mark of an argument they are compiled for."""

exponents: Any = None
""":func:`_exponents` as the kernels call it, from the first call of :func:`kernels`."""


def fused_log_product(log_weights: Tensor, mean: Tensor, spread: Tensor, dim: int) -> Tensor:
    """Return the log of the sum over all components of each pair of images.

    Args:
        log_weights: float32, shape (batch, classes); -inf where a weight is 0.
        mean: in units of sqrt(2r), with the reference variance r.
        spread: ``(variance - r) / 2r``.
        dim: number of dimensions n.

    Returns:
        Symmetric, shape (batch, batch).
    """
    result: Tensor = _FusedLogProduct.apply(log_weights, mean, spread, dim)
    return result


@functools.cache
def usable(device: torch.device) -> bool:
    """Tell whether the kernels run on this device, by a trial at its first use.

    Triton needs a C compiler and a GPU that it knows. Where one is missing a warning says so.
    """
    if importlib.util.find_spec("triton") is None:
        return False
    try:
        with torch.inference_mode(mode=False):  # with gradients, wherever the first use is
            tiny = torch.ones(1, 1, device=device, requires_grad=True)
            torch.autograd.grad(fused_log_product(tiny, tiny, tiny, 1).sum(), tiny)
    except Exception as error:
        warnings.warn(
            "the fused kernels of the correlation coefficient do not run here, so a slower way "
            f"with the same result is taken. {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


@functools.cache
def kernels() -> tuple[Any, Any]:
    """Import Triton and return the forward and the backward kernel.

    Numbers that change from batch to batch are no part of what a kernel is compiled for.
    """
    global tl, exponents
    triton = importlib.import_module("triton")
    tl = importlib.import_module("triton.language")
    exponents = triton.jit(_exponents)
    forward, backward = (
        triton.jit(function, do_not_specialize=["batch", "classes"])
        for function in (_forward, _backward)
    )
    return forward, backward


class _FusedLogProduct(torch.autograd.Function):
    """``log sum_kl exp e_kl`` of every pair of images, as in the blocks for any device."""

    @staticmethod
    def forward(ctx: Any, log_weights: Tensor, mean: Tensor, spread: Tensor, dim: int) -> Tensor:
        """Return a symmetric matrix, shape (batch, batch)."""
        parts = [part.contiguous() for part in (log_weights, mean, spread)]
        batch, classes = mean.shape
        result = mean.new_empty(batch, batch)
        with torch.cuda.device_of(mean):  # type: ignore[no-untyped-call]
            kernels()[0][(batch * batch,)](
                *parts,
                result,
                batch,
                classes,
                dim / 2,
                side=SIDE,
                num_warps=1,
                enable_fp_fusion=True,
            )
        ctx.save_for_backward(*parts, result)
        ctx.dim = dim
        return result

    @staticmethod
    @first_order_only
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the exponents again; both sides of a pair see its two cells of the result."""
        *parts, result = ctx.saved_tensors
        gradient = (gradients[0] + gradients[0].T).contiguous()
        found = [torch.empty_like(part) for part in parts]
        batch, classes = parts[0].shape
        with torch.cuda.device_of(result):  # type: ignore[no-untyped-call]
            kernels()[1][(batch, -(-classes // SIDE))](
                *parts,
                result,
                gradient,
                *found,
                batch,
                classes,
                ctx.dim / 2,
                side=SIDE,
                across=ACROSS,
                num_warps=4,
                enable_fp_fusion=True,
            )
        return *found, None


@no_type_check
def _exponents(weight_p, mean_p, spread_p, weight_q, mean_q, spread_q, half_dim):
    """Return ``e``, ``d / s`` and ``1 / s - d^2 / s^2`` of every p, down, with every q, across."""
    excess = spread_p[:, None] + spread_q[None, :]
    total = 1.0 + excess
    # log1p: the logarithm of the rounded sum and, to first order, what the rounding took away
    logarithm = tl.log(total) + (excess - (total - 1.0)) / total
    difference = mean_p[:, None] - mean_q[None, :]
    slope = difference / total
    exponent = weight_p[:, None] + weight_q[None, :] - half_dim * (logarithm + difference * slope)
    return exponent, slope, 1.0 / total - slope * slope


@no_type_check
def _forward(log_weights, mean, spread, result, batch, classes, half_dim, side: tl.constexpr):
    """One pair of images; the lower triangle is the mirror of the upper one."""
    first = tl.program_id(0) // batch
    second = tl.program_id(0) % batch
    if first <= second:
        highest = -3.0e38
        sums = tl.zeros((side, side), tl.float32)
        for top in range(0, classes, side):
            down = top + tl.arange(0, side)
            here = down < classes
            down += first * classes
            weight_p = tl.load(log_weights + down, mask=here, other=float("-inf"))
            mean_p = tl.load(mean + down, mask=here, other=0.0)
            spread_p = tl.load(spread + down, mask=here, other=0.0)
            for left in range(0, classes, side):
                across = left + tl.arange(0, side)
                there = across < classes
                across += second * classes
                weight_q = tl.load(log_weights + across, mask=there, other=float("-inf"))
                mean_q = tl.load(mean + across, mask=there, other=0.0)
                spread_q = tl.load(spread + across, mask=there, other=0.0)
                exponent, _, _ = exponents(
                    weight_p, mean_p, spread_p, weight_q, mean_q, spread_q, half_dim
                )
                higher = tl.maximum(highest, tl.max(exponent))
                sums = sums * tl.exp(highest - higher) + tl.exp(exponent - higher)
                highest = higher
        value = tl.log(tl.sum(sums)) + highest
        tl.store(result + first * batch + second, value)
        tl.store(result + second * batch + first, value)


@no_type_check
def _backward(
    log_weights,
    mean,
    spread,
    result,
    gradient,
    to_log_weights,
    to_mean,
    to_spread,
    batch,
    classes,
    half_dim,
    side: tl.constexpr,
    across: tl.constexpr,
):
    """A few components of one image against all components of all images."""
    image = tl.program_id(0)
    down = tl.program_id(1) * side + tl.arange(0, side)
    here = down < classes
    down += image * classes
    weight_p = tl.load(log_weights + down, mask=here, other=float("-inf"))
    mean_p = tl.load(mean + down, mask=here, other=0.0)
    spread_p = tl.load(spread + down, mask=here, other=0.0)
    shares = tl.zeros((side, across), tl.float32)
    slopes = tl.zeros((side, across), tl.float32)
    widenings = tl.zeros((side, across), tl.float32)
    for left in range(0, batch * classes, across):
        component = left + tl.arange(0, across)
        there = component < batch * classes
        weight_q = tl.load(log_weights + component, mask=there, other=float("-inf"))
        mean_q = tl.load(mean + component, mask=there, other=0.0)
        spread_q = tl.load(spread + component, mask=there, other=0.0)
        pair = image * batch + component // classes
        of_pair = tl.load(result + pair, mask=there, other=0.0)
        pull = tl.load(gradient + pair, mask=there, other=0.0)
        exponent, slope, widening = exponents(
            weight_p, mean_p, spread_p, weight_q, mean_q, spread_q, half_dim
        )
        share = tl.exp(exponent - of_pair[None, :]) * pull[None, :]
        shares += share
        slopes += share * slope
        widenings += share * widening
    tl.store(to_log_weights + down, tl.sum(shares, axis=1), mask=here)
    tl.store(to_mean + down, -2.0 * half_dim * tl.sum(slopes, axis=1), mask=here)
    tl.store(to_spread + down, -half_dim * tl.sum(widenings, axis=1), mask=here)

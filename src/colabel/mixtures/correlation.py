r"""How alike two whole mixtures are: the correlation coefficient of their densities.

For mixtures of isotropic Gaussian densities in n dimensions the integral of a product is a sum
over all pairs of their components,

.. math:: \int p_i p_j = (2\pi)^{-n/2} \sum_{k,l} \exp e_{kl},\qquad
          e_{kl} = \log\pi_{ik} + \log\pi_{jl}
          - \frac n2\left(\log s_{kl} + \frac{(\mu_{ik}-\mu_{jl})^2}{s_{kl}}\right),\quad
          s_{kl} = \sigma_{ik}^2 + \sigma_{jl}^2 .

At n = 2048 neither the integral nor a single exponential fits into a float, and
``n/2 log s`` alone is a thousand times larger than what is left of it in the coefficient. So
everything is in logarithms, and variances are measured from the smallest one, r:
``log(s / 2r) = log1p((v_ik - r) / 2r + (v_jl - r) / 2r)``, a sum in which nothing is negative. The
reference, like ``2 pi``, cancels.

Each pair of images has C^2 exponents, a full batch billions. They are computed in blocks that fit
into a core's cache, for i <= j only, and once more in the backward pass, whose gradients are

.. math:: \frac{\partial}{\partial\log\pi_{ik}} = \sum_l p_{kl},\quad
          \frac{\partial}{\partial\mu_{ik}} = -n\sum_l p_{kl}\frac{d_{kl}}{s_{kl}},\quad
          \frac{\partial}{\partial\sigma^2_{ik}}
          = -\frac n2\sum_l \frac{p_{kl}}{s_{kl}}\left(1-\frac{d_{kl}^2}{s_{kl}}\right)

with ``p`` the softmax of ``e`` over all (k, l) and ``d`` the difference of the means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from colabel.mixtures import correlation_gpu
from colabel.mixtures.first_order import first_order_only
from colabel.mixtures.gaussian import GaussianMixture
from colabel.mixtures.similarity import log_bhattacharyya_isotropic

BLOCK_ELEMENTS = 2**19
"""Elements of a temporary on the CPU: 2 MB of float32, a compromise of cache and calls."""

GPU_BLOCK_ELEMENTS = 2**24
"""Elements of a temporary on a GPU, where few large kernels beat many small ones."""

FLOOR = -60.0
"""Least exponent, relative to the largest of a sum. What is smaller is lost to rounding, in
float64 too, and would make numbers so small that processors handle them a hundred times slower."""


def pairwise_log_correlation(
    mixture: GaussianMixture, *, block_elements: int | None = None
) -> Float[Tensor, "batch batch"]:
    r"""Log of the correlation coefficient of the mixtures of every pair of images.

    .. math:: \log\frac{\int p_i p_j}{\sqrt{\int p_i^2}\sqrt{\int p_j^2}}

    Source: ProbMCL, Sec. 2.2 (the similarity of Eq. 3), with the closed form for mixtures of its
    reference 17; isotropic components as in Eq. 1. See the head of this module for the formula.

    Args:
        mixture: isotropic kernels, taken as normalised densities. A constant factor of all
            weights of an image has no influence. Half precision is computed in float32.
        block_elements: size of the largest temporary; default: by the device, or none at all on a
            GPU that Triton compiles for. It changes nothing but speed and rounding.

    Returns:
        Symmetric, shape (batch, batch), exactly 0 on the diagonal and at most 0 elsewhere, to
        rounding.

    Raises:
        ValueError: if the kernels are diagonal or the block is empty.
        RuntimeError: in a backward pass with ``create_graph=True``; there are no second
            derivatives.

    Example:
        >>> mean = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> mixture = GaussianMixture(mean.new_full((2, 2), 0.5).log(), mean, mean * 0 + 1, dim=8)
        >>> pairwise_log_correlation(mixture)
        tensor([[ 0., -2.],
                [-2.,  0.]])
    """
    mixture = _checked(mixture)
    fused = block_elements is None and _has_kernels(mixture.mean)
    if block_elements is None:
        block_elements = GPU_BLOCK_ELEMENTS if mixture.mean.is_cuda else BLOCK_ELEMENTS
    if block_elements < 1:
        raise ValueError(f"block_elements must be at least 1, got {block_elements}.")
    # Every variance is measured from the smallest, r, and every length in units of sqrt(2r).
    double = 2 * mixture.variance.detach().amin()
    spread = (mixture.variance - double / 2) / double
    mean = mixture.mean * double.rsqrt()
    parts = (mixture.log_weights, mean, spread, mixture.dim)
    log_product: Tensor = (
        correlation_gpu.fused_log_product(*parts)
        if fused
        else _LogProduct.apply(*parts, block_elements)
    )
    own = log_product.diagonal()
    return log_product - (own[:, None] + own) / 2


def pairwise_log_bhattacharyya_bound(mixture: GaussianMixture) -> Float[Tensor, "batch batch"]:
    r"""Log of a lower bound of the Bhattacharyya coefficient of every pair of mixtures.

    .. math:: \log\sum_k \sqrt{\pi_{ik}\,\pi_{jk}}\;\rho\left(g_{ik}, g_{jk}\right)

    The coefficient of two mixtures has no closed form. Only components of the same class are
    compared here, which bounds it from below and is exact where one component has all the
    weight, or where the components of different classes do not overlap.

    Source: ProbMCL, Sec. 2.2, names the Bhattacharyya coefficient as a similarity for Eq. 3.

    Deviation: a bound instead of the coefficient. The sum over all pairs of components would be
    an upper bound that exceeds 1.

    Args:
        mixture: isotropic kernels. Half precision is computed in float32.

    Returns:
        Symmetric, shape (batch, batch), at most 0 to rounding; 0 on the diagonal where the weights
        sum to one.

    Raises:
        ValueError: if the kernels are diagonal.

    Example:
        >>> mean = torch.tensor([[0.0], [1.0]])
        >>> mixture = GaussianMixture(torch.zeros(2, 1), mean, torch.ones(2, 1), dim=8)
        >>> pairwise_log_bhattacharyya_bound(mixture)
        tensor([[ 0., -1.],
                [-1.,  0.]])
    """
    mixture = _checked(mixture)
    log_weights, mean, variance = mixture.log_weights, mixture.mean, mixture.variance
    log_overlap = log_bhattacharyya_isotropic(
        mean[:, None], variance[:, None], mean, variance, dim=mixture.dim
    )
    log_shared = (log_weights[:, None] + log_weights) / 2 + log_overlap
    # finite where a weight is 0: two images that share no component have a gradient of 0, not NaN
    return log_shared.clamp(min=torch.finfo(log_shared.dtype).min / 8).logsumexp(dim=-1)


def _checked(mixture: GaussianMixture) -> GaussianMixture:
    """Return isotropic kernels in float32 or float64."""
    if not mixture.isotropic:
        raise ValueError(
            "expected isotropic kernels, with mean and variance of shape (batch, classes), got "
            f"diagonal ones of shape {tuple(mixture.mean.shape)}."
        )
    return mixture.float()


def _has_kernels(tensor: Tensor) -> bool:
    """Tell whether the kernels of :mod:`colabel.mixtures.correlation_gpu` take such tensors."""
    return (
        tensor.is_cuda and tensor.dtype is torch.float32 and correlation_gpu.usable(tensor.device)
    )


class _LogProduct(torch.autograd.Function):
    """``log sum_kl exp e_kl`` of every pair of images, without what cancels later.

    Lengths are in units of sqrt(2r), so ``s = 1 + spread_ik + spread_jl``. A block is a matrix:
    the components of one image down, those of several images across.
    """

    @staticmethod
    def forward(
        ctx: Any,
        log_weights: Tensor,
        mean: Tensor,
        spread: Tensor,
        dim: int,
        block_elements: int,
    ) -> Tensor:
        """Return a symmetric matrix, shape (batch, batch)."""
        batch, classes = mean.shape
        result = mean.new_full((batch, batch), -torch.inf)
        lowest = torch.finfo(mean.dtype).min
        for block in _blocks(batch, classes, block_elements):
            exponent, _, _ = _exponents(log_weights, mean, spread, block, dim)
            highest = exponent.amax(dim=0).clamp_(min=lowest)  # all -inf where a weight is 0
            total = exponent.sub_(highest).clamp_(min=FLOOR).exp_().sum(dim=0).log_().add_(highest)
            total = total.view(-1, classes).add_(log_weights[block.columns]).logsumexp(dim=1)
            target = result[block.row, block.columns]
            torch.logaddexp(target, total, out=target)
        result = result.triu() + result.triu(diagonal=1).T
        ctx.save_for_backward(log_weights, mean, spread, result)
        ctx.dim, ctx.block_elements = dim, block_elements
        return result

    @staticmethod
    @first_order_only
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Recompute each block and add its share for both of its images."""
        # Half-precision products would leave three digits of the sums.
        with torch.autocast(gradients[0].device.type, enabled=False):
            return _LogProduct._add_up(ctx, gradients[0])

    @staticmethod
    def _add_up(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        log_weights, mean, spread, result = ctx.saved_tensors
        dim = ctx.dim
        batch, classes = mean.shape
        gradient = gradient + gradient.T
        gradient.diagonal().div_(2)
        found = tuple(
            torch.zeros_like(part, memory_format=torch.contiguous_format)
            for part in (log_weights, mean, spread)
        )
        for block in _blocks(batch, classes, ctx.block_elements):
            share, slope, widening = _exponents(log_weights, mean, spread, block, dim)
            shift = log_weights[block.columns] - result[block.row, block.columns, None]
            share.add_(shift.flatten()).clamp_(min=FLOOR).exp_()
            pull = gradient[block.row, block.columns].repeat_interleave(classes)
            for into, part, down, across in zip(
                found,
                (share, slope.mul_(share), widening.mul_(share)),
                (1.0, -dim, -dim / 2),
                (1.0, dim, -dim / 2),
                strict=True,
            ):
                into[block.row, block.parts].add_(part @ pull, alpha=down)
                column_sum = part.sum(dim=0).mul_(pull).view(-1, classes)
                into[block.columns].add_(column_sum, alpha=across)
        return *found, None, None


@dataclass(frozen=True)
class _Block:
    """Components ``parts`` of the image ``row`` against all components of the ``columns``."""

    row: int
    parts: slice
    columns: slice


def _blocks(batch: int, classes: int, block_elements: int) -> Iterator[_Block]:
    """Yield blocks that cover every pair i <= j once."""
    height = max(1, min(classes, block_elements // classes))
    images = max(1, block_elements // (height * classes))
    for row in range(batch):
        for left in range(row, batch, images):
            for first in range(0, classes, height):
                yield _Block(row, slice(first, first + height), slice(left, left + images))


def _exponents(
    log_weights: Tensor, mean: Tensor, spread: Tensor, block: _Block, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``e`` without the log weights of the columns, ``d / s`` and ``1 / s - d^2 / s^2``."""
    spread_sum = spread[block.row, block.parts, None] + spread[block.columns].flatten()
    inverse = (spread_sum + 1).reciprocal_()
    difference = mean[block.row, block.parts, None] - mean[block.columns].flatten()
    slope = difference * inverse
    scaled = spread_sum.log1p_().addcmul_(difference, slope)
    exponent = torch.add(log_weights[block.row, block.parts, None], scaled, alpha=-dim / 2)
    return exponent, slope, inverse.addcmul_(slope, slope, value=-1)

"""Overlap of the kernels of one class between many images, a row per (image, class) asked for."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from colabel.choices import Similarity
from colabel.mixtures.first_order import first_order_only
from colabel.mixtures.gaussian import GaussianMixture
from colabel.mixtures.similarity import log_bhattacharyya_isotropic

BLOCK_ELEMENTS = 2**19
"""Elements of the largest temporary on the CPU: 2 MB of float32, which stays in a core's cache."""

GPU_BLOCK_ELEMENTS = 2**26
"""Elements of the largest temporary on a GPU: 256 MB of float32.

An estimate, not a measurement: launching a kernel takes about 10 microseconds, and a pass over
2 MB at 2 TB/s takes 1, so blocks of 2 MB would wait for launches. A pass over 256 MB takes 130, of
which launches are less than a tenth. A backward pass holds about six such temporaries, 1.5 GB."""


def log_similarity_of_rows(
    mixture: GaussianMixture,
    anchors: Int[Tensor, "rows"],
    labels: Int[Tensor, "rows"],
    *,
    similarity: Similarity = "bhattacharyya",
    effective_dim: float | None = None,
    block_elements: int | None = None,
) -> Float[Tensor, "rows batch"]:
    r"""Log similarity of an anchor's kernel of one class with every image's kernel of that class.

    .. math:: \text{out}_{r,i} = \log\rho\left(g_{k_r}(f^{n_r}),\, g_{k_r}(f^{i})\right)

    Only the rows asked for are computed: Eq. 7 needs those of present labels, a few per image.
    Diagonal kernels are processed in blocks of rows that are recomputed in the backward pass, with
    gradients from the closed form, so memory does not grow with rows x batch x dim.

    Source: KMCL, Eq. 7 (the coefficients it needs), with Eq. 3a, 3b, 2a or 2b.

    Deviation: "mahalanobis" and "gaussian" are stated for two kernels with one covariance; two
    images have two, so their average is used, as Eq. 1 does.

    Args:
        mixture: kernels of a batch of images.
        anchors: image index of each row.
        labels: class index of each row.
        similarity: "bhattacharyya" (isotropic or diagonal kernels), "mahalanobis" (diagonal) or
            "gaussian" (isotropic); the last two leave out the scale factor.
        effective_dim: replaces the number of dimensions M in the exponents of isotropic kernels.
        block_elements: size of the largest temporary for diagonal kernels; default: by the
            device. It changes nothing but speed and rounding.

    Returns:
        Shape (rows, batch), at most 0.

    Raises:
        ValueError: if the similarity is unknown or does not fit the shape of the kernels.
        RuntimeError: in a backward pass of diagonal kernels with ``create_graph=True``; they have
            no second derivatives.

    Example:
        >>> mean, one = torch.tensor([[0.0], [1.0]]), torch.ones(2, 1)
        >>> mixture = GaussianMixture(one.log(), mean, one, dim=8)
        >>> log_similarity_of_rows(mixture, torch.tensor([0]), torch.tensor([0]))
        tensor([[-0., -1.]])
    """
    fits = {
        "bhattacharyya": True,
        "mahalanobis": not mixture.isotropic,
        "gaussian": mixture.isotropic,
    }
    if similarity not in fits:
        raise ValueError(f"similarity must be one of {', '.join(fits)}, got {similarity!r}.")
    if not fits[similarity] or (effective_dim is not None and not mixture.isotropic):
        raise ValueError(
            f"similarity {similarity!r} with effective_dim {effective_dim} does not fit "
            f"{'isotropic' if mixture.isotropic else 'diagonal'} kernels: 'gaussian' and an "
            "effective_dim need isotropic kernels, 'mahalanobis' needs diagonal ones."
        )
    if not mixture.isotropic:
        if block_elements is None:
            block_elements = GPU_BLOCK_ELEMENTS if mixture.mean.is_cuda else BLOCK_ELEMENTS
        result: Tensor = _DiagonalRows.apply(
            mixture.mean, mixture.variance, anchors, labels, similarity, block_elements
        )
        return result
    dim = mixture.dim if effective_dim is None else effective_dim
    own = (anchors, labels)
    mean, mean_all = mixture.mean[own][:, None], mixture.mean.T[labels]
    variance, variance_all = mixture.variance[own][:, None], mixture.variance.T[labels]
    if similarity == "gaussian":
        return -dim / 4 * (mean - mean_all).square() / (variance + variance_all)
    return log_bhattacharyya_isotropic(mean, variance, mean_all, variance_all, dim=dim)


class _DiagonalRows(torch.autograd.Function):
    """Rows of Eq. 3a (or 2a) in blocks, recomputed in backward.

    With s = vp + vq and d = mp - mq, the derivatives of log rho are
    -d / (2 s) in mp, and d^2 / (4 s^2) + (vq - vp) / (4 vp s) in vp; those in q have the roles
    exchanged. The second term of the latter belongs to the scale factor.
    """

    @staticmethod
    def forward(
        ctx: Any,
        mean: Tensor,
        variance: Tensor,
        anchors: Tensor,
        labels: Tensor,
        similarity: Similarity,
        block_elements: int,
    ) -> Tensor:
        """Return log similarities, shape (rows, batch)."""
        batch, _, dim = mean.shape
        ctx.save_for_backward(mean, variance, anchors, labels)
        ctx.scaled = similarity == "bhattacharyya"
        ctx.rows_per_block = max(1, block_elements // (batch * dim))
        result = mean.new_empty(len(anchors), batch)
        for start in range(0, len(anchors), ctx.rows_per_block):
            rows = slice(start, start + ctx.rows_per_block)
            difference, variance_p, variance_q = _block(
                mean, variance, anchors[rows], labels[rows]
            )
            total = variance_p + variance_q
            quadratic = difference.square_().div_(total)
            if ctx.scaled:
                spread = torch.sub(variance_p, variance_q, out=total).square_()
                quadratic.add_(spread.div_(4 * variance_p).div_(variance_q).log1p_())
            result[rows] = quadratic.sum(dim=-1).mul_(-0.25)
        return result

    @staticmethod
    @first_order_only
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Recompute each block and add its share to the gradients of mean and variance."""
        (gradient,) = gradients
        mean, variance, anchors, labels = ctx.saved_tensors
        by_class = mean.transpose(0, 1)
        mean_gradient = torch.zeros_like(by_class, memory_format=torch.contiguous_format)
        variance_gradient = torch.zeros_like(mean_gradient)
        for start in range(0, len(anchors), ctx.rows_per_block):
            rows = slice(start, start + ctx.rows_per_block)
            anchor, label, weight = anchors[rows], labels[rows], gradient[rows, :, None]
            difference, variance_p, variance_q = _block(mean, variance, anchor, label)
            total = variance_p + variance_q
            slope = difference.div_(total)
            of_variance = slope.square().mul_(weight / 4)
            slope.mul_(weight / -2)
            mean_gradient.index_put_((label, anchor), slope.sum(dim=1), accumulate=True)
            mean_gradient.index_add_(0, label, slope, alpha=-1)
            in_p = of_variance.sum(dim=1)
            if ctx.scaled:
                spread = (variance_q - variance_p).div_(total).mul_(weight / 4)
                in_p.add_(spread.sum(dim=1).div_(variance_p[:, 0]))
                of_variance.sub_(spread.div_(variance_q))
            variance_gradient.index_put_((label, anchor), in_p, accumulate=True)
            variance_gradient.index_add_(0, label, of_variance)
        return (
            mean_gradient.transpose(0, 1),
            variance_gradient.transpose(0, 1),
            None,
            None,
            None,
            None,
        )


def _block(
    mean: Tensor, variance: Tensor, anchors: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Differences of means (rows, batch, dim), own variances (rows, 1, dim), all variances."""
    all_means, all_variances = (tensor.transpose(0, 1)[labels] for tensor in (mean, variance))
    own_mean, own_variance = (tensor[anchors, labels][:, None] for tensor in (mean, variance))
    return own_mean - all_means, own_variance, all_variances

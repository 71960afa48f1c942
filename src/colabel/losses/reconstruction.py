"""The reconstruction loss: the kernels of the present labels should explain the features."""

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from colabel.mixtures import GaussianMixture


def log_kernels(
    mixture: GaussianMixture,
    features: Float[Tensor, "batch *classes dim"],
    *,
    per_dimension: bool = False,
) -> Float[Tensor, "batch classes"]:
    r"""Log of each kernel at the image's own features.

    .. math:: \log g_k(f) = -\frac{\|f-\mu_k 1\|^2}{2\sigma_k^2}
              = -\frac{\sum_i (f_i-\bar f)^2 + M(\bar f-\mu_k)^2}{2\sigma_k^2}

    Source: KMCL, Eq. 4; the split into spread and distance of the means avoids a tensor of shape
    (batch, classes, dim) for isotropic kernels.

    Args:
        mixture: kernels of a batch of images.
        features: shape (batch, dim), or (batch, classes, dim) where each class has features of its
            own: kernel k is then taken at the features of class k.
        per_dimension: divide the exponent by the number of dimensions M.

    Returns:
        Shape (batch, classes), at most 0.

    Raises:
        ValueError: if the features do not fit the mixture.

    Example:
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> mixture = GaussianMixture(zero, zero, one, dim=4)
        >>> log_kernels(mixture, torch.ones(1, 4))
        tensor([[-2.]])
    """
    shared, own = (mixture.batch, mixture.dim), (mixture.batch, mixture.classes, mixture.dim)
    if features.shape not in (shared, own):
        raise ValueError(
            f"features must have the mixture's shape (batch, dim) = {shared} or (batch, classes, "
            f"dim) = {own}, got {tuple(features.shape)}."
        )
    mixture = mixture.float()
    features = features.to(mixture.mean.dtype)
    if features.ndim == 2:
        features = features[:, None]
    if mixture.isotropic:
        average = features.mean(dim=2)
        spread = (features - average[..., None]).square().sum(dim=2)
        distance = spread + mixture.dim * (average - mixture.mean).square()
        exponent = distance / (-2 * mixture.variance)
    else:
        exponent = _DiagonalExponent.apply(features, mixture.mean, mixture.variance)
    return exponent / mixture.dim if per_dimension else exponent


def reconstruction_loss(
    mixture: GaussianMixture,
    features: Float[Tensor, "batch *classes dim"],
    targets: Shaped[Tensor, "batch classes"],
    *,
    per_dimension: bool = True,
) -> Float[Tensor, "batch"]:
    r"""Share of the kernel mixture that the present classes account for, as ``-log``.

    .. math:: -\log\frac{\sum_{k: y_k=1}\pi_k g_k(f)}{\sum_k \pi_k g_k(f)}
              = \mathrm{softplus}\Big(\log\sum_{k: y_k=0}\pi_k g_k
              - \log\sum_{k: y_k=1}\pi_k g_k\Big)

    Source: KMCL, Eq. 5, before the mean over the batch.

    Deviation: ``per_dimension=True`` divides every kernel's exponent by M (at M = 2048 the literal
    exponents overpower every other term and ruin the encoder). An image without present labels
    adds 0 (the paper's value is infinite). Unknown labels are left out of both sums.

    Args:
        mixture: kernels of a batch of images.
        features: shape (batch, dim), or (batch, classes, dim) where each class has its own.
        targets: 1 present, 0 absent, -1 unknown; shape (batch, classes).
        per_dimension: divide the exponents by the number of dimensions; ``False`` is Eq. 5.

    Returns:
        One non-negative value per image, shape (batch,).

    Raises:
        ValueError: if targets or features do not fit the mixture.

    Example:
        >>> zero, one = torch.zeros(1, 2), torch.ones(1, 2)
        >>> mixture = GaussianMixture(zero, zero, one, dim=4)
        >>> reconstruction_loss(mixture, torch.ones(1, 4), torch.tensor([[1, 0]]))
        tensor([0.6931])
    """
    mixture.check_targets(targets)
    log_components = mixture.float().log_weights + log_kernels(
        mixture, features, per_dimension=per_dimension
    )
    # A finite floor instead of -inf: an empty sum then has a gradient of 0, not of 0/0.
    floor = torch.finfo(log_components.dtype).min / 8
    present, absent = (
        log_components.masked_fill(targets != value, floor).logsumexp(dim=1) for value in (1, 0)
    )
    labelled = (targets == 1).any(dim=1)
    return torch.where(labelled, functional.softplus(absent - present), 0.0)


class ReconstructionLoss(nn.Module):
    """Batch mean of :func:`reconstruction_loss`.

    Source: KMCL, Eq. 5.

    Args:
        per_dimension: divide the exponents by the number of dimensions; ``False`` is Eq. 5.

    Example:
        >>> zero, one = torch.zeros(1, 2), torch.ones(1, 2)
        >>> mixture = GaussianMixture(zero, zero, one, dim=4)
        >>> ReconstructionLoss()(mixture, torch.ones(1, 4), torch.tensor([[1, 0]]))
        tensor(0.6931)
    """

    def __init__(self, per_dimension: bool = True) -> None:
        super().__init__()
        self.per_dimension = per_dimension

    def forward(
        self,
        mixture: GaussianMixture,
        features: Float[Tensor, "batch *classes dim"],
        targets: Shaped[Tensor, "batch classes"],
    ) -> Float[Tensor, ""]:
        """Return the mean over the batch, a scalar that is at least 0."""
        return reconstruction_loss(
            mixture, features, targets, per_dimension=self.per_dimension
        ).mean()


class _DiagonalExponent(torch.autograd.Function):
    """``-sum_i (f_i - mu_ki)^2 / (2 v_ki)`` that keeps nothing of shape (batch, classes, dim)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Return the exponents, shape (batch, classes)."""
        ctx.save_for_backward(features, mean, variance)
        return (features - mean).square_().div_(variance).sum(dim=-1).mul_(-0.5)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return gradients from the closed form."""
        features, mean, variance = ctx.saved_tensors
        weight = gradients[0][..., None]
        slope = (features - mean).div_(variance)
        of_variance = slope.square().mul_(weight / 2)
        of_mean = slope.mul_(weight)
        of_features = -of_mean
        if features.shape[1] < mean.shape[1]:  # the same for all classes
            of_features = of_features.sum(dim=1, keepdim=True)
        return of_features, of_mean, of_variance

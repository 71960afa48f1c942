"""The likelihood loss: an image's mixture should explain the image's own features."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from colabel.losses.reconstruction import log_kernels
from colabel.mixtures import GaussianMixture


def mixture_likelihood_loss(
    mixture: GaussianMixture,
    features: Float[Tensor, "batch *classes dim"],
    *,
    per_dimension: bool = True,
) -> Float[Tensor, "batch"]:
    r"""Negative log density of each image's features under its own mixture.

    .. math:: -\log p(z|x) = -\log\sum_k \pi_k\,(2\pi\sigma_k^2)^{-n/2}
              \exp\left(-\frac{\|z-\mu_k 1\|^2}{2\sigma_k^2}\right)

    Source: ProbMCL, Eq. 2, one term of the sum over the batch.

    Deviation: ``per_dimension=True`` divides by the number of dimensions n. At the width of an
    encoder the literal value outweighs the contrastive term a thousand times, and the objective
    collapses (docs/collapse.md).

    Args:
        mixture: normalised densities with weights that sum to one, isotropic or diagonal.
        features: z, shape (batch, dim), or (batch, classes, dim) where each class has its own.
        per_dimension: divide by the number of dimensions; ``False`` is Eq. 2.

    Returns:
        One real number per image, shape (batch,).

    Raises:
        ValueError: if the features do not fit the mixture.

    Example:
        >>> import torch
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> mixture = GaussianMixture(zero, zero, one, dim=4)
        >>> mixture_likelihood_loss(mixture, torch.zeros(1, 4))  # log(2 pi) / 2
        tensor([0.9189])
    """
    mixture = mixture.float()
    exponent = log_kernels(mixture, features)
    log_variance = mixture.variance.log()
    log_volume = (
        mixture.dim * log_variance if mixture.isotropic else log_variance.sum(dim=-1)
    ) / 2
    log_density = (mixture.log_weights + exponent - log_volume).logsumexp(dim=1)
    value = mixture.dim / 2 * math.log(2 * math.pi) - log_density
    return value / mixture.dim if per_dimension else value


class MixtureLikelihoodLoss(nn.Module):
    """Batch mean of :func:`mixture_likelihood_loss`.

    Source: ProbMCL, Eq. 2.

    Deviation: a mean over the batch, as for the contrastive term, so that their balance does not
    depend on its size.

    Args:
        per_dimension: divide by the number of dimensions; ``False`` is Eq. 2.
        detach_features: whether the features are constants to the gradient, which then reaches
            the encoder through the mixtures alone.

    Example:
        >>> import torch
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> mixture = GaussianMixture(zero, zero, one, dim=4)
        >>> MixtureLikelihoodLoss(per_dimension=False)(mixture, torch.zeros(1, 4))
        tensor(3.6758)
    """

    def __init__(self, per_dimension: bool = True, detach_features: bool = False) -> None:
        super().__init__()
        self.per_dimension = per_dimension
        self.detach_features = detach_features

    def forward(
        self, mixture: GaussianMixture, features: Float[Tensor, "batch *classes dim"]
    ) -> Float[Tensor, ""]:
        """Return the mean over the batch, a real number."""
        features = features.detach() if self.detach_features else features
        return mixture_likelihood_loss(mixture, features, per_dimension=self.per_dimension).mean()

"""Random mixtures of densities, and the correlation of all pairs written with whole tensors."""

import torch
from mixture_cases import draw, generator
from torch import Tensor

from colabel.mixtures import GaussianMixture

Leaves = dict[str, Tensor]


def leaves(
    batch: int,
    classes: int,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    spread: float = 1.0,
    variances: tuple[float, float] = (1.0, 3.0),
) -> Leaves:
    """Logits, means of this spread and variances between these two, uniform in their logarithm."""
    uniform = torch.rand((batch, classes), generator=generator(seed), dtype=torch.float64)
    low, high = variances
    parts = {
        "logits": 2 * draw(batch, classes, seed=seed + 1),
        "mean": spread * draw(batch, classes, seed=seed + 2),
        "variance": (low * (high / low) ** uniform).clamp(low, high),
    }
    return {name: part.to(dtype) for name, part in parts.items()}


def density(parts: Leaves, dim: int) -> GaussianMixture:
    """The mixture as a head would make it: weights that sum to one."""
    log_weights = parts["logits"].log_softmax(dim=1)
    return GaussianMixture(log_weights, parts["mean"], parts["variance"], dim=dim)


def naive_log_correlation(mixture: GaussianMixture) -> Tensor:
    """All exponents of all pairs at once: batch x batch x classes x classes."""

    def exponents_of(part: Tensor) -> tuple[Tensor, Tensor]:
        return part[:, None, :, None], part[None, :, None, :]

    (weight_p, weight_q), (mean_p, mean_q), (variance_p, variance_q) = (
        exponents_of(part) for part in (mixture.log_weights, mixture.mean, mixture.variance)
    )
    total = variance_p + variance_q
    distance = (mean_p - mean_q).square() / total
    exponent = weight_p + weight_q - mixture.dim / 2 * (total.log() + distance)
    product = exponent.flatten(start_dim=2).logsumexp(dim=2)
    own = product.diagonal()
    return product - (own[:, None] + own) / 2


def slopes(function, parts: Leaves, dim: int, weight: Tensor) -> list[Tensor]:
    """Gradients of a weighted sum of the function's values in logits, means and variances."""
    copies = {name: part.clone().requires_grad_() for name, part in parts.items()}
    (function(density(copies, dim)) * weight).sum().backward()
    return [copy.grad for copy in copies.values()]

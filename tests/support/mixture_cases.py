"""Random mixtures and sparse targets for the tests of the mathematics."""

import math

import torch
from torch import Tensor

from colabel.mixtures import GaussianMixture


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scalar(value: float | list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def draw_variance(*shape: int, seed: int = 0) -> Tensor:
    return 0.3 + 3 * torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def draw_covariance(*batch: int, dim: int, seed: int = 0) -> Tensor:
    root = draw(*batch, dim, dim, seed=seed)
    return root @ root.mT + 0.5 * torch.eye(dim, dtype=torch.float64)


def sparse_targets(
    batch: int, classes: int, *, density: float = 0.25, unknown: float = 0.0, seed: int = 0
) -> Tensor:
    """Targets int8 with a share ``density`` of 1 and then a share ``unknown`` set to -1."""
    draw = torch.rand(batch, classes, generator=generator(seed))
    targets = (draw < density).to(torch.int8)
    hidden = torch.rand(batch, classes, generator=generator(seed + 1)) < unknown
    return targets.masked_fill(hidden, -1)


def mixture(
    kind: str,
    batch: int,
    classes: int,
    dim: int,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    spread: float = 1.0,
    offset: float = 0.0,
    grad: bool = False,
) -> tuple[GaussianMixture, dict[str, Tensor]]:
    """A random mixture of the given kind, and its leaves (which require gradients if grad).

    ``isotropic`` and ``diagonal`` have their own variance for every class; ``shared_isotropic``
    and ``shared_diagonal`` have one per image, seen by the classes as an expanded view.
    """
    axes = (dim,) if kind.endswith("diagonal") else ()
    owners = 1 if kind.startswith("shared") else classes
    source = generator(seed)
    leaves = {
        "logits": 2 * torch.randn(batch, classes, generator=source, dtype=torch.float64),
        "mean": offset
        + spread * torch.randn(batch, classes, *axes, generator=source, dtype=torch.float64),
        "variance": 1
        + 2 * torch.rand(batch, owners, *axes, generator=source, dtype=torch.float64),
    }
    leaves = {name: leaf.to(dtype).requires_grad_(grad) for name, leaf in leaves.items()}
    return from_leaves(leaves, dim), leaves


def from_leaves(leaves: dict[str, Tensor], dim: int) -> GaussianMixture:
    return GaussianMixture(
        log_weights=torch.nn.functional.logsigmoid(leaves["logits"]),
        mean=leaves["mean"],
        variance=leaves["variance"].expand_as(leaves["mean"]),
        dim=dim,
        logits=leaves["logits"],
    )


def take(
    whole: GaussianMixture, images: Tensor | None = None, classes: Tensor | None = None
) -> GaussianMixture:
    """The mixture with its images or its classes chosen and reordered."""
    rows = torch.arange(whole.batch) if images is None else images
    columns = torch.arange(whole.classes) if classes is None else classes

    def pick(values: Tensor) -> Tensor:
        return values[rows][:, columns]

    return GaussianMixture(
        log_weights=pick(whole.log_weights),
        mean=pick(whole.mean),
        variance=pick(whole.variance),
        dim=whole.dim,
        logits=None if whole.logits is None else pick(whole.logits),
    )


def convert(whole: GaussianMixture, dtype: torch.dtype) -> GaussianMixture:
    return GaussianMixture(
        log_weights=whole.log_weights.to(dtype),
        mean=whole.mean.to(dtype),
        variance=whole.variance.to(dtype),
        dim=whole.dim,
        logits=None if whole.logits is None else whole.logits.to(dtype),
    )


def sigmoid(logit: float) -> float:
    """Without overflow at any logit."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))

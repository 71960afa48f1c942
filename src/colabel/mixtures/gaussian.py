"""The mixture a head returns and a loss takes."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GaussianMixture:
    r"""One mixture of ``K`` Gaussian kernels per image.

    .. math:: \mathcal{G}(f) = \sum_k \pi_k
              \exp\left(-\tfrac12 (f-\mu_k)^T \Sigma_k^{-1} (f-\mu_k)\right)

    Source: KMCL, Eq. 4 (kernels, independent weights); ProbMCL, Eq. 1 (densities, weights that
    sum to one). Kernels are isotropic (mean ``mean * ones(dim)``, covariance ``variance * I``)
    when the parameters have two axes, and diagonal when they have three.

    Args:
        log_weights: log of the mixture coefficients pi, shape (batch, classes), at most 0.
        mean: shape (batch, classes), or (batch, classes, dim) for diagonal kernels.
        variance: positive, the shape of ``mean``; a shared variance is an expanded view.
        dim: number of feature dimensions M the kernels live in.
        logits: log-odds of the coefficients, where they are independent probabilities (KMCL);
            ``None`` where they sum to one.

    Raises:
        ValueError: if the shapes disagree.

    Example:
        >>> one = torch.ones(2, 3)
        >>> mixture = GaussianMixture(torch.zeros(2, 3), one, one, dim=8)
        >>> mixture.batch, mixture.classes, mixture.isotropic
        (2, 3, True)
    """

    log_weights: Tensor
    mean: Tensor
    variance: Tensor
    dim: int
    logits: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        if self.log_weights.ndim != 2:
            raise ValueError(
                "log_weights must have shape (batch, classes), "
                f"got {tuple(self.log_weights.shape)}."
            )
        shape = tuple(self.log_weights.shape)
        if tuple(self.mean.shape) not in (shape, (*shape, self.dim)):
            raise ValueError(
                f"mean must have shape {shape} or {(*shape, self.dim)}, "
                f"got {tuple(self.mean.shape)}."
            )
        if self.variance.shape != self.mean.shape:
            raise ValueError(
                f"variance must have the shape of mean {tuple(self.mean.shape)}, "
                f"got {tuple(self.variance.shape)}."
            )
        if self.logits is not None and self.logits.shape != self.log_weights.shape:
            raise ValueError(
                f"logits must have the shape of log_weights {shape}, "
                f"got {tuple(self.logits.shape)}."
            )

    @property
    def batch(self) -> int:
        """Number of images."""
        return int(self.log_weights.shape[0])

    @property
    def classes(self) -> int:
        """Number of kernels per image."""
        return int(self.log_weights.shape[1])

    @property
    def isotropic(self) -> bool:
        """Whether each kernel has one mean and one variance for all dimensions."""
        return self.mean.ndim == 2

    def check_targets(self, targets: Tensor) -> None:
        """Raise ValueError unless the targets have the mixture's shape (batch, classes)."""
        if targets.shape != self.log_weights.shape:
            raise ValueError(
                f"targets must have the mixture's shape (batch, classes) = "
                f"{(self.batch, self.classes)}, got {tuple(targets.shape)}."
            )

    def float(self) -> "GaussianMixture":
        """Return the mixture in float32 if it is in half precision, else itself."""
        if self.mean.dtype not in (torch.float16, torch.bfloat16):
            return self
        return GaussianMixture(
            self.log_weights.float(),
            self.mean.float(),
            self.variance.float(),
            self.dim,
            None if self.logits is None else self.logits.float(),
        )

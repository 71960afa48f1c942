r"""How much two Gaussian kernels overlap, as logarithms.

``rho`` is the Bhattacharyya coefficient of two normalised kernels ``p`` and ``q``, a number in
(0, 1] that is 1 only where they coincide. At the width of a real encoder (M = 2048) almost every
``rho`` of two different kernels underflows float32, so every function here returns ``log rho``.

The scale factor of ``rho`` is computed from

.. math:: \left(\frac{\sigma_p^2+\sigma_q^2}{2\sigma_p\sigma_q}\right)^2
          = 1 + \frac{(\sigma_p^2-\sigma_q^2)^2}{4\sigma_p^2\sigma_q^2}

by ``log1p``: M equal variances then give exactly 0, where a difference of logarithms would leave M
rounding errors.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def _log_scale(variance_p: Tensor, variance_q: Tensor) -> Tensor:
    """Return log((vp + vq) / (2 sqrt(vp vq))), at least 0, exact where the two are close."""
    difference = variance_p - variance_q
    return torch.log1p((difference / variance_p) * (difference / variance_q) / 4) / 2


def log_bhattacharyya_isotropic(
    mean_p: Float[Tensor, "*#p"],
    variance_p: Float[Tensor, "*#p"],
    mean_q: Float[Tensor, "*#q"],
    variance_q: Float[Tensor, "*#q"],
    *,
    dim: int | float,
) -> Float[Tensor, "..."]:
    r"""Log of the Bhattacharyya coefficient of two isotropic kernels.

    .. math:: \log\rho = -\frac M2 \log\frac{\sigma_p^2+\sigma_q^2}{2\sigma_p\sigma_q}
              - \frac M4\,\frac{(\mu_p-\mu_q)^2}{\sigma_p^2+\sigma_q^2}

    Source: KMCL, Eq. 3b (Corollary 2 ii).

    Args:
        mean_p: any shape; the kernel's mean is ``mean_p * ones(dim)``.
        variance_p: positive; the kernel's covariance is ``variance_p * identity(dim)``.
        mean_q: a shape that broadcasts with that of ``mean_p``.
        variance_q: likewise.
        dim: number of dimensions M, positive.

    Returns:
        Values at most 0, of the broadcast shape.

    Raises:
        ValueError: if ``dim`` is not positive.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> log_bhattacharyya_isotropic(zero, one, one, one, dim=8)
        tensor([-1.])
    """
    if dim <= 0:
        raise ValueError(f"dim must be positive, got {dim}.")
    exponent = (mean_p - mean_q).square() / (variance_p + variance_q)
    return -dim * (_log_scale(variance_p, variance_q) / 2 + exponent / 4)


def log_bhattacharyya_diagonal(
    mean_p: Float[Tensor, "*#p dim"],
    variance_p: Float[Tensor, "*#p dim"],
    mean_q: Float[Tensor, "*#q dim"],
    variance_q: Float[Tensor, "*#q dim"],
) -> Float[Tensor, "..."]:
    r"""Log of the Bhattacharyya coefficient of two kernels with diagonal covariances.

    .. math:: \log\rho = -\frac12\sum_i
              \log\frac{\sigma_{p,i}^2+\sigma_{q,i}^2}{2\sigma_{p,i}\sigma_{q,i}}
              - \frac14\sum_i\frac{(\mu_{p,i}-\mu_{q,i})^2}{\sigma_{p,i}^2+\sigma_{q,i}^2}

    Source: KMCL, Eq. 3a (Corollary 2 i).

    Args:
        mean_p: shape (..., M).
        variance_p: positive, shape (..., M).
        mean_q: shape (..., M), broadcasting with ``mean_p``.
        variance_q: likewise.

    Returns:
        Values at most 0; the last axis is summed away.

    Example:
        >>> zero, one = torch.zeros(1, 8), torch.ones(1, 8)
        >>> log_bhattacharyya_diagonal(zero, one, one, one)
        tensor([-1.])
    """
    exponent = (mean_p - mean_q).square() / (variance_p + variance_q)
    return -(_log_scale(variance_p, variance_q) / 2 + exponent / 4).sum(dim=-1)


def log_bhattacharyya_full(
    mean_p: Float[Tensor, "*#p dim"],
    covariance_p: Float[Tensor, "*#p dim dim"],
    mean_q: Float[Tensor, "*#q dim"],
    covariance_q: Float[Tensor, "*#q dim dim"],
) -> Float[Tensor, "..."]:
    r"""Log of the Bhattacharyya coefficient of two kernels with full covariances.

    .. math:: \log\rho = \tfrac14\log|\Sigma_p| + \tfrac14\log|\Sigma_q| - \tfrac12\log|\Sigma|
              - \tfrac18 (\mu_p-\mu_q)^T\Sigma^{-1}(\mu_p-\mu_q)

    with the average covariance :math:`\Sigma = (\Sigma_p+\Sigma_q)/2`.

    Source: KMCL, Eq. 1 (Remark 1).

    Deviation: the last line of the paper's proof (Eq. 15) has ``|Sigma|`` to the power 1/2 on top;
    Eq. 1 with 1/4 is the integral, and is what is computed.

    Args:
        mean_p: shape (..., M).
        covariance_p: symmetric positive definite, shape (..., M, M).
        mean_q: shape (..., M), broadcasting with ``mean_p``.
        covariance_q: likewise.

    Returns:
        Values at most 0 (to rounding).

    Raises:
        torch.linalg.LinAlgError: if a covariance is not positive definite.

    Example:
        >>> mean, covariance = torch.zeros(1, 8), torch.eye(8)[None]
        >>> log_bhattacharyya_full(mean, covariance, mean + 1, covariance)
        tensor([-1.])
    """
    factor_p, factor_q, factor = (
        torch.linalg.cholesky(covariance)
        for covariance in (covariance_p, covariance_q, (covariance_p + covariance_q) / 2)
    )
    scale = _half_log_det(factor_p) / 2 + _half_log_det(factor_q) / 2 - _half_log_det(factor)
    return scale - _squared_norm(mean_p - mean_q, factor) / 8


def log_mahalanobis_similarity(
    mean_p: Float[Tensor, "*#p dim"],
    mean_q: Float[Tensor, "*#q dim"],
    covariance: Float[Tensor, "*#c dim dim"],
) -> Float[Tensor, "..."]:
    r"""Log of the Mahalanobis kernel similarity, ``rho`` of two kernels with one covariance.

    .. math:: \log \mathrm{Sim}_M = -\tfrac18(\mu_p-\mu_q)^T\Sigma^{-1}(\mu_p-\mu_q)

    Source: KMCL, Eq. 2a (Corollary 1 i).

    Args:
        mean_p: shape (..., M).
        mean_q: shape (..., M).
        covariance: symmetric positive definite, shape (..., M, M).

    Returns:
        Values at most 0.

    Raises:
        torch.linalg.LinAlgError: if the covariance is not positive definite.

    Example:
        >>> log_mahalanobis_similarity(torch.zeros(8), torch.ones(8), torch.eye(8))
        tensor(-1.)
    """
    return -_squared_norm(mean_p - mean_q, torch.linalg.cholesky(covariance)) / 8


def log_gaussian_similarity(
    mean_p: Float[Tensor, "*#p dim"],
    mean_q: Float[Tensor, "*#q dim"],
    variance: Float[Tensor, "*#v"],
) -> Float[Tensor, "..."]:
    r"""Log of the Gaussian kernel similarity, ``rho`` of two kernels with one scalar variance.

    .. math:: \log \mathrm{Sim}_G = -\frac{\|\mu_p-\mu_q\|^2}{8\sigma^2}

    Source: KMCL, Eq. 2b (Corollary 1 ii).

    Args:
        mean_p: shape (..., M).
        mean_q: shape (..., M).
        variance: positive, shape (...).

    Returns:
        Values at most 0; the last axis is summed away.

    Example:
        >>> log_gaussian_similarity(torch.zeros(8), torch.ones(8), torch.tensor(1.0))
        tensor(-1.)
    """
    return -(mean_p - mean_q).square().sum(dim=-1) / (8 * variance)


def _half_log_det(factor: Tensor) -> Tensor:
    """Half the log determinant of the matrix with this Cholesky factor."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)


def _squared_norm(vector: Tensor, factor: Tensor) -> Tensor:
    """``v^T A^-1 v`` for A with this Cholesky factor."""
    whitened: Tensor = torch.linalg.solve_triangular(factor, vector[..., None], upper=False)
    return whitened.square().sum(dim=(-2, -1))

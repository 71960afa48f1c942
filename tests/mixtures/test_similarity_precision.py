"""float32 at real widths, and half precision.

The inputs are rounded to the narrow type before both sides see them, so only the arithmetic is
measured. Isotropic and Gaussian: a handful of roundings of 6e-8 each and nothing that cancels,
hence a relative 5e-6. Diagonal: the same, summed over M terms of one sign, 1e-5. The scale term of
two nearly equal variances starts from the difference of two rounded roots: at a ratio of 1.001
that is worth 6e-8 / 5e-4, squared, hence 1e-3 there.
"""

import mpmath
import pytest
import torch
from mixture_cases import draw, draw_covariance, draw_variance, scalar

from colabel.mixtures import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)

WIDTHS = [2048, 2432]


def exact_isotropic(mp, vp, mq, vq, dim):
    with mpmath.workdps(40):
        mp, vp, mq, vq = (mpmath.mpf(part) for part in (mp, vp, mq, vq))
        ratio = (vp + vq) / (2 * mpmath.sqrt(vp * vq))
        value = -dim / mpmath.mpf(2) * mpmath.log(ratio)
        return float(value - dim / mpmath.mpf(4) * (mp - mq) ** 2 / (vp + vq))


@pytest.mark.parametrize("dim", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_float32_isotropic_at_real_width(dim, offset):
    parts = [offset + draw(50, seed=1), 1 + draw_variance(50, seed=2)]
    parts += [offset + draw(50, seed=3), 1 + draw_variance(50, seed=4)]
    parts = [part.float() for part in parts]
    got = log_bhattacharyya_isotropic(*parts, dim=dim)
    assert got.dtype is torch.float32
    assert got.exp().min() == 0  # rho itself underflows: the log must not
    for row, value in zip(zip(*(part.tolist() for part in parts), strict=True), got, strict=True):
        assert value.item() == pytest.approx(exact_isotropic(*row, dim), rel=5e-6)


@pytest.mark.parametrize("dim", WIDTHS)
@pytest.mark.parametrize("ratio", [1.001, 1.01, 1.1])
def test_float32_scale_term_of_nearly_equal_variances(dim, ratio):
    m = scalar(0.5, torch.float32)
    vp, vq = scalar(1.3, torch.float32), scalar(1.3 * ratio, torch.float32)
    exact = exact_isotropic(0.5, vp.item(), 0.5, vq.item(), dim)
    got = log_bhattacharyya_isotropic(m, vp, m, vq, dim=dim)
    assert got.item() == pytest.approx(exact, rel=1e-3)
    flat = [part.expand(dim) for part in (m, vp, m, vq)]
    assert log_bhattacharyya_diagonal(*flat).item() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("dim", WIDTHS)
@pytest.mark.parametrize("spread", [0.01, 1.0])
def test_float32_diagonal_at_real_width(dim, spread):
    offset = 3.0
    mp, mq = (offset + spread * draw(6, dim, seed=s) for s in (1, 2))
    vp, vq = (1 + draw_variance(6, dim, seed=s) for s in (3, 4))
    if spread < 1:
        vq = vp * (1 + spread * draw_variance(6, dim, seed=5))
    narrow = [part.float() for part in (mp, vp, mq, vq)]
    wide = [part.double() for part in narrow]
    got, expected = log_bhattacharyya_diagonal(*narrow), log_bhattacharyya_diagonal(*wide)
    for row in range(6):
        ratio = sum(
            exact_isotropic(*cell, 1)
            for cell in zip(*(part[row, :64].tolist() for part in wide), strict=True)
        )
        head = [part[row, :64] for part in wide]
        assert log_bhattacharyya_diagonal(*head).item() == pytest.approx(ratio, rel=1e-10)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dim", WIDTHS)
def test_float32_gaussian_at_real_width(dim):
    mp, mq = (draw(6, dim, seed=s).float() for s in (1, 2))
    variance = draw_variance(6, seed=3).float()
    got = log_gaussian_similarity(mp, mq, variance)
    expected = log_gaussian_similarity(mp.double(), mq.double(), variance.double())
    torch.testing.assert_close(got.double(), expected, rtol=5e-6, atol=0)


def test_float32_full_and_mahalanobis():
    """At width 64, condition number about 500: 6e-8 x 500 and a factor for the factorisation."""
    mp, mq = draw(64, seed=1).float(), draw(64, seed=2).float()
    eye = 0.5 * torch.eye(64, dtype=torch.float64)
    cp, cq = ((draw_covariance(dim=64, seed=s) + eye).float() for s in (3, 4))
    wide = [part.double() for part in (mp, cp, mq, cq)]
    torch.testing.assert_close(
        log_bhattacharyya_full(mp, cp, mq, cq).double(),
        log_bhattacharyya_full(*wide),
        rtol=1e-4,
        atol=0,
    )
    torch.testing.assert_close(
        log_mahalanobis_similarity(mp, mq, cp).double(),
        log_mahalanobis_similarity(wide[0], wide[2], wide[1]),
        rtol=1e-4,
        atol=0,
    )


def test_full_determinants_beyond_the_range_of_a_float():
    """|Sigma| of 1e-3 I in 400 dimensions is 1e-1200: only its logarithm exists."""
    dim = 400
    mean, eye = draw(dim, seed=1) * 1e-2, torch.eye(dim, dtype=torch.float64)
    got = log_bhattacharyya_full(mean, 1e-3 * eye, -mean, 2e-3 * eye)
    vector = torch.ones(dim, dtype=torch.float64)
    expected = log_bhattacharyya_diagonal(mean, 1e-3 * vector, -mean, 2e-3 * vector)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_numbers(dtype):
    """Half inputs give no NaN and, up to the rounding of the result, the float32 value."""
    mp, mq = (draw(4, 2048, seed=s).to(dtype) for s in (1, 2))
    vp, vq = (1 + draw_variance(4, 2048, seed=s).to(dtype) for s in (3, 4))
    pairs = [
        (log_bhattacharyya_diagonal, (mp, vp, mq, vq)),
        (log_gaussian_similarity, (mp, mq, vp[:, 0])),
        (
            lambda *parts: log_bhattacharyya_isotropic(*parts, dim=2048),
            (mp[:, :9], vp[:, :9], mq[:, :9], vq[:, :9]),
        ),
    ]
    for function, parts in pairs:
        got = function(*parts)
        assert not got.isnan().any()
        expected = function(*(part.float() for part in parts))
        torch.testing.assert_close(got.float(), expected, rtol=2e-2, atol=1e-3)

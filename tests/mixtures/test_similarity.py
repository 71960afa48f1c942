"""The similarities against the paper's loops, their properties and their gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import draw, draw_covariance, draw_variance, scalar
from reference import kmcl

from colabel.mixtures import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)

means = st.floats(-5, 5, allow_nan=False)
variances = st.floats(0.05, 20)


# --- the paper as loops


@given(means, variances, means, variances, st.integers(1, 6))
def test_isotropic_equals_eq_3b(mp, vp, mq, vq, dim):
    got = log_bhattacharyya_isotropic(scalar(mp), scalar(vp), scalar(mq), scalar(vq), dim=dim)
    rho = kmcl.bhattacharyya_isotropic(mp, vp, mq, vq, dim=dim)
    assert got.item() == pytest.approx(math.log(rho), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_diagonal_equals_eq_3a(seed):
    mp, mq = draw(7, seed=seed), draw(7, seed=seed + 10)
    vp, vq = draw_variance(7, seed=seed + 20), draw_variance(7, seed=seed + 30)
    rho = kmcl.bhattacharyya_diagonal(mp.tolist(), vp.tolist(), mq.tolist(), vq.tolist())
    got = log_bhattacharyya_diagonal(mp, vp, mq, vq)
    assert got.shape == ()
    assert got.item() == pytest.approx(math.log(rho), rel=1e-11)


@pytest.mark.parametrize("seed", range(4))
def test_full_equals_eq_1(seed):
    mp, mq = draw(4, seed=seed), draw(4, seed=seed + 10)
    cp, cq = draw_covariance(dim=4, seed=seed + 20), draw_covariance(dim=4, seed=seed + 30)
    rho = kmcl.bhattacharyya_full(mp.tolist(), cp.tolist(), mq.tolist(), cq.tolist())
    got = log_bhattacharyya_full(mp, cp, mq, cq)
    assert got.shape == ()
    assert got.item() == pytest.approx(math.log(rho), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_mahalanobis_equals_eq_2a(seed):
    mp, mq = draw(4, seed=seed), draw(4, seed=seed + 10)
    covariance = draw_covariance(dim=4, seed=seed + 20)
    expected = kmcl.mahalanobis_similarity(mp.tolist(), mq.tolist(), covariance.tolist())
    got = log_mahalanobis_similarity(mp, mq, covariance)
    assert got.shape == ()
    assert got.item() == pytest.approx(math.log(expected), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_gaussian_equals_eq_2b(seed):
    mp, mq = draw(5, seed=seed), draw(5, seed=seed + 10)
    variance = draw_variance(seed=seed + 20)
    expected = kmcl.gaussian_similarity(mp.tolist(), mq.tolist(), variance.item())
    got = log_gaussian_similarity(mp, mq, variance)
    assert got.shape == ()
    assert got.item() == pytest.approx(math.log(expected), rel=1e-11)


# --- broadcasting: every cell of a batch is the loop's number


def test_isotropic_broadcasts():
    mp, vp = draw(3, 1, 2, seed=1), draw_variance(3, 1, 2, seed=2)
    mq, vq = draw(1, 4, 2, seed=3), draw_variance(1, 4, 2, seed=4)
    got = log_bhattacharyya_isotropic(mp, vp, mq, vq, dim=3)
    assert got.shape == (3, 4, 2)
    for n, i, k in np.ndindex(3, 4, 2):
        rho = kmcl.bhattacharyya_isotropic(
            mp[n, 0, k].item(), vp[n, 0, k].item(), mq[0, i, k].item(), vq[0, i, k].item(), dim=3
        )
        assert got[n, i, k].item() == pytest.approx(math.log(rho), rel=1e-10)


def test_diagonal_broadcasts():
    mp, vp = draw(3, 1, 5, seed=1), draw_variance(3, 1, 5, seed=2)
    mq, vq = draw(1, 4, 5, seed=3), draw_variance(1, 4, 5, seed=4)
    got = log_bhattacharyya_diagonal(mp, vp, mq, vq)
    assert got.shape == (3, 4)
    for n, i in np.ndindex(3, 4):
        rho = kmcl.bhattacharyya_diagonal(
            mp[n, 0].tolist(), vp[n, 0].tolist(), mq[0, i].tolist(), vq[0, i].tolist()
        )
        assert got[n, i].item() == pytest.approx(math.log(rho), rel=1e-10)


def test_full_takes_batches():
    mp, cp = draw(3, 4, seed=1), draw_covariance(3, dim=4, seed=2)
    mq, cq = draw(3, 4, seed=3), draw_covariance(3, dim=4, seed=4)
    got = log_bhattacharyya_full(mp, cp, mq, cq)
    assert got.shape == (3,)
    for n in range(3):
        rho = kmcl.bhattacharyya_full(
            mp[n].tolist(), cp[n].tolist(), mq[n].tolist(), cq[n].tolist()
        )
        assert got[n].item() == pytest.approx(math.log(rho), rel=1e-10)


@pytest.mark.parametrize("one_covariance", [True, False])
def test_mahalanobis_takes_batches(one_covariance):
    mp, mq = draw(3, 4, seed=1), draw(3, 4, seed=2)
    covariance = draw_covariance(*(() if one_covariance else (3,)), dim=4, seed=3)
    got = log_mahalanobis_similarity(mp, mq, covariance)
    assert got.shape == (3,)
    for n in range(3):
        matrix = covariance if one_covariance else covariance[n]
        expected = kmcl.mahalanobis_similarity(mp[n].tolist(), mq[n].tolist(), matrix.tolist())
        assert got[n].item() == pytest.approx(math.log(expected), rel=1e-10)


@pytest.mark.parametrize("one_variance", [True, False])
def test_gaussian_takes_batches(one_variance):
    mp, mq = draw(3, 5, seed=1), draw(3, 5, seed=2)
    variance = draw_variance(seed=3) if one_variance else draw_variance(3, seed=3)
    got = log_gaussian_similarity(mp, mq, variance)
    assert got.shape == (3,)
    for n in range(3):
        value = variance.item() if one_variance else variance[n].item()
        expected = kmcl.gaussian_similarity(mp[n].tolist(), mq[n].tolist(), value)
        assert got[n].item() == pytest.approx(math.log(expected), rel=1e-11)


# --- properties


@given(means, variances, means, variances, st.integers(1, 3000))
def test_isotropic_is_symmetric_and_at_most_one(mp, vp, mq, vq, dim):
    p, q = (scalar(mp), scalar(vp)), (scalar(mq), scalar(vq))
    forward = log_bhattacharyya_isotropic(*p, *q, dim=dim)
    assert forward <= 0
    assert forward.isfinite()
    torch.testing.assert_close(log_bhattacharyya_isotropic(*q, *p, dim=dim), forward)


@given(means, variances, st.integers(1, 3000), st.sampled_from([torch.float32, torch.float64]))
def test_rho_is_exactly_one_for_equal_kernels(mean, variance, dim, dtype):
    m, v = scalar(mean, dtype), scalar(variance, dtype)
    vector_m, vector_v = m.expand(dim), v.expand(dim)
    assert log_bhattacharyya_isotropic(m, v, m, v, dim=dim) == 0
    assert log_bhattacharyya_diagonal(vector_m, vector_v, vector_m, vector_v) == 0
    assert log_gaussian_similarity(vector_m, vector_m, v) == 0


def test_rho_of_equal_full_kernels_is_one():
    mean, covariance = draw(6, seed=1), draw_covariance(dim=6, seed=2)
    assert log_mahalanobis_similarity(mean, mean, covariance) == 0
    rho = log_bhattacharyya_full(mean, covariance, mean, covariance)
    assert rho.item() == pytest.approx(0, abs=1e-13)


@given(means, variances, st.floats(1e-4, 1), st.sampled_from([torch.float32, torch.float64]))
def test_rho_is_below_one_for_any_difference(mean, variance, step, dtype):
    m, v = scalar(mean, dtype), scalar(variance, dtype)
    far_m, far_v = m + max(abs(mean), 1) * step, v * (1 + step)
    assert log_bhattacharyya_isotropic(m, v, far_m, v, dim=1) < 0
    assert log_bhattacharyya_isotropic(m, v, m, far_v, dim=1) < 0
    assert log_bhattacharyya_diagonal(m[None], v[None], far_m[None], v[None]) < 0
    assert log_bhattacharyya_diagonal(m[None], v[None], m[None], far_v[None]) < 0
    assert log_gaussian_similarity(m[None], far_m[None], v) < 0


@pytest.mark.parametrize("shift", [-3.0, 7.0])
def test_rho_depends_on_the_difference_of_the_means_only(shift):
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    vp, vq = draw_variance(5, seed=3), draw_variance(5, seed=4)
    torch.testing.assert_close(
        log_bhattacharyya_diagonal(mp + shift, vp, mq + shift, vq),
        log_bhattacharyya_diagonal(mp, vp, mq, vq),
    )


@given(st.floats(0.1, 10))
def test_rho_does_not_depend_on_the_unit(unit):
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    vp, vq = draw_variance(5, seed=3), draw_variance(5, seed=4)
    torch.testing.assert_close(
        log_bhattacharyya_diagonal(mp * unit, vp * unit**2, mq * unit, vq * unit**2),
        log_bhattacharyya_diagonal(mp, vp, mq, vq),
    )


def test_rho_of_independent_dimensions_is_the_product():
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    vp, vq = draw_variance(5, seed=3), draw_variance(5, seed=4)
    parts = log_bhattacharyya_isotropic(mp, vp, mq, vq, dim=1)
    torch.testing.assert_close(log_bhattacharyya_diagonal(mp, vp, mq, vq), parts.sum())


# --- gradients


def test_gradients():
    mp, mq = (draw(3, seed=s).requires_grad_() for s in (1, 2))
    vp, vq = (draw_variance(3, seed=s).requires_grad_() for s in (3, 4))
    check = torch.autograd.gradcheck

    def isotropic(*parts):
        return log_bhattacharyya_isotropic(*parts, dim=5)

    assert check(isotropic, (mp, vp, mq, vq))
    assert check(log_bhattacharyya_diagonal, (mp, vp, mq, vq))
    assert check(log_gaussian_similarity, (mp, mq, vp[0].detach().requires_grad_()))

    def full(mean_p, root_p, mean_q, root_q):
        eye = torch.eye(3, dtype=torch.float64)
        covariances = (root @ root.mT + eye for root in (root_p, root_q))
        return log_bhattacharyya_full(mean_p, next(covariances), mean_q, next(covariances))

    def mahalanobis(mean_p, mean_q, root):
        return log_mahalanobis_similarity(
            mean_p, mean_q, root @ root.mT + torch.eye(3, dtype=torch.float64)
        )

    root_p, root_q = (draw(3, 3, seed=s).requires_grad_() for s in (5, 6))
    assert check(full, (mp, root_p, mq, root_q))
    assert check(mahalanobis, (mp, mq, root_p))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_nought_and_finite_for_equal_kernels(dtype):
    m = scalar([0.3, -1.0], dtype)
    v = scalar([1.2, 3.0], dtype)

    def leaves():
        return [part.clone().requires_grad_() for part in (m, v, m, v)]

    for function in (
        lambda *parts: log_bhattacharyya_isotropic(*parts, dim=2048).sum(),
        log_bhattacharyya_diagonal,
    ):
        parts = leaves()
        function(*parts).backward()
        for part in parts:
            assert torch.equal(part.grad, torch.zeros(2, dtype=dtype))


@pytest.mark.parametrize("dim", [0, -4])
def test_a_dim_that_is_not_positive_is_named(dim):
    with pytest.raises(ValueError, match="dim must be positive") as raised:
        log_bhattacharyya_isotropic(scalar(0), scalar(1), scalar(0), scalar(1), dim=dim)
    assert str(dim) in str(raised.value)

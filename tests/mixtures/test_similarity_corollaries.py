"""KMCL Corollaries 1 and 2, both ways.

Where the condition of a corollary holds, the general form gives the special one; where it does not
hold, the two differ.
"""

import torch
from mixture_cases import draw, draw_covariance, draw_variance, scalar

from colabel.mixtures import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)


def test_corollary_1_i_equal_covariances_give_mahalanobis():
    mp, mq, covariance = draw(3, 5, seed=1), draw(3, 5, seed=2), draw_covariance(dim=5, seed=3)
    torch.testing.assert_close(
        log_bhattacharyya_full(mp, covariance, mq, covariance),
        log_mahalanobis_similarity(mp, mq, covariance),
    )


def test_corollary_1_i_diagonal_form_gives_mahalanobis_too():
    mp, mq, variance = draw(3, 5, seed=1), draw(3, 5, seed=2), draw_variance(5, seed=3)
    torch.testing.assert_close(
        log_bhattacharyya_diagonal(mp, variance, mq, variance),
        log_mahalanobis_similarity(mp, mq, torch.diag(variance)),
    )


def test_corollary_1_i_fails_for_unequal_covariances():
    """With Sigma their average, only the scale factor differs, and it is below one."""
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    cp, cq = draw_covariance(dim=5, seed=3), draw_covariance(dim=5, seed=4)
    rho = log_bhattacharyya_full(mp, cp, mq, cq)
    mahalanobis = log_mahalanobis_similarity(mp, mq, (cp + cq) / 2)
    scale = log_bhattacharyya_full(mp, cp, mp, cq)
    torch.testing.assert_close(rho - mahalanobis, scale)
    assert scale < -0.1


def test_corollary_1_ii_equal_isotropic_covariances_give_gaussian():
    mp, mq, variance = draw(3, 5, seed=1), draw(3, 5, seed=2), scalar(1.7)
    eye = torch.eye(5, dtype=torch.float64)
    gaussian = log_gaussian_similarity(mp, mq, variance)
    torch.testing.assert_close(log_mahalanobis_similarity(mp, mq, variance * eye), gaussian)
    full = log_bhattacharyya_full(mp, variance * eye, mq, variance * eye)
    torch.testing.assert_close(full, gaussian)
    flat = variance.expand(3, 5)
    torch.testing.assert_close(log_bhattacharyya_diagonal(mp, flat, mq, flat), gaussian)


def test_corollary_1_ii_isotropic_form_gives_gaussian_too():
    mp, mq, variance = draw(3, seed=1), draw(3, seed=2), scalar(1.7)
    ones = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(
        log_bhattacharyya_isotropic(mp, variance, mq, variance, dim=5),
        log_gaussian_similarity(mp[:, None] * ones, mq[:, None] * ones, variance),
    )


def test_corollary_1_ii_fails_for_a_covariance_that_is_not_isotropic():
    mp, mq, variance = draw(5, seed=1), draw(5, seed=2), draw_variance(5, seed=3)
    mahalanobis = log_mahalanobis_similarity(mp, mq, torch.diag(variance))
    assert abs(mahalanobis - log_gaussian_similarity(mp, mq, variance.mean())) > 0.01


def test_corollary_2_i_diagonal_covariances():
    mp, mq = draw(3, 5, seed=1), draw(3, 5, seed=2)
    vp, vq = draw_variance(3, 5, seed=3), draw_variance(3, 5, seed=4)
    torch.testing.assert_close(
        log_bhattacharyya_full(mp, torch.diag_embed(vp), mq, torch.diag_embed(vq)),
        log_bhattacharyya_diagonal(mp, vp, mq, vq),
    )


def test_corollary_2_i_fails_for_covariances_that_are_not_diagonal():
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    cp, cq = draw_covariance(dim=5, seed=3), draw_covariance(dim=5, seed=4)
    diagonal = log_bhattacharyya_diagonal(mp, cp.diagonal(), mq, cq.diagonal())
    assert abs(log_bhattacharyya_full(mp, cp, mq, cq) - diagonal) > 0.01


def test_corollary_2_ii_equal_dimensions():
    mp, mq = draw(3, seed=1), draw(3, seed=2)
    vp, vq = draw_variance(3, seed=3), draw_variance(3, seed=4)
    isotropic = log_bhattacharyya_isotropic(mp, vp, mq, vq, dim=5)

    def spread(values):
        return values[:, None].expand(3, 5)

    diagonal = log_bhattacharyya_diagonal(spread(mp), spread(vp), spread(mq), spread(vq))
    torch.testing.assert_close(diagonal, isotropic)
    full = log_bhattacharyya_full(
        spread(mp), torch.diag_embed(spread(vp)), spread(mq), torch.diag_embed(spread(vq))
    )
    torch.testing.assert_close(full, isotropic)


def test_corollary_2_ii_fails_for_dimensions_that_differ():
    mp, mq = draw(5, seed=1), draw(5, seed=2)
    vp, vq = draw_variance(5, seed=3), draw_variance(5, seed=4)
    isotropic = log_bhattacharyya_isotropic(mp.mean(), vp.mean(), mq.mean(), vq.mean(), dim=5)
    assert abs(log_bhattacharyya_diagonal(mp, vp, mq, vq) - isotropic) > 0.01

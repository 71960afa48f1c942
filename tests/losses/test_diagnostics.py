"""Diagnostics of the contrastive terms as loops, and the warning about a collapse."""

import pytest
import torch
from density_cases import densities, density_of
from mixture_cases import mixture, sparse_targets
from probmcl_cases import batch, expected_diagnostics
from reference import kmcl as paper

from colabel.losses import (
    collapse_warning,
    kernel_overlaps,
    mixture_similarities,
    overlap_warning,
)
from colabel.losses.diagnostics import COLLAPSED, OUT_OF_SIGHT, VANISHED
from colabel.mixtures import GaussianMixture
from colabel.models import KernelMixtureHead, Output
from colabel.settings import MixtureContrastiveTerm

WIDTH, CLASSES = 5, 3


# --- overlaps of kernels


def compare(kernels, similarity, dim=WIDTH):
    """Return the paper's similarity of the kernels of class k in the images n and i."""
    mean, variance = kernels.mean.tolist(), kernels.variance.tolist()

    def compared(k, n, i):
        mp, vp, mq, vq = mean[n][k], variance[n][k], mean[i][k], variance[i][k]
        if similarity == "gaussian":
            scale = dim / WIDTH  # so many dimensions in place of all
            distance = paper.gaussian_similarity([mp] * WIDTH, [mq] * WIDTH, (vp + vq) / 2)
            return distance**scale
        if similarity == "mahalanobis":
            average = [
                [(vp[j] + vq[j]) / 2 if j == other else 0.0 for other in range(WIDTH)]
                for j in range(WIDTH)
            ]
            return paper.mahalanobis_similarity(mp, mq, average)
        if isinstance(mp, list):
            return paper.bhattacharyya_diagonal(mp, vp, mq, vq)
        return paper.bhattacharyya_isotropic(mp, vp, mq, vq, dim=dim)

    return compared


def expected_overlaps(kernels, targets, compared):
    labels = targets.tolist()
    shared, unshared, others = [], [], []
    for n, row in enumerate(labels):
        for k, label in enumerate(row):
            for i in range(len(labels)):
                if label != 1 or i == n:
                    continue
                overlap = compared(k, n, i)
                others.append(overlap)
                if labels[i][k] != -1:
                    (shared if labels[i][k] == 1 else unshared).append(overlap)
    return {
        "overlap_shared": sum(shared) / len(shared),
        "overlap_unshared": sum(unshared) / len(unshared),
        "overlap_zero": sum(overlap < 1e-3 for overlap in others) / len(others),
        "variance": kernels.variance.mean().item(),
    }


@pytest.mark.parametrize(
    ("kind", "similarity", "effective_dim"),
    [
        ("isotropic", "bhattacharyya", None),
        ("isotropic", "bhattacharyya", 2),
        ("diagonal", "bhattacharyya", None),
        ("shared_diagonal", "mahalanobis", None),
        ("shared_isotropic", "gaussian", None),
        ("shared_isotropic", "gaussian", 2),
    ],
)
def test_overlaps_equal_the_loops(kind, similarity, effective_dim):
    kernels, _ = mixture(kind, 9, CLASSES, WIDTH, spread=2)
    targets = sparse_targets(9, CLASSES, density=0.5, unknown=0.2)
    compared = compare(kernels, similarity, effective_dim or WIDTH)
    expected = expected_overlaps(kernels, targets, compared)
    found = kernel_overlaps(kernels, targets, similarity=similarity, effective_dim=effective_dim)
    assert found == pytest.approx(expected, rel=1e-4)
    assert expected["overlap_shared"] != pytest.approx(expected["overlap_unshared"], rel=0.01)


def test_overlaps_tell_collapsed_kernels_from_dead_ones():
    torch.manual_seed(0)
    head = KernelMixtureHead(WIDTH, CLASSES)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 0, 0]])
    found = kernel_overlaps(head(torch.ones(3, WIDTH)), targets)
    assert found["overlap_shared"] == pytest.approx(found["overlap_unshared"]) == pytest.approx(1)
    assert found["overlap_zero"] == 0
    assert "have collapsed into one" in overlap_warning(found)
    apart = kernel_overlaps(head(torch.eye(3, WIDTH) * 1e4), targets)
    assert apart["overlap_zero"] == 1
    assert "do not reach each other" in overlap_warning(apart)


@pytest.mark.parametrize(
    ("shared", "unshared", "near_zero", "said"),
    [
        (0.5, 0.1, 0.4, None),
        (VANISHED, 0.0, OUT_OF_SIGHT, "by 0.020 on average, 80 % of all overlaps are near 0"),
        (VANISHED, 0.0, 0.79, None),
        (0.021, 0.0, 0.99, None),
        (0.99, COLLAPSED, 0.0, "overlap by 0.990 on average, those of others by 0.980"),
        (COLLAPSED, 0.979, 0.0, None),
        (0.979, COLLAPSED, 0.0, None),
        (0.99, None, 0.0, None),
        (0.01, None, 0.9, "do not reach each other"),
        (None, 0.0, 0.9, None),
    ],
)
def test_a_warning_where_overlaps_tell_nothing(shared, unshared, near_zero, said):
    values = {"overlap_shared": shared, "overlap_unshared": unshared, "overlap_zero": near_zero}
    warning = overlap_warning({key: one for key, one in values.items() if one is not None})
    assert warning is None if said is None else said in warning


@pytest.mark.parametrize("rows", [1, 4])
def test_overlaps_without_pairs_are_numbers_all_the_same(rows):
    kernels, _ = mixture("isotropic", rows, CLASSES, WIDTH)
    nothing = torch.zeros(rows, CLASSES, dtype=torch.int8)
    assert set(kernel_overlaps(kernels, nothing)) == {"variance"}
    found = kernel_overlaps(kernels, torch.ones_like(nothing))
    assert all(value == value for value in found.values()), found


# --- similarities of mixtures


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"similarity": "bhattacharyya"},
        {"threshold": 0.3},
        {"overlap": "cosine", "threshold": 0.7},
        {"effective_dim": 2},
    ],
)
def test_similarities_equal_the_loops(options):
    _, _, leaves = batch(rows=10, seed=3)
    targets = sparse_targets(10, CLASSES, density=0.4, unknown=0.1, seed=3)
    with torch.no_grad():
        leaves["variance"][0] = torch.tensor([1.005, 1.0, 1.02])
    made = density_of(leaves, WIDTH)
    output = Output(torch.zeros(10, WIDTH), None, made)
    expected = expected_diagnostics(output, targets, MixtureContrastiveTerm(**options))
    assert 0 < expected["anchors_without_positives"] < 1
    assert expected["variance_at_floor"] == pytest.approx(2 / 30)
    found = mixture_similarities(made, targets, **options)
    assert found == pytest.approx(expected, rel=1e-6)
    assert all(isinstance(value, float) for value in found.values())


def test_similarities_leave_out_what_there_is_not():
    made, _ = densities("isotropic", 4, CLASSES, WIDTH)

    def keys(targets, some=made):
        return set(mixture_similarities(some, torch.tensor(targets)))

    always = {"anchors_without_positives", "variance_at_floor", "weight_entropy"}
    assert keys([[0, 0, 0]] * 4) == always | {"similarity_negative"}
    assert keys([[1, 0, 1]] * 4) == always | {"similarity_positive"}
    alone, _ = densities("isotropic", 1, CLASSES, WIDTH)
    assert keys([[1, 0, 1]], alone) == always
    single, _ = densities("isotropic", 4, 1, WIDTH)
    assert keys([[1]] * 4, single) == {
        "anchors_without_positives", "variance_at_floor", "similarity_positive",
    }  # fmt: skip


def test_the_entropy_is_1_for_equal_weights_and_0_for_a_single_one():
    ones = torch.ones(2, 4)
    targets = torch.zeros(2, 4)
    equal = GaussianMixture((ones / 4).log(), ones, ones, WIDTH)
    found = mixture_similarities(equal, targets)
    assert found["weight_entropy"] == pytest.approx(1)
    assert found["variance_at_floor"] == 1
    single = GaussianMixture(torch.eye(4)[:2].log(), ones, 1.5 * ones, WIDTH)
    found = mixture_similarities(single, targets)
    assert found["weight_entropy"] == 0
    assert found["variance_at_floor"] == 0


# --- the warning


@pytest.mark.parametrize(
    ("positive", "negative", "said"),
    [
        (0.9, 0.2, None),
        (0.99, 0.979, None),
        (0.03, 0.0, None),
        (1.0, COLLAPSED, "have collapsed into one"),
        (0.999, 0.99, "have collapsed into one"),
        (VANISHED, 0.0, "do not reach each other"),
        (0.001, 0.5, "do not reach each other"),
        (None, 1.0, None),
        (0.0, None, None),
        (None, None, None),
    ],
)
def test_a_warning_where_similarities_tell_nothing(positive, negative, said):
    values = {"similarity_positive": positive, "similarity_negative": negative, "other": 1.0}
    values = {name: value for name, value in values.items() if value is not None}
    warning = collapse_warning(values)
    if said is None:
        assert warning is None
    else:
        assert said in warning
        assert f"positives have a mean similarity of {positive:.3f}" in warning
        assert f"negatives of {negative:.3f}" in warning

"""Rows of similarities: every cell against the public pair functions, in blocks of any size."""

import pytest
import torch
from mixture_cases import from_leaves, generator, mixture

from colabel.mixtures import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
    log_similarity_of_rows,
    pairs,
)

FORMS = [
    ("isotropic", "bhattacharyya"),
    ("diagonal", "bhattacharyya"),
    ("shared_diagonal", "mahalanobis"),
    ("shared_isotropic", "gaussian"),
]
EVERY_FORM = pytest.mark.parametrize(("kind", "similarity"), FORMS)
BLOCKS = pytest.mark.parametrize("block_elements", [1, 6 * 3 * 4, 10**9])


def rows(count, batch, classes):
    """Anchors and classes in any order, some more than once."""
    source = generator(5)
    anchors = torch.randint(batch, (count,), generator=source)
    labels = torch.randint(classes, (count,), generator=source)
    return anchors, labels


def cell(made, similarity, n, i, k):
    mean_p, mean_q = made.mean[n, k], made.mean[i, k]
    variance_p, variance_q = made.variance[n, k], made.variance[i, k]
    average = (variance_p + variance_q) / 2
    if similarity == "mahalanobis":
        return log_mahalanobis_similarity(mean_p, mean_q, torch.diag(average))
    if similarity == "gaussian":
        return log_gaussian_similarity(mean_p.expand(3), mean_q.expand(3), average)
    if made.isotropic:
        return log_bhattacharyya_isotropic(mean_p, variance_p, mean_q, variance_q, dim=3)
    return log_bhattacharyya_diagonal(mean_p, variance_p, mean_q, variance_q)


def cells(made, anchors, labels, similarity):
    return torch.stack(
        [
            torch.stack([cell(made, similarity, n, i, k) for i in range(made.batch)])
            for n, k in zip(anchors.tolist(), labels.tolist(), strict=True)
        ]
    )


@EVERY_FORM
@BLOCKS
def test_every_cell_is_the_similarity_of_its_pair(kind, similarity, block_elements):
    made, _ = mixture(kind, 6, 5, 3, seed=1)
    anchors, labels = rows(11, 6, 5)
    got = log_similarity_of_rows(
        made, anchors, labels, similarity=similarity, block_elements=block_elements
    )
    torch.testing.assert_close(got, cells(made, anchors, labels, similarity))


@EVERY_FORM
@BLOCKS
def test_gradients_do_not_depend_on_the_blocks(kind, similarity, block_elements):
    _, leaves = mixture(kind, 6, 5, 3, seed=1)
    anchors, labels = rows(11, 6, 5)
    weight = torch.randn(11, 6, generator=generator(7), dtype=torch.float64)
    slopes = []
    for function in (
        lambda made: log_similarity_of_rows(
            made, anchors, labels, similarity=similarity, block_elements=block_elements
        ),
        lambda made: cells(made, anchors, labels, similarity),
    ):
        copies = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
        (function(from_leaves(copies, 3)) * weight).sum().backward()
        slopes.append([copies["mean"].grad, copies["variance"].grad])
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs)


@EVERY_FORM
def test_an_image_is_like_itself_exactly(kind, similarity):
    made, _ = mixture(kind, 6, 5, 3, seed=1)
    anchors, labels = rows(11, 6, 5)
    got = log_similarity_of_rows(made, anchors, labels, similarity=similarity)
    assert (got[torch.arange(11), anchors] == 0).all()
    assert (got <= 0).all()


@EVERY_FORM
def test_no_rows(kind, similarity):
    made, leaves = mixture(kind, 6, 5, 3, seed=1, grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    got = log_similarity_of_rows(made, none, none, similarity=similarity)
    assert got.shape == (0, 6)
    got.sum().backward()
    for name in ("mean", "variance"):
        assert torch.equal(leaves[name].grad, torch.zeros_like(leaves[name]))


@EVERY_FORM
def test_float32_at_the_width_of_an_encoder(kind, similarity):
    """Variances that differ by a thousandth leave a scale term of some 1e-4: kept to 1e-3."""
    made, leaves = mixture(kind, 3, 2, 2048, seed=1, dtype=torch.float32, spread=0)
    leaves["variance"] = 1.5 + 1e-3 * leaves["variance"]
    made = from_leaves(leaves, 2048)
    wide = from_leaves({name: leaf.double() for name, leaf in leaves.items()}, 2048)
    anchors, labels = torch.tensor([0, 1, 2]), torch.tensor([1, 0, 1])
    got = log_similarity_of_rows(made, anchors, labels, similarity=similarity)
    expected = log_similarity_of_rows(wide, anchors, labels, similarity=similarity)
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize(
    ("on_gpu", "given", "expected"),
    [(False, None, 2**19), (True, None, 2**26), (False, 60, 60), (True, 60, 60)],
)
def test_the_block_follows_the_device_unless_it_is_given(monkeypatch, on_gpu, given, expected):
    seen = []

    class Recorded:
        @staticmethod
        def apply(*arguments):
            seen.append(arguments[-1])
            return torch.zeros(2, 6)

    made, _ = mixture("diagonal", 6, 5, 3, seed=1)
    monkeypatch.setattr(pairs, "_DiagonalRows", Recorded)
    monkeypatch.setattr(torch.Tensor, "is_cuda", on_gpu)
    log_similarity_of_rows(made, *rows(2, 6, 5), block_elements=given)
    assert seen == [expected]

"""MixtureContrastiveLoss: gradients, float32 at real widths, and what it refuses.

A similarity is exp of a logarithm that is good to some 1e-6 of itself and matters only while the
similarity does, so it is good to 1e-6 absolute and the loss to 1e-6 / temperature: atol 2e-5. Each
gradient is held to 1e-4 of its largest entry.
"""

import mpmath
import pytest
import torch
from density_cases import OVERLAPS, SIMILARITIES, contrastive_loop, densities, density_of
from mixture_cases import convert, sparse_targets

from colabel.losses import MixtureContrastiveLoss, compare_mixtures, mixture_contrastive_loss
from colabel.mixtures import GaussianMixture

EVERY_SIMILARITY = pytest.mark.parametrize("similarity", SIMILARITIES)
EVERY_OVERLAP = pytest.mark.parametrize("overlap", OVERLAPS)
WIDTH = 2048
TARGETS = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, -1], [0, 0, 0], [1, 1, 1]], dtype=torch.int8)


def gradients(leaves, dim, targets, **options):
    copies = {name: leaf.detach().clone().requires_grad_() for name, leaf in leaves.items()}
    values = mixture_contrastive_loss(density_of(copies, dim), targets, **options)
    weights = 1 + torch.arange(len(values), dtype=values.dtype)  # every image with its own factor
    (values * weights).sum().backward()
    return [copy.grad for copy in copies.values()]


def close_densities(batch, classes, dim, *, dtype=torch.float64, spread=0.02):
    """Like a young head's: components so close that they still see each other at this width."""
    _, leaves = densities(
        "isotropic", batch, classes, dim, seed=1, dtype=dtype, spread=spread, offset=0.5
    )
    leaves["variance"] = 1.5 + 0.02 * leaves["variance"]
    return density_of(leaves, dim), leaves


# --- gradients


@EVERY_SIMILARITY
@EVERY_OVERLAP
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_gradcheck(similarity, overlap, threshold):
    _, leaves = densities("isotropic", 5, 3, 2, seed=1, grad=True)

    def value(logits, mean, variance):
        made = density_of({"logits": logits, "mean": mean, "variance": variance}, 2)
        return mixture_contrastive_loss(
            made, TARGETS, threshold=threshold, overlap=overlap, similarity=similarity
        )

    torch.autograd.gradcheck(value, tuple(leaves.values()))
    assert all(slope.abs().max() > 1e-3 for slope in gradients(leaves, 2, TARGETS))


@EVERY_SIMILARITY
@pytest.mark.parametrize("leaf", ["logits", "mean", "variance"])
def test_one_leaf_alone_may_be_trained(similarity, leaf):
    _, leaves = densities("isotropic", 5, 3, 2, seed=1)
    every = gradients(leaves, 2, TARGETS, similarity=similarity)
    leaves[leaf].requires_grad_()
    values = mixture_contrastive_loss(density_of(leaves, 2), TARGETS, similarity=similarity)
    (values * (1 + torch.arange(5))).sum().backward()
    torch.testing.assert_close(leaves[leaf].grad, every[list(leaves).index(leaf)])


def test_without_gradients_the_value_is_the_same():
    made, _ = densities("isotropic", 5, 3, 2, seed=1, grad=True)
    with torch.no_grad():
        quiet = MixtureContrastiveLoss()(made, TARGETS)
    loud = MixtureContrastiveLoss()(made, TARGETS)
    assert not quiet.requires_grad
    assert loud.requires_grad
    torch.testing.assert_close(quiet, loud.detach())


# --- precision


def many_digits(made, targets, similarity):
    """Eq. 3 with 50 digits at the defaults, Jaccard indices of labels that are all known."""
    weights = [[mpmath.exp(mpmath.mpf(w)) for w in row] for row in made.log_weights.tolist()]
    mean, variance = made.mean.tolist(), made.variance.tolist()
    classes, n = range(made.classes), made.dim

    def normal(distance, spread):
        volume = (2 * mpmath.pi * spread) ** (-mpmath.mpf(n) / 2)
        return volume * mpmath.exp(-n * distance**2 / (2 * spread))

    def product(i, j):
        return mpmath.fsum(
            weights[i][k]
            * weights[j][m]
            * normal(
                mpmath.mpf(mean[i][k]) - mean[j][m], mpmath.mpf(variance[i][k]) + variance[j][m]
            )
            for k in classes
            for m in classes
        )

    def bound(i, j):
        total = mpmath.mpf(0)
        for k in classes:
            first, second = mpmath.mpf(variance[i][k]), mpmath.mpf(variance[j][k])
            ratio = (first + second) / (2 * mpmath.sqrt(first * second))
            distance = mpmath.mpf(mean[i][k]) - mean[j][k]
            coefficient = ratio ** (-mpmath.mpf(n) / 2) * mpmath.exp(
                -n * distance**2 / (4 * (first + second))
            )
            total += mpmath.sqrt(weights[i][k] * weights[j][k]) * coefficient
        return total

    def alike(i, j):
        if similarity == "bhattacharyya":
            return bound(i, j)
        return product(i, j) / mpmath.sqrt(product(i, i) * product(j, j))

    values = []
    for i, row in enumerate(targets.tolist()):
        others = [j for j in range(made.batch) if j != i]
        ratio = {j: alike(i, j) / mpmath.mpf("0.2") for j in others}
        log_denominator = mpmath.log(mpmath.fsum(map(mpmath.exp, ratio.values())))
        total, count = mpmath.mpf(0), 0
        for j in others:
            both = sum(a * b for a, b in zip(row, targets[j].tolist(), strict=True))
            either = sum(row) + int(targets[j].sum()) - both
            if 5 * both >= 3 * either > 0:  # the threshold 0.6, in whole numbers
                total += (log_denominator - ratio[j]) * both / either
                count += 1
        values.append(float(total / max(count, 1)))
    return values


@EVERY_SIMILARITY
def test_float64_and_float32_at_real_width_against_50_digits(similarity):
    made, _ = close_densities(5, 3, WIDTH)
    targets = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 1]])
    narrow = convert(made, torch.float32)
    with mpmath.workdps(50):
        expected = many_digits(made, targets, similarity)
        rounded = many_digits(narrow, targets, similarity)
    assert [value > 0.1 for value in expected] == [True, False, True, False, True]
    similar = compare_mixtures(made, targets, similarity=similarity).similarity
    assert 0.05 < similar.min() < similar[~torch.eye(5, dtype=torch.bool)].max() < 0.99
    got = mixture_contrastive_loss(made, targets, similarity=similarity)
    assert got.tolist() == pytest.approx(expected, rel=1e-10)
    got = mixture_contrastive_loss(narrow, targets, similarity=similarity)
    assert got.dtype is torch.float32
    assert got.tolist() == pytest.approx(rounded, rel=1e-5, abs=2e-5)


@EVERY_SIMILARITY
@EVERY_OVERLAP
@pytest.mark.parametrize("spread", [0.02, 1.0])
def test_float32_at_real_width(similarity, overlap, spread):
    made, leaves = close_densities(24, 20, WIDTH, dtype=torch.float32, spread=spread)
    targets = sparse_targets(12, 20, density=0.15, unknown=0.05, seed=2).repeat_interleave(2, 0)
    options = {"similarity": similarity, "overlap": overlap, "threshold": 0.3}
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.dtype is torch.float32
    wide = mixture_contrastive_loss(convert(made, torch.float64), targets, **options)
    assert wide.max() > 0.1
    torch.testing.assert_close(got.double(), wide, rtol=1e-5, atol=2e-5)
    wide_leaves = {name: leaf.double() for name, leaf in leaves.items()}
    expected = gradients(wide_leaves, WIDTH, targets, **options)
    slopes = gradients(leaves, WIDTH, targets, **options)
    for narrow, exact in zip(slopes, expected, strict=True):
        assert narrow.isfinite().all()
        size = exact.abs().max().item()
        torch.testing.assert_close(narrow.double(), exact, rtol=0, atol=1e-4 * size + 1e-12)


@EVERY_SIMILARITY
def test_float32_at_a_temperature_whose_exponentials_overflow(similarity):
    """exp(1 / 0.005) is 1e86: 88 is where float32 ends. Tolerance: 1e-6 / temperature."""
    made, _ = densities("isotropic", 6, 3, 3, seed=1, dtype=torch.float32)
    options = {"temperature": 0.005, "similarity": similarity}
    targets = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 1], [1, 0, 0]])
    got = mixture_contrastive_loss(made, targets, **options)
    expected = contrastive_loop(made, targets, **options)
    assert max(expected) > 10
    assert got.tolist() == pytest.approx(expected, rel=1e-5, abs=2e-4)


@EVERY_SIMILARITY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("variance", [1.0, 1e4])
def test_the_smallest_and_a_large_variance(similarity, dtype, variance):
    made, leaves = densities("isotropic", 6, 3, 4, seed=1, dtype=dtype, spread=variance**0.5 / 2)
    leaves["variance"].fill_(variance)
    made = density_of(leaves, 4)
    targets = sparse_targets(3, 3, density=0.6, seed=2).repeat_interleave(2, 0)
    got = mixture_contrastive_loss(made, targets, similarity=similarity)
    expected = contrastive_loop(made, targets, similarity=similarity)
    assert max(expected) > 0.1
    assert got.tolist() == pytest.approx(expected, rel=1e-5 if dtype is torch.float32 else 1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@EVERY_SIMILARITY
def test_half_precision_is_computed_in_float32(dtype, similarity):
    made, leaves = densities("isotropic", 8, 6, WIDTH, seed=1, dtype=dtype, spread=0.02, grad=True)
    targets = sparse_targets(4, 6, density=0.3, unknown=0.1, seed=2).repeat_interleave(2, 0)
    loss = MixtureContrastiveLoss(similarity=similarity, effective_dim=64)
    got = loss(made, targets)
    got.backward()
    expected = loss(convert(made, torch.float32), targets)
    assert expected > 0.1
    torch.testing.assert_close(got, expected)  # the same type, too
    for leaf in leaves.values():
        assert leaf.grad.dtype is dtype
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_move_the_threshold(dtype):
    """3/5 is not a number of half precision: the overlaps are not computed in it."""
    made, _ = densities("isotropic", 2, 5, 4, seed=1, dtype=dtype)
    targets = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]).to(dtype)
    pairs = compare_mixtures(made, targets, threshold=0.6)
    assert pairs.positive[0, 1]
    assert pairs.overlap.dtype is pairs.similarity.dtype is torch.float32
    assert not compare_mixtures(made, targets, threshold=0.6001).positive.any()


@EVERY_SIMILARITY
def test_autocast_does_not_coarsen_it(similarity):
    made, _ = close_densities(12, 6, 512, dtype=torch.float32, spread=0.05)
    targets = sparse_targets(6, 6, density=0.3, seed=2).repeat_interleave(2, 0)
    options = {"similarity": similarity, "threshold": 0.3}
    expected = mixture_contrastive_loss(made, targets, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = mixture_contrastive_loss(made, targets, **options)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


# --- input


@EVERY_SIMILARITY
def test_the_inputs_are_left_as_they_were(similarity):
    made, leaves = densities("isotropic", 6, 5, 3)
    targets = sparse_targets(6, 5, density=0.4, unknown=0.3).double()
    inputs = [*leaves.values(), made.log_weights, targets]
    before = [part.clone() for part in inputs]
    MixtureContrastiveLoss(similarity=similarity)(made, targets)
    for part, copy in zip(inputs, before, strict=True):
        assert torch.equal(part, copy)


@pytest.mark.parametrize("shape", [(5, 4), (4, 1), (1, 5), (5,)])
def test_targets_of_another_shape_are_named(shape, unchecked_shapes):
    made, _ = densities("isotropic", 4, 5, 3)
    for refuse in (MixtureContrastiveLoss(), compare_mixtures):
        with pytest.raises(ValueError, match="targets") as raised:
            refuse(made, torch.zeros(shape))
        assert "(4, 5)" in str(raised.value)
        assert str(shape) in str(raised.value)


@EVERY_SIMILARITY
def test_diagonal_kernels_are_refused(similarity):
    made, _ = densities("diagonal", 4, 5, 3)
    with pytest.raises(ValueError, match="isotropic"):
        MixtureContrastiveLoss(similarity=similarity)(made, torch.ones(4, 5))


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("temperature", 0.0, "temperature must be positive, got 0.0"),
        ("temperature", -0.2, "temperature must be positive, got -0.2"),
        ("temperature", float("nan"), "temperature must be positive, got nan"),
        ("threshold", -0.1, "threshold must be from 0 to 1, got -0.1"),
        ("threshold", 1.1, "threshold must be from 0 to 1, got 1.1"),
        ("threshold", float("nan"), "threshold must be from 0 to 1, got nan"),
        ("overlap", "dice", "overlap must be one of jaccard, cosine, got 'dice'"),
        (
            "similarity",
            "mahalanobis",
            "similarity must be one of correlation, bhattacharyya, got 'mahalanobis'",
        ),
        ("effective_dim", 0, "effective_dim must be at least 1, got 0"),
        ("effective_dim", -3, "effective_dim must be at least 1, got -3"),
    ],
)
def test_a_setting_out_of_range_is_named(setting, value, message, unchecked_shapes):
    made = GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1), torch.ones(2, 1), dim=4)
    targets = torch.ones(2, 1)
    with pytest.raises(ValueError, match=message):
        MixtureContrastiveLoss(**{setting: value})
    with pytest.raises(ValueError, match=message):
        mixture_contrastive_loss(made, targets, **{setting: value})
    if setting != "temperature":
        with pytest.raises(ValueError, match=message):
            compare_mixtures(made, targets, **{setting: value})

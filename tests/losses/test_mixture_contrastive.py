"""MixtureContrastiveLoss against ProbMCL Eq. 3 as loops: values, edges, properties, input."""

import math

import pytest
import torch
from density_cases import (
    OVERLAPS,
    SIMILARITIES,
    contrastive_loop,
    densities,
    density_of,
    similarity_loop,
)
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import generator, sparse_targets, take
from reference import probmcl_losses as paper

from colabel.losses import MixtureContrastiveLoss, compare_mixtures, mixture_contrastive_loss
from colabel.mixtures import GaussianMixture

EVERY_FORM = pytest.mark.parametrize(
    ("overlap", "similarity"), [(one, other) for one in OVERLAPS for other in SIMILARITIES]
)
EVERY_SIMILARITY = pytest.mark.parametrize("similarity", SIMILARITIES)
FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])

label_rows = st.integers(1, 4).flatmap(
    lambda classes: st.lists(
        st.lists(st.sampled_from([-1, 0, 1, 1]), min_size=classes, max_size=classes),
        min_size=1,
        max_size=6,
    )
)


def views(images, classes, *, seed=2, **options):
    """Targets of a batch in which every image comes twice, as the method's batches do."""
    return sparse_targets(images, classes, seed=seed, **options).repeat_interleave(2, dim=0)


def same_mixtures(batch, classes=2):
    """Mixtures that are all alike, so that Sim is 1 and a log ratio -log(batch - 1)."""
    ones = torch.ones(batch, classes, dtype=torch.float64)
    return GaussianMixture((ones / classes).log(), ones, ones, dim=4)


# --- the paper as loops


@EVERY_FORM
@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_equals_eq_3(overlap, similarity, unknown, threshold):
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.3, unknown=unknown)
    options = {"threshold": threshold, "overlap": overlap, "similarity": similarity}
    expected = contrastive_loop(made, targets, **options)
    assert sum(value > 0.01 for value in expected) >= 8
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.shape == (14,)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


@EVERY_SIMILARITY
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_equals_eq_3_at_other_temperatures(similarity, temperature):
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.3)
    options = {"temperature": temperature, "similarity": similarity}
    got = mixture_contrastive_loss(made, targets, **options)
    expected = contrastive_loop(made, targets, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


@EVERY_FORM
def test_equals_eq_3_on_two_labels_of_eighty(overlap, similarity):
    made, _ = densities("isotropic", 10, 80, 1, seed=1)
    targets = sparse_targets(10, 80, density=0.025, seed=2)
    targets[:2] = targets[2:4]
    options = {"overlap": overlap, "similarity": similarity, "threshold": 0.3}
    expected = contrastive_loop(made, targets, **options)
    assert 0 in expected  # some anchors without positives, some with
    assert max(expected) > 0.01
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


@given(
    label_rows, st.integers(0, 1000), st.sampled_from([0.0, 0.5, 2 / 3, 1.0]),
    st.sampled_from(sorted(OVERLAPS)), st.sampled_from(sorted(SIMILARITIES)),
)  # fmt: skip
def test_any_labels_equal_eq_3(rows, seed, threshold, overlap, similarity):
    targets = torch.tensor(rows, dtype=torch.int8)
    made, _ = densities("isotropic", len(rows), len(rows[0]), 2, seed=seed)
    options = {"threshold": threshold, "overlap": overlap, "similarity": similarity}
    got = mixture_contrastive_loss(made, targets, **options)
    expected = contrastive_loop(made, targets, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@EVERY_SIMILARITY
@pytest.mark.parametrize("dim", [1, 2, 64])
def test_effective_dim_takes_the_place_of_the_width(similarity, dim):
    made, _ = densities("isotropic", 14, 7, 3, seed=1, spread=0.3)
    targets = views(7, 7, density=0.3)
    options = {"similarity": similarity, "effective_dim": dim}
    expected = contrastive_loop(made, targets, **options)
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)
    assert got.tolist() != pytest.approx(contrastive_loop(made, targets, similarity=similarity))
    loss = MixtureContrastiveLoss(**options)(made, targets)
    assert loss.item() == pytest.approx(sum(expected) / 14, rel=1e-10)


@EVERY_FORM
def test_pairs_are_compared_as_in_the_loops(overlap, similarity):
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.4, unknown=0.2)
    labels = targets.tolist()
    compare = similarity_loop(made, similarity)
    pairs = compare_mixtures(made, targets, threshold=0.3, overlap=overlap, similarity=similarity)
    for i in range(14):
        chosen = paper.positives(i, labels, threshold=0.3, overlap=OVERLAPS[overlap])
        assert pairs.positive[i].nonzero().flatten().tolist() == chosen
        for j in range(14):
            assert pairs.similarity[i, j].item() == pytest.approx(compare(i, j), rel=1e-10)
            expected = OVERLAPS[overlap](labels[i], labels[j])
            assert pairs.overlap[i, j].item() == pytest.approx(expected, rel=1e-12)
    assert 20 < pairs.positive.sum() < 14 * 13 / 2


# --- by hand


def test_overlap_weighs_the_logarithm_and_the_positives_are_averaged():
    """Sim is 1 everywhere: a log ratio is -log 3. D is 1 once and 2/3 twice for the first."""
    targets = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 0, 1]])
    got = mixture_contrastive_loss(same_mixtures(4, 3), targets)
    whole = math.log(3)
    expected = [(1 + 2 / 3) / 2 * whole, (1 + 2 / 3) / 2 * whole, 2 / 3 * whole, 0]
    assert got.tolist() == pytest.approx(expected)


def test_by_hand_with_one_class():
    """Means 0, 2, 4 and variance 1 in one dimension: Sim is exp(-distance ** 2 / 4)."""
    mean = torch.tensor([[0.0], [2.0], [4.0]], dtype=torch.float64)
    made = GaussianMixture(torch.zeros_like(mean), mean, torch.ones_like(mean), dim=1)
    near, far = math.exp(math.exp(-1) / 0.2), math.exp(math.exp(-4) / 0.2)
    outer = -(math.log(near / (near + far)) + math.log(far / (near + far))) / 2
    got = mixture_contrastive_loss(made, torch.ones(3, 1))
    assert got.tolist() == pytest.approx([outer, math.log(2), outer])
    bound = math.exp(math.exp(-0.5) / 0.2), math.exp(math.exp(-2) / 0.2)  # distance ** 2 / 8
    outer = -(math.log(bound[0] / sum(bound)) + math.log(bound[1] / sum(bound))) / 2
    got = mixture_contrastive_loss(made, torch.ones(3, 1), similarity="bhattacharyya")
    assert got.tolist() == pytest.approx([outer, math.log(2), outer])


# --- the threshold


@FLOATS
@pytest.mark.parametrize(
    ("first", "second", "overlap", "threshold", "value"),
    [
        ([1, 1, 1, 1, 0], [1, 1, 1, 0, 1], "jaccard", 0.6, 0.6),
        ([1, 1, 1, 1, 1], [1, 1, 1, 0, 0], "jaccard", 0.6, 0.6),
        ([1, 0, 0, 0, 0], [1, 1, 0, 0, 0], "jaccard", 0.5, 0.5),
        ([1, 1, 0, 0, 0], [1, 1, 1, 0, 0], "jaccard", 2 / 3, 2 / 3),
        ([1, 1, 1, 0, 0], [1, 1, 1, 0, 0], "jaccard", 1.0, 1.0),
        ([1, 1, 0, 0, 0], [1, 0, 1, 0, 0], "cosine", 0.5, 0.5),
        ([1, 1, 1, 1, 0], [1, 0, 0, 0, 0], "cosine", 0.5, 0.5),
        ([1, 1, 0, 0, 0], [1, 1, 0, 0, 0], "cosine", 1.0, 1.0),
    ],
)
def test_a_pair_exactly_at_the_threshold_is_positive(
    dtype, first, second, overlap, threshold, value
):
    made, _ = densities("isotropic", 3, 5, 3, seed=1, dtype=dtype)
    targets = torch.tensor([first, second, [0, 0, 0, 0, 0]], dtype=torch.int8)
    pairs = compare_mixtures(made, targets, threshold=threshold, overlap=overlap)
    assert pairs.positive.tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert pairs.overlap[0, 1].item() == pytest.approx(value)
    above = compare_mixtures(made, targets, threshold=min(threshold + 1e-4, 1), overlap=overlap)
    assert above.positive.any().item() == (threshold == 1)
    assert mixture_contrastive_loss(made, targets, threshold=threshold, overlap=overlap)[0] > 0


def test_the_cosine_of_two_equal_images_is_1_and_not_the_papers_half():
    made, _ = densities("isotropic", 3, 4, 3, seed=1)
    targets = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    pairs = compare_mixtures(made, targets, overlap="cosine")
    assert pairs.overlap[0, 1].item() == pytest.approx(1)
    assert pairs.positive[0, 1]


@EVERY_FORM
def test_with_a_threshold_of_0_everybody_else_counts(overlap, similarity):
    """Where nothing is shared D is 0: such pairs add nothing and still count in |A|."""
    targets = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 0]])
    options = {"threshold": 0.0, "overlap": overlap, "similarity": similarity}
    got = mixture_contrastive_loss(same_mixtures(4), targets, **options)
    assert got.tolist() == pytest.approx([math.log(3) / 3, math.log(3) / 3, 0, 0])


# --- the module


@EVERY_FORM
def test_the_module_is_the_mean_over_all_images(overlap, similarity):
    made, _ = densities("isotropic", 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    options = {
        "temperature": 0.5, "threshold": 0.3, "overlap": overlap, "similarity": similarity,
    }  # fmt: skip
    expected = contrastive_loop(made, targets, **options)
    assert 0 in expected  # an image without positives counts in the mean
    assert max(expected) > 0.1
    got = MixtureContrastiveLoss(**options)(made, targets)
    assert got.shape == ()
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


def test_the_defaults_are_the_papers():
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.4)
    expected = contrastive_loop(
        made,
        targets,
        temperature=0.2,
        threshold=0.6,
        overlap="jaccard",
        similarity="correlation",
    )
    assert MixtureContrastiveLoss()(made, targets).item() == pytest.approx(sum(expected) / 14)
    assert mixture_contrastive_loss(made, targets).tolist() == pytest.approx(expected)
    pairs = compare_mixtures(made, targets)
    written = compare_mixtures(
        made, targets, threshold=0.6, overlap="jaccard", similarity="correlation"
    )
    for name in ("similarity", "overlap", "positive"):
        assert torch.equal(getattr(pairs, name), getattr(written, name))
    lower = compare_mixtures(made, targets, threshold=0.5)
    assert lower.positive.sum() > pairs.positive.sum()


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float16, torch.float64])
def test_the_type_of_the_targets_does_not_matter(dtype):
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.3, unknown=0.2)
    expected = contrastive_loop(made, targets)
    got = MixtureContrastiveLoss()(made, targets.to(dtype))
    assert got.item() == pytest.approx(sum(expected) / 14, rel=1e-10)


# --- no labels, no positives, one image, one class, unknown labels


@EVERY_FORM
@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 1]],
        [[0, 0, 0]],
        [[-1, -1, -1]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[-1, -1, -1], [-1, -1, -1], [-1, -1, -1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, -1, 0], [-1, 1, 0], [0, 0, -1]],
        [[1, 0, 1], [1, 0, 1]],
    ],
)
def test_nothing_to_compare_gives_nought_with_a_gradient_of_nought(overlap, similarity, rows):
    """One image, no labels, no positives; and two images, whose denominator has one term."""
    targets = torch.tensor(rows, dtype=torch.int8)
    made, leaves = densities("isotropic", len(rows), 3, 4, seed=1, grad=True)
    total = MixtureContrastiveLoss(overlap=overlap, similarity=similarity)(made, targets)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        total.backward()
    assert total.item() == pytest.approx(0, abs=1e-12)
    for leaf in leaves.values():
        assert leaf.grad.abs().max().item() == pytest.approx(0, abs=1e-12)


@EVERY_FORM
def test_two_unlabelled_images_do_not_overlap(overlap, similarity):
    made, _ = densities("isotropic", 2, 3, 4, seed=1)
    targets = torch.zeros(2, 3)
    options = {"overlap": overlap, "similarity": similarity}
    pairs = compare_mixtures(made, targets, threshold=1e-6, **options)
    assert (pairs.overlap == 0).all()
    assert not pairs.positive.any()
    assert (mixture_contrastive_loss(made, targets, threshold=0.0, **options) == 0).all()


@EVERY_FORM
def test_an_anchor_without_positives_adds_nought_and_leaves_the_others_alone(overlap, similarity):
    made, leaves = densities("isotropic", 5, 3, 4, seed=1, grad=True)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]])
    options = {"overlap": overlap, "similarity": similarity}
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.tolist() == pytest.approx(contrastive_loop(made, targets, **options), rel=1e-10)
    assert (got[[0, 1, 4]] > 0).all()
    got[[2, 3]].sum().backward()
    for leaf in leaves.values():
        assert (leaf.grad == 0).all()


@EVERY_SIMILARITY
def test_an_image_without_labels_stays_in_the_denominators(similarity):
    made, _ = densities("isotropic", 4, 2, 3, seed=1)
    targets = torch.tensor([[1, 0], [1, 0], [1, 0], [0, 0]])
    without = mixture_contrastive_loss(
        take(made, torch.arange(3)), targets[:3], similarity=similarity
    )
    got = mixture_contrastive_loss(made, targets, similarity=similarity)
    assert (got[:3] > without + 1e-3).all()


@EVERY_FORM
def test_one_class(overlap, similarity):
    made, _ = densities("isotropic", 6, 1, 4, seed=1)
    targets = torch.tensor([[1], [0], [1], [-1], [1], [0]])
    options = {"overlap": overlap, "similarity": similarity}
    got = mixture_contrastive_loss(made, targets, **options)
    assert got.tolist() == pytest.approx(contrastive_loop(made, targets, **options), rel=1e-10)
    assert [value > 0 for value in got.tolist()] == [True, False, True, False, True, False]


def test_a_label_that_one_image_does_not_know_counts_for_neither():
    """By hand: D of the first two is 1, from the one class that both know; the third knows all."""
    targets = torch.tensor([[1, 1, -1], [1, -1, 0], [1, 0, 0]])
    pairs = compare_mixtures(same_mixtures(3, 3), targets, threshold=0.6)
    assert pairs.overlap.tolist() == [[1, 1, 0.5], [1, 1, 1], [0.5, 1, 1]]
    assert pairs.positive.tolist() == [
        [False, True, False], [True, False, True], [False, True, False],
    ]  # fmt: skip


@EVERY_FORM
@FLOATS
def test_weights_of_exactly_0_and_1(overlap, similarity, dtype):
    _, leaves = densities("isotropic", 6, 3, 4, seed=1, dtype=dtype, grad=True)
    weights = torch.tensor([[0, 1, 0], [0.5, 0.5, 0], [0.25, 0.5, 0.25]], dtype=dtype).repeat(2, 1)
    made = GaussianMixture(weights.log(), leaves["mean"], leaves["variance"], 4)
    targets = torch.tensor([[1, 0, 1], [1, 0, 1], [0, 1, 0]]).repeat(2, 1)
    options = {"overlap": overlap, "similarity": similarity}
    got = mixture_contrastive_loss(made, targets, **options)
    expected = contrastive_loop(made, targets, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-4 if dtype is torch.float32 else 1e-10)
    got.sum().backward()
    for name in ("mean", "variance"):
        slopes = leaves[name].grad
        assert slopes.isfinite().all()
        assert slopes[weights == 0].abs().max() < 1e-20
        assert slopes[weights != 0].abs().min() > 1e-6


# --- properties


@EVERY_FORM
def test_the_order_of_classes_and_images_does_not_matter(overlap, similarity):
    made, _ = densities("isotropic", 14, 7, 3, seed=1)
    targets = views(7, 7, density=0.3, unknown=0.2)
    images = torch.randperm(14, generator=generator(3))
    classes = torch.randperm(7, generator=generator(4))
    options = {"overlap": overlap, "similarity": similarity}
    base = mixture_contrastive_loss(made, targets, **options)
    moved = mixture_contrastive_loss(
        take(made, images, classes), targets[images][:, classes], **options
    )
    torch.testing.assert_close(moved, base[images])


@given(label_rows, st.integers(0, 1000), st.floats(0.1, 2))
def test_between_nought_and_the_bound(rows, seed, temperature):
    """A log ratio lies between -log(N - 1) - 1 / temperature and 0, and D is at most 1."""
    targets = torch.tensor(rows, dtype=torch.int8)
    made, _ = densities("isotropic", len(rows), len(rows[0]), 2, seed=seed)
    got = MixtureContrastiveLoss(temperature=temperature)(made, targets).item()
    bound = math.log(max(len(rows) - 1, 1)) + 1 / temperature
    assert -1e-12 <= got <= bound + 1e-12


def test_pulling_a_positive_closer_lowers_the_loss():
    made, leaves = densities("isotropic", 4, 2, 3, seed=1)
    targets = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 0]])
    closer = {name: leaf.clone() for name, leaf in leaves.items()}
    for leaf in closer.values():
        leaf[1] = leaf[0]
    loss = MixtureContrastiveLoss()
    assert loss(density_of(closer, 3), targets) < loss(made, targets)

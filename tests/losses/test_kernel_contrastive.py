"""KernelContrastiveLoss against KMCL Eq. 7 as loops: values, edges, properties, input."""

import math

import pytest
import torch
from contrastive_cases import EVERY_FORM, FORMS, loop
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import from_leaves, generator, mixture, sparse_targets, take

from colabel.losses import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.mixtures import GaussianMixture

label_rows = st.integers(1, 4).flatmap(
    lambda classes: st.lists(
        st.lists(st.sampled_from([-1, 0, 1, 1]), min_size=classes, max_size=classes),
        min_size=1,
        max_size=6,
    )
)


# --- the paper as loops


@EVERY_FORM
@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_equals_eq_7(kind, similarity, unknown, temperature):
    made, _ = mixture(kind, 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, unknown=unknown, seed=2)
    options = {"temperature": temperature, "similarity": similarity}
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    expected = loop(made, targets, **options)
    assert got.shape == (9,)
    assert sum(value > 0.01 for value in expected) >= 3
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_equals_eq_7_on_two_labels_of_eighty():
    made, _ = mixture("isotropic", 24, 80, 3, seed=1)
    targets = sparse_targets(24, 80, density=0.025, seed=2)
    options = {"temperature": 0.2, "similarity": "bhattacharyya"}
    expected = loop(made, targets, **options)
    assert 0 in expected  # some anchors without positives, some with
    assert max(expected) > 0.01
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


@given(label_rows, st.integers(0, 1000), st.sampled_from(FORMS))
def test_any_labels_equal_eq_7(rows, seed, form):
    kind, similarity = form
    targets = torch.tensor(rows, dtype=torch.int8)
    made, _ = mixture(kind, len(rows), len(rows[0]), 2, seed=seed)
    options = {"temperature": 0.2, "similarity": similarity}
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    assert got.tolist() == pytest.approx(loop(made, targets, **options), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("kind", "similarity"), [FORMS[0], FORMS[5]])
@pytest.mark.parametrize("dim", [1, 5, 64])
def test_effective_dim_takes_the_place_of_the_width(kind, similarity, dim):
    made, _ = mixture(kind, 9, 7, 3, seed=1, spread=0.3)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    options = {"temperature": 0.2, "similarity": similarity}
    expected = loop(made, targets, dim=dim, **options)
    got = kernel_contrastive_loss(made, targets, effective_dim=dim, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)
    got = KernelContrastiveLoss(similarity=similarity, effective_dim=dim)(made, targets)
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


def test_effective_dim_need_not_be_whole():
    made, _ = mixture("isotropic", 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    expected = loop(made, targets, dim=2.5, temperature=0.2, similarity="bhattacharyya")
    got = KernelContrastiveLoss(effective_dim=2.5)(made, targets)
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


def test_by_hand_with_equal_kernels():
    """rho is 1 everywhere, so each shared class is worth log 2; each Jaccard index is 1 / 2."""
    flat = torch.ones(3, 2, dtype=torch.float64)
    made = GaussianMixture(-flat, flat, flat, dim=4)
    got = kernel_contrastive_loss(
        made,
        torch.tensor([[1, 1], [1, 0], [0, 1]]),
        temperature=0.2,
        similarity="bhattacharyya",
        effective_dim=None,
    )
    assert got.tolist() == pytest.approx([0.5 * math.log(2)] * 3)


def test_by_hand_with_one_class():
    """Means 0, 2, 4 and variance 1 in one dimension: rho is exp(-distance ** 2 / 8)."""
    mean = torch.tensor([[0.0], [2.0], [4.0]], dtype=torch.float64)
    made = GaussianMixture(-torch.ones_like(mean), mean, torch.ones_like(mean), dim=1)
    near, far = math.exp(math.exp(-0.5) / 0.2), math.exp(math.exp(-2) / 0.2)
    outer = -(math.log(near / (near + far)) + math.log(far / (near + far))) / 2
    got = kernel_contrastive_loss(
        made,
        torch.ones(3, 1),
        temperature=0.2,
        similarity="bhattacharyya",
        effective_dim=None,
    )
    assert got.tolist() == pytest.approx([outer, math.log(2), outer])


# --- the module


@EVERY_FORM
def test_the_module_is_the_mean_over_all_images(kind, similarity):
    made, _ = mixture(kind, 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.2, seed=2)
    expected = loop(made, targets, temperature=0.5, similarity=similarity)
    assert 0 in expected  # an image without positives counts in N
    got = KernelContrastiveLoss(temperature=0.5, similarity=similarity)(made, targets)
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


def test_the_defaults_are_the_papers():
    made, _ = mixture("isotropic", 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    expected = loop(made, targets, temperature=0.2, similarity="bhattacharyya")
    got = KernelContrastiveLoss()(made, targets)
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.float64])
def test_the_type_of_the_targets_does_not_matter(dtype):
    made, _ = mixture("isotropic", 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, unknown=0.2, seed=2)
    expected = loop(made, targets, temperature=0.2, similarity="bhattacharyya")
    got = KernelContrastiveLoss()(made, targets.to(dtype))
    assert got.item() == pytest.approx(sum(expected) / 9, rel=1e-10)


# --- no labels, no positives, one image, unknown labels


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
        [[1, 0, 1], [1, 1, 0]],
    ],
)
def test_nothing_to_compare_gives_nought_with_a_gradient_of_nought(kind, similarity, rows):
    """One image, no labels, no positives; and two images, whose denominator has one term."""
    targets = torch.tensor(rows, dtype=torch.int8)
    made, leaves = mixture(kind, len(rows), 3, 4, seed=1, grad=True)
    total = KernelContrastiveLoss(similarity=similarity)(made, targets)
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-12)
    for name in ("mean", "variance"):
        assert leaves[name].grad.abs().max().item() == pytest.approx(0, abs=1e-12)


@EVERY_FORM
@pytest.mark.parametrize("rows", [[[1, 0, 1]], [[0, 0, -1]], [[1, 0, -1], [1, 1, -1], [0, 1, 1]]])
def test_no_nan_hides_in_the_backward_pass(kind, similarity, rows):
    """A NaN that is masked away later would still stop whoever debugs with anomaly detection."""
    targets = torch.tensor(rows, dtype=torch.int8)
    made, leaves = mixture(kind, len(rows), 3, 4, seed=1, grad=True)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        KernelContrastiveLoss(similarity=similarity)(made, targets).backward()
    for name in ("mean", "variance"):
        assert leaves[name].grad.isfinite().all()


@EVERY_FORM
def test_an_anchor_without_positives_adds_nought_and_leaves_the_others_alone(kind, similarity):
    made, _ = mixture(kind, 5, 3, 4, seed=1)
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]])
    options = {"temperature": 0.2, "similarity": similarity}
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    assert got[2] == 0
    assert got[3] == 0
    assert got.tolist() == pytest.approx(loop(made, targets, **options), rel=1e-10)
    assert (got[[0, 1, 4]] > 0).all()


@pytest.mark.parametrize(("kind", "similarity"), [FORMS[0], FORMS[2]])
def test_an_image_without_labels_stays_in_the_denominators(kind, similarity):
    made, _ = mixture(kind, 4, 2, 3, seed=1)
    targets = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 0]])
    options = {"temperature": 0.2, "similarity": similarity, "effective_dim": None}
    without = kernel_contrastive_loss(take(made, torch.arange(3)), targets[:3], **options)
    assert (kernel_contrastive_loss(made, targets, **options)[:3] > without + 1e-3).all()


@EVERY_FORM
def test_unknown_entries_have_no_value_and_no_gradient(kind, similarity):
    _, leaves = mixture(kind, 9, 7, 3, seed=1)
    _, others = mixture(kind, 9, 7, 3, seed=8, spread=3.0)
    for name in ("mean", "variance"):  # one variance per class, so that an entry can be changed
        leaves[name] = leaves[name].expand_as(leaves["mean"]).clone().requires_grad_()
        others[name] = others[name].expand_as(others["mean"])
    targets = sparse_targets(9, 7, density=0.4, unknown=0.4, seed=2)
    options = {"temperature": 0.2, "similarity": similarity, "effective_dim": None}
    values = kernel_contrastive_loss(from_leaves(leaves, 3), targets, **options)
    values.sum().backward()
    unknown = targets == -1
    for name in ("mean", "variance"):
        slopes = leaves[name].grad
        assert (slopes[unknown] == 0).all()
        assert (slopes[~unknown] != 0).any()
        hidden = unknown[..., None] if slopes.ndim == 3 else unknown
        others[name] = torch.where(hidden, others[name], leaves[name].detach())
    moved = kernel_contrastive_loss(from_leaves(others, 3), targets, **options)
    torch.testing.assert_close(moved, values, rtol=0, atol=0)


def test_an_unknown_label_leaves_the_denominator_of_its_class_only():
    """By hand: rho is 1 everywhere, so a denominator counts its images."""
    flat = torch.ones(4, 2, dtype=torch.float64)
    made = GaussianMixture(-flat, flat, flat, dim=4)
    targets = torch.tensor([[1, 1], [1, 1], [-1, 0], [-1, 0]])
    got = kernel_contrastive_loss(
        made, targets, temperature=0.2, similarity="bhattacharyya", effective_dim=None
    )
    assert got.tolist() == pytest.approx([math.log(3), math.log(3), 0, 0], abs=1e-12)


# --- properties


@EVERY_FORM
def test_the_order_of_classes_and_images_does_not_matter(kind, similarity):
    made, _ = mixture(kind, 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, unknown=0.2, seed=2)
    images = torch.randperm(9, generator=generator(3))
    classes = torch.randperm(7, generator=generator(4))
    options = {"temperature": 0.2, "similarity": similarity, "effective_dim": None}
    base = kernel_contrastive_loss(made, targets, **options)
    moved = kernel_contrastive_loss(
        take(made, images, classes), targets[images][:, classes], **options
    )
    torch.testing.assert_close(moved, base[images])


@given(label_rows, st.integers(0, 1000), st.floats(0.1, 2))
def test_between_nought_and_the_bound(rows, seed, temperature):
    """A log ratio lies between -log(N - 1) - 1 / temperature and 0, for each shared class."""
    targets = torch.tensor(rows, dtype=torch.int8)
    made, _ = mixture("isotropic", len(rows), len(rows[0]), 2, seed=seed)
    got = KernelContrastiveLoss(temperature=temperature)(made, targets).item()
    bound = len(rows[0]) * (math.log(max(len(rows) - 1, 1)) + 1 / temperature)
    assert -1e-12 <= got <= bound + 1e-12


@given(st.floats(-3, 3), st.floats(0.2, 5), st.sampled_from(FORMS))
def test_origin_and_unit_do_not_matter(shift, unit, form):
    kind, similarity = form
    made, _ = mixture(kind, 6, 4, 3, seed=1)
    moved = GaussianMixture(made.log_weights, shift + unit * made.mean, unit**2 * made.variance, 3)
    targets = sparse_targets(6, 4, density=0.4, seed=2)
    loss = KernelContrastiveLoss(similarity=similarity)
    torch.testing.assert_close(loss(moved, targets), loss(made, targets))


def test_the_weights_of_the_mixture_do_not_matter():
    made, leaves = mixture("isotropic", 6, 4, 3, seed=1)
    others = leaves | {"logits": leaves["logits"] * -3}
    targets = sparse_targets(6, 4, density=0.4, seed=2)
    loss = KernelContrastiveLoss()
    assert torch.equal(loss(from_leaves(others, 3), targets), loss(made, targets))


@pytest.mark.parametrize("unknown", [0.0, 0.2])
def test_isotropic_is_diagonal_with_equal_dimensions(unknown):
    made, _ = mixture("isotropic", 9, 7, 3, seed=1)
    spread = GaussianMixture(
        made.log_weights,
        made.mean[..., None].expand(9, 7, 3),
        made.variance[..., None].expand(9, 7, 3),
        3,
    )
    targets = sparse_targets(9, 7, density=0.3, unknown=unknown, seed=2)
    loss = KernelContrastiveLoss()
    torch.testing.assert_close(loss(spread, targets), loss(made, targets))


@pytest.mark.parametrize(
    ("kind", "similarity"), [("shared_diagonal", "mahalanobis"), ("shared_isotropic", "gaussian")]
)
def test_with_one_variance_for_all_images_every_similarity_is_rho(kind, similarity):
    """Corollary 1: the special similarities are rho where the covariances are equal."""
    made, leaves = mixture(kind, 9, 7, 3, seed=1)
    leaves["variance"] = leaves["variance"][:1].expand_as(leaves["variance"])
    same = from_leaves(leaves, 3)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    torch.testing.assert_close(
        KernelContrastiveLoss(similarity=similarity)(same, targets),
        KernelContrastiveLoss(similarity="bhattacharyya")(same, targets),
    )
    differing = KernelContrastiveLoss(similarity=similarity)(made, targets)
    assert abs(differing - KernelContrastiveLoss()(made, targets)) > 1e-3


def test_pulling_a_positive_closer_lowers_the_loss():
    made, leaves = mixture("isotropic", 4, 1, 3, seed=1)
    targets = torch.tensor([[1], [1], [0], [0]])
    closer = leaves["mean"].clone()
    closer[1] = closer[0]
    leaves["variance"][1] = leaves["variance"][0]
    loss = KernelContrastiveLoss()
    assert loss(from_leaves(leaves | {"mean": closer}, 3), targets) < loss(made, targets)


# --- input


@EVERY_FORM
def test_the_inputs_are_left_as_they_were(kind, similarity):
    made, leaves = mixture(kind, 6, 5, 3)
    targets = sparse_targets(6, 5, density=0.4, unknown=0.3).double()
    inputs = [*leaves.values(), made.log_weights, targets]
    before = [part.clone() for part in inputs]
    KernelContrastiveLoss(similarity=similarity)(made, targets)
    for part, copy in zip(inputs, before, strict=True):
        assert torch.equal(part, copy)


@EVERY_FORM
@pytest.mark.parametrize("shape", [(5, 4), (4, 1), (1, 5), (5,)])
def test_targets_of_another_shape_are_named(kind, similarity, shape, unchecked_shapes):
    made, _ = mixture(kind, 4, 5, 3)
    with pytest.raises(ValueError, match="targets") as raised:
        KernelContrastiveLoss(similarity=similarity)(made, torch.zeros(shape))
    assert "(4, 5)" in str(raised.value)
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize("temperature", [0.0, -0.2])
def test_a_temperature_that_is_not_positive_is_named(temperature):
    with pytest.raises(ValueError, match="temperature") as raised:
        KernelContrastiveLoss(temperature=temperature)
    assert str(temperature) in str(raised.value)


def test_an_unknown_similarity_is_named(unchecked_shapes):
    with pytest.raises(ValueError, match="similarity") as raised:
        KernelContrastiveLoss(similarity="euclidean")
    assert "euclidean" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "similarity", "effective_dim"),
    [
        ("isotropic", "mahalanobis", None),
        ("diagonal", "gaussian", None),
        ("diagonal", "bhattacharyya", 4),
    ],
)
def test_a_similarity_that_does_not_fit_the_kernels_is_named(kind, similarity, effective_dim):
    made, _ = mixture(kind, 4, 5, 3)
    loss = KernelContrastiveLoss(similarity=similarity, effective_dim=effective_dim)
    with pytest.raises(ValueError, match=kind) as raised:
        loss(made, torch.ones(4, 5))
    assert similarity in str(raised.value)


@pytest.mark.parametrize("effective_dim", [0, -3])
def test_an_effective_dim_that_is_not_positive_is_named(effective_dim):
    with pytest.raises(ValueError, match="effective_dim") as raised:
        KernelContrastiveLoss(effective_dim=effective_dim)
    assert str(effective_dim) in str(raised.value)

"""AsymmetricLoss against KMCL Eq. 6 as loops, and its gradient against the closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import draw, generator, sigmoid, sparse_targets
from reference import kmcl
from torch.nn.functional import binary_cross_entropy_with_logits

from colabel.losses import AsymmetricLoss, asymmetric_loss

PAPER = {"gamma_positive": 0.0, "gamma_negative": 4.0, "margin": 0.05}
SETTINGS = [
    PAPER,
    {"gamma_positive": 1.0, "gamma_negative": 4.0, "margin": 0.05},
    {"gamma_positive": 2.0, "gamma_negative": 1.0, "margin": 0.2},
    {"gamma_positive": 0.5, "gamma_negative": 0.5, "margin": 0.3},
    {"gamma_positive": 0.0, "gamma_negative": 0.0, "margin": 0.0},
    {"gamma_positive": 0.5, "gamma_negative": 0.5, "margin": 0.0},
    {"gamma_positive": 3.0, "gamma_negative": 2.0, "margin": 0.0},
]
logit_values = st.floats(-8, 8)
label_values = st.sampled_from([-1, 0, 1])


def loop(logits, targets, **options):
    return [
        kmcl.asymmetric([sigmoid(z) for z in row], labels, **options)
        for row, labels in zip(logits.tolist(), targets.tolist(), strict=True)
    ]


def slope(z, y, *, gamma_positive, gamma_negative, margin, detach):
    """Closed form of the derivative of one term of Eq. 6 in its logit."""
    p, q = sigmoid(z), sigmoid(-z)
    if y == 1:
        weight = q**gamma_positive
        return -weight * q + (0 if detach else gamma_positive * weight * p * math.log(p))
    if y == -1 or p <= margin:
        return 0.0
    shifted, rest = p - margin, q + margin  # rest = 1 - shifted, without cancellation
    direct = shifted**gamma_negative * p * q / rest
    if detach:
        return direct
    return direct - math.log(rest) * gamma_negative * shifted ** (gamma_negative - 1) * p * q


def gradient(logits, targets, **options):
    leaf = logits.clone().requires_grad_()
    asymmetric_loss(leaf, targets, **options).sum().backward()
    return leaf.grad


# --- the paper as loops


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_equals_eq_6(options, detach, unknown):
    logits = 3 * draw(6, 20, seed=1)
    targets = sparse_targets(6, 20, density=0.1, unknown=unknown, seed=2)
    got = asymmetric_loss(logits, targets, detach_focusing=detach, **options)
    assert got.shape == (6,)
    assert got.tolist() == pytest.approx(loop(logits, targets, **options), rel=1e-12)


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("smoothing", [0.1, 0.6])
def test_smoothed_labels_mix_both_parts_of_eq_6(options, smoothing):
    logits = 3 * draw(6, 20, seed=1)
    targets = sparse_targets(6, 20, density=0.1, unknown=0.3, seed=2)
    expected = []
    for row, labels in zip(logits.tolist(), targets.tolist(), strict=True):
        total = 0.0
        for z, y in zip(row, labels, strict=True):
            if y == -1:
                continue
            soft = 1 - smoothing / 2 if y == 1 else smoothing / 2
            present, absent = (kmcl.asymmetric([sigmoid(z)], [hard], **options) for hard in (1, 0))
            total += soft * present + (1 - soft) * absent
        expected.append(total)
    got = asymmetric_loss(logits, targets, label_smoothing=smoothing, **options)
    assert got.tolist() == pytest.approx(expected, rel=1e-12)
    module = AsymmetricLoss(**options, label_smoothing=smoothing)
    assert torch.equal(module(logits, targets), got.sum())


@given(st.lists(st.tuples(logit_values, label_values), min_size=1, max_size=6))
def test_any_row_equals_eq_6(row):
    logits = torch.tensor([[z for z, _ in row]], dtype=torch.float64)
    targets = torch.tensor([[y for _, y in row]], dtype=torch.int8)
    got = asymmetric_loss(logits, targets, detach_focusing=True, **PAPER)
    assert got.item() == pytest.approx(loop(logits, targets, **PAPER)[0], rel=1e-11, abs=1e-300)
    assert got.item() >= 0


def test_by_hand():
    """Probabilities 3/4 (present), 1/4 (absent), 1/32 (absent, below the margin)."""
    logits = torch.tensor([[math.log(3), -math.log(3), -math.log(31)]], dtype=torch.float64)
    targets = torch.tensor([[1, 0, 0]])
    got = asymmetric_loss(logits, targets, detach_focusing=True, **PAPER)
    assert got.item() == pytest.approx(-math.log(0.75) - 0.2**4 * math.log(0.8), rel=1e-12)


def test_without_focusing_and_margin_it_is_binary_cross_entropy():
    logits = 3 * draw(5, 7, seed=1)
    targets = sparse_targets(5, 7, seed=2).double()
    options = {"gamma_positive": 0.0, "gamma_negative": 0.0, "margin": 0.0}
    torch.testing.assert_close(
        asymmetric_loss(logits, targets, detach_focusing=True, **options),
        binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1),
    )


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.float64])
def test_the_type_of_the_targets_does_not_matter(dtype):
    logits = 3 * draw(6, 20, seed=1)
    targets = sparse_targets(6, 20, unknown=0.2, seed=2)
    got = asymmetric_loss(logits, targets.to(dtype), detach_focusing=True, **PAPER)
    assert got.tolist() == pytest.approx(loop(logits, targets, **PAPER), rel=1e-12)


# --- the module


def test_the_module_sums_over_the_batch_or_divides_by_it():
    logits, targets = 3 * draw(6, 20, seed=1), sparse_targets(6, 20, unknown=0.2, seed=2)
    rows = loop(logits, targets, **PAPER)
    total = AsymmetricLoss(**PAPER, reduction="sum")(logits, targets)
    mean = AsymmetricLoss(**PAPER, reduction="mean")(logits, targets)
    assert total.item() == pytest.approx(sum(rows), rel=1e-12)
    assert mean.item() == pytest.approx(sum(rows) / 6, rel=1e-12)


def test_the_defaults_are_the_papers_with_a_sum_and_a_detached_weight():
    logits = (3 * draw(6, 20, seed=1)).requires_grad_()
    targets = sparse_targets(6, 20, seed=2)
    total = AsymmetricLoss()(logits, targets)
    assert total.item() == pytest.approx(sum(loop(logits, targets, **PAPER)), rel=1e-12)
    total.backward()
    expected = [
        [slope(z, y, detach=True, **PAPER) for z, y in zip(row, labels, strict=True)]
        for row, labels in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    torch.testing.assert_close(logits.grad, torch.tensor(expected, dtype=torch.float64))


def test_the_module_passes_every_option_on():
    logits, targets = 3 * draw(6, 20, seed=1), sparse_targets(6, 20, seed=2)
    for options in SETTINGS:
        for detach in (True, False):
            leaf = logits.clone().requires_grad_()
            AsymmetricLoss(**options, detach_focusing=detach)(leaf, targets).backward()
            expected = gradient(logits, targets, detach_focusing=detach, **options)
            torch.testing.assert_close(leaf.grad, expected)


# --- gradients


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("detach", [True, False])
def test_gradient_equals_the_closed_form(options, detach):
    logits = 3 * draw(6, 20, seed=1)
    targets = sparse_targets(6, 20, density=0.3, unknown=0.2, seed=2)
    got = gradient(logits, targets, detach_focusing=detach, **options)
    for n, labels in enumerate(targets.tolist()):
        for k, y in enumerate(labels):
            expected = slope(logits[n, k].item(), y, detach=detach, **options)
            assert got[n, k].item() == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("options", SETTINGS)
def test_gradcheck_of_the_literal_form(options):
    logits = (2 * draw(3, 8, seed=1)).requires_grad_()
    targets = sparse_targets(3, 8, density=0.4, unknown=0.2, seed=2)
    torch.autograd.gradcheck(
        lambda leaf: asymmetric_loss(leaf, targets, detach_focusing=False, **options), (logits,)
    )


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize(
    ("gamma_positive", "gamma_negative"), [(0.0, 0.0), (0.0, 4.0), (1.0, 4.0)]
)
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("z", [-20.0, 20.0])
def test_float32_gradients_at_logit_20_are_alive(
    z, y, detach, gamma_positive, gamma_negative, margin
):
    """Sigmoid(20) rounds to 1 in float32: the gradient must not be computed from 1 - p."""
    options = {
        "gamma_positive": gamma_positive,
        "gamma_negative": gamma_negative,
        "margin": margin,
    }
    got = gradient(torch.tensor([[z]]), torch.tensor([[y]]), detach_focusing=detach, **options)
    expected = slope(z, y, detach=detach, **options)
    assert got.item() == pytest.approx(expected, rel=1e-4, abs=1e-37)
    if y == (z < 0):
        assert got.item() != 0  # a wrong answer always pulls


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 20.0, 100.0, 1000.0])
def test_values_and_gradients_are_finite_at_any_logit(size, dtype, detach, options):
    logits = torch.tensor([[-size, size, -size, size, -size, size]], dtype=dtype)
    targets = torch.tensor([[0, 0, 1, 1, -1, -1]])
    leaf = logits.clone().requires_grad_()
    value = asymmetric_loss(leaf, targets, detach_focusing=detach, **options)
    value.sum().backward()
    assert value.isfinite().all()
    assert leaf.grad.isfinite().all()
    assert (leaf.grad[0, :2] >= 0).all()
    assert (leaf.grad[0, 2:4] <= 0).all()
    assert (leaf.grad[0, 4:] == 0).all()


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("gamma_negative", [0.5, 1.0, 4.0])
def test_a_probability_right_at_the_margin_has_no_slope(gamma_negative, detach):
    """The power of 0 has an infinite slope where gamma is below 1, and the loss there is 0."""
    options = {"gamma_positive": 0.0, "gamma_negative": gamma_negative, "margin": 0.5}
    got = gradient(torch.tensor([[0.0]]), torch.tensor([[0]]), detach_focusing=detach, **options)
    assert got.item() == 0


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_a_present_class_far_below_still_pulls_with_full_force(size):
    got = gradient(torch.tensor([[-size]]), torch.tensor([[1]]), detach_focusing=True, **PAPER)
    assert got.item() == pytest.approx(-1)


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_without_a_margin_an_absent_class_far_above_still_pushes_with_full_force(size):
    options = PAPER | {"margin": 0.0}
    leaf = torch.tensor([[size]], requires_grad=True)
    value = asymmetric_loss(leaf, torch.tensor([[0]]), detach_focusing=True, **options)
    value.sum().backward()
    assert value.item() == pytest.approx(size)
    assert leaf.grad.item() == pytest.approx(1)


def test_the_gradient_mode_is_left_alone():
    logits, targets = draw(2, 3), torch.zeros(2, 3)
    with torch.no_grad():
        AsymmetricLoss()(logits, targets)
        assert not torch.is_grad_enabled()
    AsymmetricLoss()(logits, targets)
    assert torch.is_grad_enabled()


# --- unknown labels, no labels


@pytest.mark.parametrize("detach", [True, False])
def test_unknown_entries_have_no_value_and_no_gradient(detach):
    logits = 3 * draw(6, 20, seed=1)
    targets = sparse_targets(6, 20, unknown=0.4, seed=2)
    unknown = targets == -1
    options = PAPER | {"gamma_positive": 1.0, "detach_focusing": detach}
    assert (gradient(logits, targets, **options)[unknown] == 0).all()
    moved = torch.where(unknown, 50 * draw(6, 20, seed=3), logits)
    torch.testing.assert_close(
        asymmetric_loss(moved, targets, **options),
        asymmetric_loss(logits, targets, **options),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_nothing_known_gives_nought(batch):
    logits = (3 * draw(batch, 4)).requires_grad_()
    total = AsymmetricLoss()(logits, torch.full((batch, 4), -1))
    total.backward()
    assert total == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_an_image_without_labels_counts_its_absent_classes():
    logits, targets = 3 * draw(1, 9, seed=4), torch.zeros(1, 9)
    got = AsymmetricLoss(reduction="mean")(logits, targets)
    assert got.item() == pytest.approx(loop(logits, targets, **PAPER)[0], rel=1e-12)
    assert got > 0


# --- order, precision, input


def test_the_order_of_classes_and_images_does_not_matter():
    logits, targets = 3 * draw(6, 9, seed=1), sparse_targets(6, 9, unknown=0.2, seed=2)
    images = torch.randperm(6, generator=generator(3))
    classes = torch.randperm(9, generator=generator(4))
    base = asymmetric_loss(logits, targets, detach_focusing=True, **PAPER)
    moved = asymmetric_loss(
        logits[images][:, classes], targets[images][:, classes], detach_focusing=True, **PAPER
    )
    torch.testing.assert_close(moved, base[images])


@pytest.mark.parametrize("options", SETTINGS)
def test_float32_against_the_loops(options):
    """80 terms of one sign: a relative 2e-6; p - margin loses a digit near the margin."""
    logits = (3 * draw(16, 80, seed=1)).float()
    targets = sparse_targets(16, 80, density=0.04, seed=2)
    got = asymmetric_loss(logits, targets, detach_focusing=True, **options)
    assert got.dtype is torch.float32
    assert got.tolist() == pytest.approx(loop(logits, targets, **options), rel=5e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("detach", [True, False])
def test_half_precision_is_computed_in_float32(dtype, detach):
    logits = torch.cat([3 * draw(3, 80, seed=1), torch.tensor([[-100.0, 100] * 40])]).to(dtype)
    targets = sparse_targets(4, 80, density=0.1, unknown=0.1, seed=2)
    options = PAPER | {"detach_focusing": detach}
    got = asymmetric_loss(logits, targets, **options)
    expected = asymmetric_loss(logits.float(), targets, **options)
    torch.testing.assert_close(got, expected)  # the same type, too
    slopes = gradient(logits, targets, **options)
    assert slopes.dtype is dtype
    wide = gradient(logits.float(), targets, **options)
    torch.testing.assert_close(slopes.float(), wide, rtol=1e-2, atol=1e-3)


def test_the_inputs_are_left_as_they_were():
    logits, targets = draw(4, 5), sparse_targets(4, 5, unknown=0.3).double()
    before = logits.clone(), targets.clone()
    AsymmetricLoss()(logits, targets)
    assert torch.equal(logits, before[0])
    assert torch.equal(targets, before[1])


@pytest.mark.parametrize(("first", "second"), [((8, 4), (4, 8)), ((8, 4), (8, 1)), ((8, 4), (4,))])
def test_shapes_that_differ_are_named(first, second, unchecked_shapes):
    with pytest.raises(ValueError, match="targets") as raised:
        AsymmetricLoss()(torch.zeros(first), torch.zeros(second))
    assert str(first) in str(raised.value)
    assert str(second) in str(raised.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"reduction": "average"}, "average"),
        ({"gamma_negative": -1.0}, "-1"),
        ({"gamma_positive": -1.0}, "-1"),
        ({"margin": -0.1}, "-0.1"),
        ({"margin": 1.0}, "1"),
    ],
)
def test_options_out_of_range_are_named(options, named, unchecked_shapes):
    with pytest.raises(ValueError, match=next(iter(options))) as raised:
        AsymmetricLoss(**options)
    assert named in str(raised.value)

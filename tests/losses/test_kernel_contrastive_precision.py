"""KernelContrastiveLoss: gradients against naive tensors, and float32 at real widths.

The log of rho is good to some 1e-6 of itself and matters only while rho does, so rho is good to
1e-6 absolute and the loss to 1e-6 / temperature per shared class: atol 2e-5. Each gradient is held
to 1e-4 of its largest entry. The small spread of the means is what a default linear layer gives.
"""

import pytest
import torch
from contrastive_cases import EVERY_FORM, gradients, loop, naive
from mixture_cases import convert, from_leaves, mixture, sparse_targets

from colabel.losses import KernelContrastiveLoss, kernel_contrastive_loss
from colabel.mixtures import GaussianMixture

WIDTHS = [2048, 2432]


# --- gradients


@EVERY_FORM
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_gradient_equals_autograd_through_naive_tensors(kind, similarity, unknown):
    _, leaves = mixture(kind, 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, unknown=unknown, seed=2)
    options = {"temperature": 0.2, "similarity": similarity}
    expected = gradients(naive, leaves, 3, targets, **options)
    got = gradients(kernel_contrastive_loss, leaves, 3, targets, effective_dim=None, **options)
    for ours, theirs in zip(got, expected, strict=True):
        assert theirs.abs().max() > 0.01
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@EVERY_FORM
def test_a_larger_batch_and_width_equal_naive_tensors(kind, similarity):
    """Large enough that work done in blocks needs several, with a ragged last one."""
    made, leaves = mixture(kind, 37, 11, 131, seed=1, spread=0.2)
    targets = sparse_targets(37, 11, density=0.4, unknown=0.05, seed=2)
    options = {"temperature": 0.2, "similarity": similarity}
    expected = naive(made, targets, **options)
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    expected = gradients(naive, leaves, 131, targets, **options)
    got = gradients(kernel_contrastive_loss, leaves, 131, targets, effective_dim=None, **options)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-11)


@EVERY_FORM
def test_gradcheck(kind, similarity):
    _, leaves = mixture(kind, 5, 3, 2, seed=1, grad=True)
    targets = torch.tensor(
        [[1, 1, 0], [1, 0, 0], [0, 1, -1], [0, 0, 0], [1, -1, 1]], dtype=torch.int8
    )

    def value(mean, variance):
        made = from_leaves(leaves | {"mean": mean, "variance": variance}, 2)
        return kernel_contrastive_loss(
            made, targets, temperature=0.2, similarity=similarity, effective_dim=None
        )

    torch.autograd.gradcheck(value, (leaves["mean"], leaves["variance"]))


@EVERY_FORM
@pytest.mark.parametrize("leaf", ["mean", "variance"])
def test_one_leaf_may_be_fixed(kind, similarity, leaf):
    _, leaves = mixture(kind, 9, 7, 3, seed=1)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    both = gradients(
        kernel_contrastive_loss,
        leaves,
        3,
        targets,
        temperature=0.2,
        similarity=similarity,
        effective_dim=None,
    )
    leaves[leaf].requires_grad_()
    values = kernel_contrastive_loss(
        from_leaves(leaves, 3), targets, temperature=0.2, similarity=similarity, effective_dim=None
    )
    (values * (1 + torch.arange(9))).sum().backward()
    torch.testing.assert_close(leaves[leaf].grad, both[leaf == "variance"])


def test_without_gradients_the_value_is_the_same():
    made, _ = mixture("diagonal", 9, 7, 3, seed=1, grad=True)
    targets = sparse_targets(9, 7, density=0.3, seed=2)
    with torch.no_grad():
        quiet = KernelContrastiveLoss()(made, targets)
    loud = KernelContrastiveLoss()(made, targets)
    assert not quiet.requires_grad
    assert loud.requires_grad
    torch.testing.assert_close(quiet, loud.detach())


# --- precision


@EVERY_FORM
@pytest.mark.parametrize("dim", WIDTHS)
@pytest.mark.parametrize("spread", [0.02, 1.0])
def test_float32_at_real_width(kind, similarity, dim, spread):
    batch, classes = (12, 6) if kind.endswith("diagonal") else (24, 20)
    made, leaves = mixture(
        kind, batch, classes, dim, seed=1, dtype=torch.float32, spread=spread, offset=3.0
    )
    targets = sparse_targets(batch, classes, density=0.15, unknown=0.05, seed=2)
    if spread < 1:  # like a trained head: variances of one class are close to one another
        leaves["variance"] = 1.5 + 0.02 * leaves["variance"]
        made = from_leaves(leaves, dim)
    options = {"temperature": 0.2, "similarity": similarity, "effective_dim": None}
    got = kernel_contrastive_loss(made, targets, **options)
    assert got.dtype is torch.float32
    wide = kernel_contrastive_loss(convert(made, torch.float64), targets, **options)
    assert wide.max() > 0.1
    torch.testing.assert_close(got.double(), wide, rtol=1e-5, atol=2e-5)
    wide_leaves = {name: leaf.double() for name, leaf in leaves.items()}
    expected = gradients(kernel_contrastive_loss, wide_leaves, dim, targets, **options)
    slopes = gradients(kernel_contrastive_loss, leaves, dim, targets, **options)
    for narrow, exact in zip(slopes, expected, strict=True):
        assert narrow.isfinite().all()
        size = exact.abs().max().item()
        torch.testing.assert_close(narrow.double(), exact, rtol=0, atol=1e-4 * size + 1e-12)


@EVERY_FORM
def test_float32_at_a_temperature_whose_exponentials_overflow(kind, similarity):
    """exp(1 / 0.005) is 1e86: 88 is where float32 ends. Tolerance: 1e-6 / temperature."""
    made, _ = mixture(kind, 8, 5, 3, seed=1, dtype=torch.float32)
    targets = sparse_targets(8, 5, density=0.4, seed=2)
    options = {"temperature": 0.005, "similarity": similarity}
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    expected = loop(made, targets, **options)
    assert max(expected) > 10
    assert got.tolist() == pytest.approx(expected, rel=1e-5, abs=2e-4)


@EVERY_FORM
def test_float64_at_real_width_against_the_loops(kind, similarity):
    made, _ = mixture(kind, 5, 3, 200, seed=1, spread=0.1)
    made = GaussianMixture(made.log_weights, made.mean, 1.5 + 0.02 * made.variance, 200)
    targets = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 1, -1], [0, 0, 1], [1, -1, 1]])
    options = {"temperature": 0.2, "similarity": similarity}
    got = kernel_contrastive_loss(made, targets, effective_dim=None, **options)
    assert got.tolist() == pytest.approx(loop(made, targets, **options), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@EVERY_FORM
def test_half_precision_is_computed_in_float32(dtype, kind, similarity):
    made, leaves = mixture(kind, 8, 6, 2048, seed=1, dtype=dtype, spread=0.02, grad=True)
    targets = sparse_targets(8, 6, density=0.3, unknown=0.1, seed=2)
    loss = KernelContrastiveLoss(similarity=similarity)
    got = loss(made, targets)
    got.backward()
    expected = loss(convert(made, torch.float32), targets)
    torch.testing.assert_close(got, expected)  # the same type, too
    for name in ("mean", "variance"):
        assert leaves[name].grad.dtype is dtype
        assert leaves[name].grad.isfinite().all()


@EVERY_FORM
def test_autocast_does_not_coarsen_it(kind, similarity):
    _, leaves = mixture(kind, 12, 6, 512, seed=1, dtype=torch.float32, spread=0.05)
    targets = sparse_targets(12, 6, density=0.3, seed=2)
    options = {"temperature": 0.2, "similarity": similarity, "effective_dim": None}
    made = from_leaves(leaves, 512)
    expected = kernel_contrastive_loss(made, targets, **options)
    slopes = gradients(kernel_contrastive_loss, leaves, 512, targets, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = kernel_contrastive_loss(made, targets, **options)
        coarse = gradients(kernel_contrastive_loss, leaves, 512, targets, **options)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(coarse, slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)

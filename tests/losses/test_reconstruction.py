"""ReconstructionLoss against KMCL Eq. 5 as loops."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import (
    draw,
    from_leaves,
    generator,
    mixture,
    sigmoid,
    sparse_targets,
    take,
)
from reference import kmcl

from colabel.losses import ReconstructionLoss, log_kernels, reconstruction_loss
from colabel.mixtures import GaussianMixture

KINDS = ["isotropic", "diagonal", "shared_isotropic", "shared_diagonal"]
BOTH = pytest.mark.parametrize("per_dimension", [True, False])
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)

label_rows = st.integers(1, 5).flatmap(
    lambda classes: st.lists(
        st.lists(st.sampled_from([-1, 0, 1]), min_size=classes, max_size=classes),
        min_size=1,
        max_size=4,
    )
)


def loop(made, features, targets, *, per_dimension):
    weights = [[sigmoid(z) for z in row] for row in made.logits.tolist()]
    return [
        kmcl.reconstruction(*parts, per_dimension=per_dimension)
        for parts in zip(
            features.tolist(),
            weights,
            made.mean.tolist(),
            made.variance.tolist(),
            targets.tolist(),
            strict=True,
        )
    ]


# --- the paper as loops


@EVERY_KIND
@BOTH
def test_the_kernels_and_their_mixture_equal_eq_4(kind, per_dimension):
    made, _ = mixture(kind, 6, 10, 4, seed=1)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 10, density=0.4, seed=3)
    kernels = log_kernels(made, features, per_dimension=per_dimension)
    assert kernels.shape == (6, 10)
    weights = [[sigmoid(z) for z in row] for row in made.logits.tolist()]
    for n, labels in enumerate(targets.tolist()):
        mean, variance = made.mean[n].tolist(), made.variance[n].tolist()
        for k in range(10):
            expected = kmcl.kernel_value(
                features[n].tolist(), mean[k], variance[k], per_dimension=per_dimension
            )
            assert kernels[n, k].exp().item() == pytest.approx(expected, rel=1e-11)
        present = [k for k, y in enumerate(labels) if y == 1]
        expected = kmcl.mixture_value(
            features[n].tolist(), weights[n], mean, variance, present, per_dimension=per_dimension
        )
        got = (made.log_weights + kernels)[n, present].exp().sum().item()
        assert got == pytest.approx(expected, rel=1e-11)


@EVERY_KIND
@BOTH
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_equals_eq_5(kind, per_dimension, unknown):
    made, _ = mixture(kind, 6, 10, 4, seed=1)
    features = draw(6, 4, seed=2)
    targets = sparse_targets(6, 10, density=0.15, unknown=unknown, seed=3)
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    expected = loop(made, features, targets, per_dimension=per_dimension)
    assert got.shape == (6,)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


@given(label_rows, st.integers(0, 1000), st.sampled_from(KINDS), st.booleans())
def test_any_labels_equal_eq_5(rows, seed, kind, per_dimension):
    targets = torch.tensor(rows, dtype=torch.int8)
    made, _ = mixture(kind, len(rows), len(rows[0]), 3, seed=seed)
    features = draw(len(rows), 3, seed=seed + 1)
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    expected = loop(made, features, targets, per_dimension=per_dimension)
    assert got.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert got.min() >= -1e-12


def test_by_hand():
    """Two kernels with weight 1/2 and 1/4 at the feature itself and at distance 2, variance 1."""
    half = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    made = GaussianMixture(
        half.log(), torch.tensor([[0.0, 1.0]]).double(), torch.ones(1, 2).double(), dim=2
    )
    features, targets = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[0, 1]])
    near, far = 0.5, 0.25 * mpmath.exp(-1)  # exponent: -(1 + 1) / 2
    expected = float(-mpmath.log(far / (near + far)))
    got = reconstruction_loss(made, features, targets, per_dimension=False)
    assert got.item() == pytest.approx(expected)
    far = 0.25 * mpmath.exp(-0.5)
    expected = float(-mpmath.log(far / (near + far)))
    got = reconstruction_loss(made, features, targets, per_dimension=True)
    assert got.item() == pytest.approx(expected)


@EVERY_KIND
def test_dividing_the_exponent_by_the_width_is_multiplying_the_variance(kind):
    made, _ = mixture(kind, 6, 10, 4, seed=1)
    wider = GaussianMixture(made.log_weights, made.mean, made.variance * 4, 4, made.logits)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 10, seed=3)
    torch.testing.assert_close(
        reconstruction_loss(made, features, targets, per_dimension=True),
        reconstruction_loss(wider, features, targets, per_dimension=False),
    )


@EVERY_KIND
def test_the_module_is_the_batch_mean_and_divides_by_the_width_by_default(kind):
    made, _ = mixture(kind, 6, 10, 4, seed=1)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 10, density=0.1, seed=3)
    assert (targets.sum(dim=1) == 0).any()  # images without labels count in N
    default = loop(made, features, targets, per_dimension=True)
    literal = loop(made, features, targets, per_dimension=False)
    got = ReconstructionLoss()(made, features, targets)
    assert got.item() == pytest.approx(sum(default) / 6, rel=1e-10)
    got = ReconstructionLoss(per_dimension=False)(made, features, targets)
    assert got.item() == pytest.approx(sum(literal) / 6, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.float64])
def test_the_type_of_the_targets_does_not_matter(dtype):
    made, _ = mixture("isotropic", 6, 10, 4, seed=1)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 10, unknown=0.2, seed=3)
    got = reconstruction_loss(made, features, targets.to(dtype), per_dimension=True)
    expected = loop(made, features, targets, per_dimension=True)
    assert got.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_every_class_present_gives_nought():
    made, _ = mixture("isotropic", 3, 5, 4, seed=1)
    targets = torch.tensor([[1, 1, 1, 1, 1], [1, -1, 1, 1, 1], [-1, -1, -1, 1, -1]])
    got = reconstruction_loss(made, draw(3, 4), targets, per_dimension=False)
    assert got.tolist() == pytest.approx([0, 0, 0], abs=1e-12)


# --- gradients


@EVERY_KIND
@BOTH
def test_gradcheck(kind, per_dimension):
    _, leaves = mixture(kind, 4, 5, 3, seed=1, grad=True)
    features = draw(4, 3, seed=2).requires_grad_()
    targets = torch.tensor(
        [[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, -1, 0, 0, -1], [0, 0, 0, 0, 1]], dtype=torch.int8
    )

    def value(logits, mean, variance, points):
        made = from_leaves({"logits": logits, "mean": mean, "variance": variance}, 3)
        return reconstruction_loss(made, points, targets, per_dimension=per_dimension)

    torch.autograd.gradcheck(value, (*leaves.values(), features))


@EVERY_KIND
@BOTH
@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("batch", [1, 3])
def test_no_labels_give_nought_with_a_gradient_of_nought(kind, per_dimension, value, batch):
    made, leaves = mixture(kind, batch, 5, 4, seed=1, grad=True)
    features = draw(batch, 4, seed=2).requires_grad_()
    total = ReconstructionLoss(per_dimension=per_dimension)(
        made, features, torch.full((batch, 5), value)
    )
    total.backward()
    assert total == 0
    for leaf in (*leaves.values(), features):
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


@EVERY_KIND
@BOTH
def test_no_nan_hides_in_the_backward_pass(kind, per_dimension):
    """A NaN that is masked away later would still stop whoever debugs with anomaly detection."""
    made, leaves = mixture(kind, 4, 3, 4, seed=1, grad=True)
    targets = torch.tensor([[0, 0, 0], [-1, -1, -1], [1, 1, 1], [1, 0, -1]])
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        reconstruction_loss(
            made, draw(4, 4), targets, per_dimension=per_dimension
        ).sum().backward()
    for leaf in leaves.values():
        assert leaf.grad.isfinite().all()


@BOTH
def test_an_image_without_labels_leaves_the_others_alone(per_dimension):
    made, leaves = mixture("isotropic", 3, 5, 4, seed=1, grad=True)
    features = draw(3, 4, seed=2)
    targets = torch.tensor([[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    values = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    values.sum().backward()
    assert values[1] == 0
    assert (values[[0, 2]] > 0).all()
    for leaf in leaves.values():
        assert (leaf.grad[1] == 0).all()
        assert (leaf.grad[[0, 2]] != 0).any()


@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
@BOTH
def test_unknown_classes_have_no_value_and_no_gradient(kind, per_dimension):
    made, leaves = mixture(kind, 6, 10, 4, seed=1, grad=True)
    features = draw(6, 4, seed=2)
    targets = sparse_targets(6, 10, density=0.4, unknown=0.4, seed=3)
    values = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    values.sum().backward()
    unknown = targets == -1
    for leaf in leaves.values():
        assert (leaf.grad[unknown] == 0).all()
        assert (leaf.grad[~unknown] != 0).any()
    _, others = mixture(kind, 6, 10, 4, seed=9, spread=5.0)
    for name, leaf in leaves.items():
        hidden = unknown[..., None] if leaf.ndim == 3 else unknown
        others[name] = torch.where(hidden, others[name], leaf.detach())
    moved = reconstruction_loss(
        from_leaves(others, 4), features, targets, per_dimension=per_dimension
    )
    torch.testing.assert_close(moved, values, rtol=0, atol=0)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_next_to_nought_and_one_stay_finite(per_dimension, dtype):
    leaves = {
        "logits": torch.tensor([[-100.0, 100.0], [-1000.0, 1000.0], [100.0, -100.0]], dtype=dtype),
        "mean": torch.tensor([[0.0, 0.1]] * 3, dtype=dtype),
        "variance": torch.ones(3, 2, dtype=dtype),
    }
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    values = reconstruction_loss(
        from_leaves(leaves, 4),
        torch.zeros(3, 4, dtype=dtype),
        torch.tensor([[1, 0]] * 3),
        per_dimension=per_dimension,
    )
    values.sum().backward()
    assert values.tolist() == pytest.approx([100, 1000, 0], abs=0.1)
    for leaf in leaves.values():
        assert leaf.grad.isfinite().all()
    assert leaves["logits"].grad[1, 0].item() == pytest.approx(-1)


# --- properties


@EVERY_KIND
@BOTH
def test_the_order_of_classes_and_images_does_not_matter(kind, per_dimension):
    made, _ = mixture(kind, 6, 9, 4, seed=1)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 9, unknown=0.2, seed=3)
    images = torch.randperm(6, generator=generator(4))
    classes = torch.randperm(9, generator=generator(5))
    base = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    moved = reconstruction_loss(
        take(made, images, classes),
        features[images],
        targets[images][:, classes],
        per_dimension=per_dimension,
    )
    torch.testing.assert_close(moved, base[images])


@BOTH
def test_the_order_of_dimensions_does_not_matter_to_isotropic_kernels(per_dimension):
    made, _ = mixture("isotropic", 6, 9, 4, seed=1)
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 9, seed=3)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        reconstruction_loss(made, features[:, order], targets, per_dimension=per_dimension),
        reconstruction_loss(made, features, targets, per_dimension=per_dimension),
    )


@given(st.floats(-3, 3), st.booleans())
def test_one_factor_on_all_weights_cancels(shift, per_dimension):
    made, _ = mixture("isotropic", 4, 6, 3, seed=1)
    scaled = GaussianMixture(made.log_weights + shift - 3, made.mean, made.variance, 3)
    features, targets = draw(4, 3, seed=2), sparse_targets(4, 6, unknown=0.2, seed=3)
    torch.testing.assert_close(
        reconstruction_loss(scaled, features, targets, per_dimension=per_dimension),
        reconstruction_loss(made, features, targets, per_dimension=per_dimension),
    )


def test_isotropic_is_diagonal_with_equal_dimensions():
    made, _ = mixture("isotropic", 6, 9, 4, seed=1)
    spread = GaussianMixture(
        made.log_weights,
        made.mean[..., None].expand(6, 9, 4),
        made.variance[..., None].expand(6, 9, 4),
        4,
    )
    features, targets = draw(6, 4, seed=2), sparse_targets(6, 9, seed=3)
    for per_dimension in (True, False):
        torch.testing.assert_close(
            reconstruction_loss(made, features, targets, per_dimension=per_dimension),
            reconstruction_loss(spread, features, targets, per_dimension=per_dimension),
        )


# --- input


def test_the_inputs_are_left_as_they_were():
    made, leaves = mixture("isotropic", 4, 5, 3)
    features, targets = draw(4, 3), sparse_targets(4, 5, unknown=0.3).double()
    inputs = [*leaves.values(), made.log_weights, features, targets]
    before = [part.clone() for part in inputs]
    ReconstructionLoss()(made, features, targets)
    for part, copy in zip(inputs, before, strict=True):
        assert torch.equal(part, copy)


@EVERY_KIND
@pytest.mark.parametrize("shape", [(5, 4), (4, 1), (4,)])
def test_targets_of_another_shape_are_named(kind, shape, unchecked_shapes):
    made, _ = mixture(kind, 4, 5, 3)
    with pytest.raises(ValueError, match="targets") as raised:
        ReconstructionLoss()(made, draw(4, 3), torch.zeros(shape))
    assert "(4, 5)" in str(raised.value)
    assert str(shape) in str(raised.value)


@EVERY_KIND
@pytest.mark.parametrize("shape", [(4, 7), (2, 3), (1, 3), (4, 1), (3,)])
def test_features_of_another_shape_are_named(kind, shape, unchecked_shapes):
    made, _ = mixture(kind, 4, 5, 3)
    with pytest.raises(ValueError, match="features") as raised:
        ReconstructionLoss()(made, torch.zeros(shape, dtype=torch.float64), torch.zeros(4, 5))
    assert "(4, 3)" in str(raised.value)
    assert str(shape) in str(raised.value)

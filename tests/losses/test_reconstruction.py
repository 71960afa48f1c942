"""ReconstructionLoss against KMCL Eq. 5 as loops."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mixture_cases import (
    convert,
    draw,
    from_leaves,
    generator,
    mixture,
    sigmoid,
    sparse_targets,
    take,
)
from reference import kmcl
from torch.utils._python_dispatch import TorchDispatchMode

from colabel.losses import ReconstructionLoss, reconstruction_loss
from colabel.mixtures import GaussianMixture

KINDS = ["isotropic", "diagonal", "shared_isotropic", "shared_diagonal"]
WIDTHS = [2048, 2432]
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


# --- precision. Inputs are rounded before both sides see them. The loss is a difference of logs of
# exponents of size E, each good to a few units of 6e-8 E; so the tolerance is 1e-6 E, which at the
# literal form's E of about 1000 is 1e-3 on a value of some hundreds.


def exponents(made, features, *, per_dimension):
    mean = made.mean[..., None] if made.isotropic else made.mean
    variance = made.variance[..., None] if made.isotropic else made.variance
    form = ((features[:, None] - mean) ** 2 / (2 * variance)).sum(dim=-1)
    return form / made.dim if per_dimension else form


@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
@BOTH
@pytest.mark.parametrize("dim", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_float32_at_real_width(kind, per_dimension, dim, offset):
    made, _ = mixture(kind, 8, 20, dim, seed=1, dtype=torch.float32, offset=offset)
    features = (offset + draw(8, dim, seed=2)).float()
    targets = sparse_targets(8, 20, density=0.15, unknown=0.1, seed=3)
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    assert got.dtype is torch.float32
    wide = convert(made, torch.float64)
    expected = reconstruction_loss(wide, features.double(), targets, per_dimension=per_dimension)
    size = exponents(wide, features.double(), per_dimension=per_dimension).max().item()
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6 * max(size, 10))


@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
@BOTH
def test_float64_at_real_width_against_30_digits(kind, per_dimension):
    """At width 2048 the kernels are below 1e-400: the loops of the reference would say 0 / 0."""
    dim = WIDTHS[0]
    made, _ = mixture(kind, 2, 4, dim, seed=1)
    features, targets = draw(2, dim, seed=2), torch.tensor([[1, 0, 0, 0], [0, 1, -1, 1]])
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    form = exponents(made, features, per_dimension=per_dimension).tolist()
    with mpmath.workdps(30):
        for n in range(2):
            parts = [
                mpmath.exp(mpmath.mpf(made.log_weights[n, k].item()) - mpmath.mpf(form[n][k]))
                for k in range(4)
            ]
            labels = targets[n].tolist()
            present = mpmath.fsum(part for part, y in zip(parts, labels, strict=True) if y == 1)
            known = mpmath.fsum(part for part, y in zip(parts, labels, strict=True) if y != -1)
            expected = float(-mpmath.log(present / known))
            assert got[n].item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@BOTH
def test_float32_far_from_the_origin(per_dimension):
    """Features and means near 300: expanding the square would lose everything (error over 10).

    A mean of 2048 values near 300 is good to 3e-5, hence 1e-4 of the exponent.
    """
    dim = WIDTHS[0]
    made, _ = mixture("isotropic", 8, 20, dim, seed=1, dtype=torch.float32, offset=300.0)
    features = (300 + draw(8, dim, seed=2)).float()
    targets = sparse_targets(8, 20, density=0.15, seed=3)
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    wide = convert(made, torch.float64)
    expected = reconstruction_loss(wide, features.double(), targets, per_dimension=per_dimension)
    size = exponents(wide, features.double(), per_dimension=per_dimension).max().item()
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
@BOTH
def test_float32_gradients_at_real_width(kind, per_dimension):
    """Each gradient to 1e-4 of its largest entry; the literal form's soft choice to 1e-2."""
    dim = WIDTHS[1]
    targets = sparse_targets(8, 20, density=0.15, unknown=0.1, seed=3)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        made, leaves = mixture(kind, 8, 20, dim, seed=1, dtype=torch.float32)
        leaves = {name: leaf.to(dtype).requires_grad_() for name, leaf in leaves.items()}
        features = draw(8, dim, seed=2).float().to(dtype).requires_grad_()
        made = from_leaves(leaves, dim)
        reconstruction_loss(made, features, targets, per_dimension=per_dimension).sum().backward()
        gradients.append([leaf.grad for leaf in (*leaves.values(), features)])
    share = 1e-4 if per_dimension else 1e-2
    for narrow, wide in zip(*gradients, strict=True):
        size = wide.abs().max().item()
        torch.testing.assert_close(narrow.double(), wide, rtol=0, atol=share * size)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
@BOTH
def test_half_precision_is_computed_in_float32(dtype, kind, per_dimension):
    dim = WIDTHS[0]
    made, _ = mixture(kind, 4, 9, dim, seed=1, dtype=dtype, offset=1.0)
    features = (1 + 8 * draw(4, dim, seed=2)).to(dtype).requires_grad_()
    targets = sparse_targets(4, 9, density=0.3, seed=3)
    got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
    got.sum().backward()
    assert features.grad.isfinite().all()
    wide = convert(made, torch.float32)
    expected = reconstruction_loss(wide, features.float(), targets, per_dimension=per_dimension)
    torch.testing.assert_close(got.float(), expected, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_features_meet_a_float32_mixture(dtype):
    """What mixed precision brings: the encoder's features are narrow, the head's output is not."""
    made, _ = mixture("isotropic", 4, 9, 2048, seed=1, dtype=torch.float32)
    features, targets = draw(4, 2048, seed=2).to(dtype), sparse_targets(4, 9, density=0.3, seed=3)
    got = reconstruction_loss(made, features, targets, per_dimension=False)
    expected = reconstruction_loss(made, features.float(), targets, per_dimension=False)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
def test_autocast_does_not_coarsen_it(kind):
    made, _ = mixture(kind, 8, 9, 512, seed=1, dtype=torch.float32)
    features, targets = draw(8, 512, seed=2).float(), sparse_targets(8, 9, seed=3)
    for per_dimension in (True, False):
        expected = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = reconstruction_loss(made, features, targets, per_dimension=per_dimension)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-4)


# --- size, input


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor any operation returned."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, torch.Tensor):
                self.elements = max(self.elements, part.untyped_storage().nbytes() // 4)
        return result


def test_isotropic_kernels_need_no_tensor_of_batch_by_width_by_classes():
    made, _ = mixture("isotropic", 8, 20, 512, seed=1, dtype=torch.float32, grad=True)
    features, targets = draw(8, 512, seed=2).float().requires_grad_(), sparse_targets(8, 20)
    with LargestTensor() as largest:
        reconstruction_loss(made, features, targets, per_dimension=True).sum().backward()
    assert largest.elements <= 2 * 8 * 512


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

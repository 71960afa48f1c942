"""ReconstructionLoss in float32 and half precision at real widths.

Inputs are rounded before both sides see them. The loss is a difference of exponents of size E,
each good to a few units of 6e-8 E; so the tolerance is 1e-6 E, which at the literal form's E of
about 1000 is 1e-3 on a value of some hundreds.
"""

import mpmath
import pytest
import torch
from mixture_cases import convert, draw, from_leaves, mixture, sparse_targets
from torch.utils._python_dispatch import TorchDispatchMode

from colabel.losses import reconstruction_loss

WIDTHS = [2048, 2432]
BOTH = pytest.mark.parametrize("per_dimension", [True, False])


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
    torch.testing.assert_close(got, expected)  # the same type, too


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

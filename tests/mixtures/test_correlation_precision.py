"""float32 and float64 at a real width against fifty digits, and what a batch costs in memory.

The inputs are rounded to the narrow type before both sides see them, so only the arithmetic is
measured. The coefficient is a difference of three sums, each of them rounded at the size of
``n/2 log(s / 2r)`` with r the smallest variance: what is lost grows with n and with the logarithm
of the spread of the variances.
"""

import mpmath
import pytest
import torch
from correlation_cases import density, leaves, naive_log_correlation, slopes
from mixture_cases import draw
from torch.utils._python_dispatch import TorchDispatchMode

from colabel.mixtures import (
    correlation,
    pairwise_log_bhattacharyya_bound,
    pairwise_log_correlation,
)

DIM = 2048


def to_digits(whole):
    parts = (part.tolist() for part in (whole.log_weights, whole.mean, whole.variance))
    return [
        [
            tuple(mpmath.mpf(number) for number in component)
            for component in zip(*image, strict=True)
        ]
        for image in zip(*parts, strict=True)
    ]


def exact_correlation(whole):
    """Log correlation coefficients, with 50 digits until the last step."""
    with mpmath.workdps(50):
        images, half = to_digits(whole), mpmath.mpf(whole.dim) / 2

        def product(p, q):
            total = mpmath.mpf(0)
            for weight_p, mean_p, variance_p in p:
                for weight_q, mean_q, variance_q in q:
                    s = variance_p + variance_q
                    distance = (mean_p - mean_q) ** 2 / s
                    total += mpmath.exp(weight_p + weight_q - half * (mpmath.log(s) + distance))
            return mpmath.log(total)

        table = [[product(p, q) for q in images] for p in images]
        rows = range(len(images))
        values = [
            [float(table[i][j] - (table[i][i] + table[j][j]) / 2) for j in rows] for i in rows
        ]
    return torch.tensor(values, dtype=torch.float64)


def exact_bound(whole):
    with mpmath.workdps(50):
        images, half = to_digits(whole), mpmath.mpf(whole.dim) / 2

        def one(p, q):
            total = mpmath.mpf(0)
            for (weight_p, mean_p, variance_p), (weight_q, mean_q, variance_q) in zip(
                p, q, strict=True
            ):
                s = variance_p + variance_q
                exponent = mpmath.log(s / (2 * mpmath.sqrt(variance_p * variance_q)))
                exponent += (mean_p - mean_q) ** 2 / s / 2
                total += mpmath.exp((weight_p + weight_q) / 2 - half * exponent)
            return float(mpmath.log(total))

        values = [[one(p, q) for q in images] for p in images]
    return torch.tensor(values, dtype=torch.float64)


# spread of the means, least and greatest variance, error allowed in float64 and in float32
CASES = {
    "alike": (0.03, (1.95, 2.05), 2e-14, 1e-5),  # found: 6e-15 and 5e-6, values to -0.3
    "at the floor": (0.03, (1.0, 1.1), 3e-14, 2e-5),  # 1e-14 and 9e-6, to -0.4
    "spread": (1.0, (1.0, 3.0), 1e-12, 2e-4),  # 2e-13 and 7e-5, to -140
    "one to ten thousand": (1.0, (1.0, 1e4), 5e-12, 2e-3),  # float32: 6.6e-4, to -1200
}
EVERY_CASE = pytest.mark.parametrize("case", CASES)
SEEDS = pytest.mark.parametrize("seed", [0, 10, 20])


def made(case, seed, dtype):
    spread, variances, _, _ = CASES[case]
    return leaves(4, 6, seed=seed, dtype=dtype, spread=spread, variances=variances)


@EVERY_CASE
@SEEDS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_correlation_to_fifty_digits(case, seed, dtype):
    whole = density(made(case, seed, dtype), DIM)
    expected = exact_correlation(whole)
    got = pairwise_log_correlation(whole)
    assert got.dtype is dtype
    assert (expected[~torch.eye(4, dtype=torch.bool)] < -0.005).all()
    allowed = CASES[case][2 if dtype is torch.float64 else 3]
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=allowed)


@EVERY_CASE
@SEEDS
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
def test_bound_to_fifty_digits(case, seed, dtype, relative):
    """Nothing of the size of n cancels here."""
    whole = density(made(case, seed, dtype), DIM)
    got = pairwise_log_bhattacharyya_bound(whole)
    expected = exact_bound(whole)
    torch.testing.assert_close(got.double(), expected, rtol=relative, atol=relative)


def test_the_reference_saves_what_the_formula_loses_in_float32():
    """Without it the error of mixtures that are alike is dozens of times larger."""
    whole = density(made("alike", 0, torch.float32), DIM)
    expected = exact_correlation(whole)
    ours, theirs = (
        (function(whole).double() - expected).abs().max()
        for function in (pairwise_log_correlation, naive_log_correlation)
    )
    assert theirs > 10 * ours


@pytest.mark.parametrize("case", ["alike", "at the floor", "spread"])
@SEEDS
def test_float32_gradients_at_a_real_width(case, seed):
    """Of the largest: the softmax of exponents that are known to the errors above."""
    parts, weight = made(case, seed, torch.float32), draw(4, 4, seed=seed + 3)
    got = slopes(pairwise_log_correlation, parts, DIM, weight.float())
    wide = {name: part.double() for name, part in parts.items()}
    expected = slopes(naive_log_correlation, wide, DIM, weight)
    for ours, theirs in zip(got, expected, strict=True):
        scale = theirs.abs().max().item()
        assert scale > 1e-3
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-4 * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_variances_at_the_floor_and_far_above(dtype):
    """Components of variance 1 and of 1e4 in one image: finite, and nothing is above 0."""
    parts = made("one to ten thousand", 0, dtype)
    parts["variance"] = parts["variance"].clone()
    parts["variance"][:, 0], parts["variance"][:, 1] = 1.0, 1e4
    got = pairwise_log_correlation(density(parts, DIM))
    assert got.isfinite().all()
    assert (got <= 0).all()
    for slope in slopes(pairwise_log_correlation, parts, DIM, torch.ones_like(got)):
        assert slope.isfinite().all()


# --- memory and work


class Watch(TorchDispatchMode):
    """Notes the largest tensor, the exponents computed, and numbers that are not normal."""

    def __init__(self):
        super().__init__()
        self.largest = self.exponents = self.blocks = self.subnormal = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.largest = max(self.largest, found.untyped_storage().nbytes() // found.itemsize)
            if func is torch.ops.aten.log1p_.default:
                self.exponents += found.numel()
                self.blocks += 1
            if found.is_floating_point():
                size = found.abs()
                tiny = torch.finfo(found.dtype).tiny
                self.subnormal += int(((size > 0) & (size < tiny)).sum())
        return found


BATCH, CLASSES = 9, 6
EVERY_PAIR = BATCH * (BATCH + 1) // 2 * CLASSES**2


@pytest.mark.parametrize(
    ("block_elements", "blocks"),
    [
        (1, 45 * 6),  # a component of one image against the six of another
        (12, 45 * 3),
        (36, 45),
        (36 * 4, 3 + 2 + 2 + 2 + 2 + 1 + 1 + 1 + 1),  # 9, 8, ..., 1 images by fours
        (10**9, 9),
        (None, 9),
    ],
)
def test_memory_is_bounded_and_each_pair_is_computed_once(block_elements, blocks):
    parts = leaves(BATCH, CLASSES, seed=4)
    for part in parts.values():
        part.requires_grad_()
    whole = density(parts, DIM)
    with Watch() as forward:
        values = pairwise_log_correlation(whole, block_elements=block_elements)
    with Watch() as backward:
        values.sum().backward()
    limit = max(block_elements or 10**9, BATCH * max(BATCH, CLASSES))
    for seen in (forward, backward):
        assert seen.largest <= min(limit, BATCH * CLASSES**2)
        assert seen.exponents == EVERY_PAIR
        assert seen.blocks == blocks


def test_default_block_is_that_of_the_cpu(monkeypatch):
    monkeypatch.setattr(correlation, "BLOCK_ELEMENTS", CLASSES**2)
    with Watch() as seen:
        pairwise_log_correlation(density(leaves(BATCH, CLASSES), DIM))
    assert seen.blocks == BATCH * (BATCH + 1) // 2


@pytest.mark.parametrize("spread", [0.03, 1.0, 10.0])
def test_no_number_is_subnormal(spread):
    """Processors take a hundred times longer with them than with others."""
    parts = leaves(6, 5, seed=6, dtype=torch.float32, spread=spread)
    for part in parts.values():
        part.requires_grad_()
    with Watch() as seen:
        values = pairwise_log_correlation(density(parts, DIM))
        values.backward(torch.ones_like(values))
    assert seen.subnormal == 0

"""Binary cross-entropy as loops; what is unknown has no value, and no gradient."""

import math

import pytest
import torch
from torch.nn import functional

from colabel.losses import BinaryCrossEntropyLoss, binary_cross_entropy

CLASSES = 3


def batch(rows):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, CLASSES, generator=generator)
    targets = torch.randint(-1, 2, (rows, CLASSES), generator=generator, dtype=torch.int8)
    return logits, targets


def test_binary_cross_entropy_equals_the_loops():
    logits, targets = batch(8)
    total, known = 0.0, 0
    for row, labels in zip(logits.tolist(), targets.tolist(), strict=True):
        for logit, label in zip(row, labels, strict=True):
            if label == -1:
                continue
            probability = 1 / (1 + math.exp(-logit))
            total -= math.log(probability if label == 1 else 1 - probability)
            known += 1
    assert 0 < known < logits.numel()
    assert binary_cross_entropy(logits, targets).item() == pytest.approx(
        total / logits.numel(), rel=1e-5
    )


def test_an_unknown_label_adds_nothing_and_still_counts_in_the_mean():
    logits, targets = batch(8)
    targets = targets.clamp(min=0)
    whole = binary_cross_entropy(logits, targets)
    column = functional.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 0].float())
    targets[:, 0] = -1
    without = binary_cross_entropy(logits, targets)
    assert without.item() == pytest.approx((whole - column / CLASSES).item(), rel=1e-5)


def test_the_mean_of_a_batch_is_that_of_its_parts_whatever_is_unknown():
    """A batch may pass in parts, and several processes may share it."""
    logits, targets = batch(8)
    targets[:3] = -1
    whole = binary_cross_entropy(logits, targets)
    parts = sum(
        len(rows) / 8 * binary_cross_entropy(rows, labels)
        for rows, labels in zip(logits.split((3, 5)), targets.split((3, 5)), strict=True)
    )
    assert whole.item() == pytest.approx(parts.item(), rel=1e-5)


def test_unknown_labels_have_no_value_and_no_gradient():
    logits, targets = batch(8)
    logits.requires_grad_()
    binary_cross_entropy(logits, targets).backward()
    assert (logits.grad[targets == -1] == 0).all()
    assert (logits.grad[targets != -1] != 0).all()


def test_a_batch_of_which_nothing_is_known_costs_nothing():
    logits = torch.tensor([[1.0, torch.inf]], requires_grad=True)
    loss = binary_cross_entropy(logits, torch.full((1, 2), -1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.tolist() == [[0, 0]]


def test_confident_mistakes_stay_finite():
    loss = binary_cross_entropy(torch.tensor([[200.0, -200.0]]), torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(200)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_numbers_are_added_up_in_float32(dtype):
    logits = torch.linspace(-3, 3, 300).view(20, 15).to(dtype)
    targets = (torch.arange(300).view(20, 15) % 3 == 0).int()
    loss = binary_cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    expected = binary_cross_entropy(logits.double(), targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_module_is_the_function():
    logits, targets = batch(8)
    assert torch.equal(
        BinaryCrossEntropyLoss()(logits, targets), binary_cross_entropy(logits, targets)
    )


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothed_labels_equal_the_loops(smoothing):
    logits, targets = batch(8)
    total = 0.0
    for row, labels in zip(logits.tolist(), targets.tolist(), strict=True):
        for logit, label in zip(row, labels, strict=True):
            if label == -1:
                continue
            probability = 1 / (1 + math.exp(-logit))
            soft = 1 - smoothing / 2 if label == 1 else smoothing / 2
            total -= soft * math.log(probability) + (1 - soft) * math.log(1 - probability)
    loss = binary_cross_entropy(logits, targets, label_smoothing=smoothing)
    assert loss.item() == pytest.approx(total / logits.numel(), rel=1e-5)
    assert torch.equal(BinaryCrossEntropyLoss(smoothing)(logits, targets), loss)


def test_smoothed_labels_are_learnt_as_what_they_are():
    logit = torch.tensor([[math.log(0.95 / 0.05)]], requires_grad=True)
    binary_cross_entropy(logit, torch.ones(1, 1), label_smoothing=0.1).backward()
    assert logit.grad.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_a_share_that_is_none_is_refused(smoothing):
    logits, targets = batch(2)
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\)"):
        binary_cross_entropy(logits, targets, label_smoothing=smoothing)
    with pytest.raises(ValueError, match="label_smoothing"):
        BinaryCrossEntropyLoss(smoothing)

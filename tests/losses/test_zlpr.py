"""ZLPR as loops, at the ends of the number range, and where labels are missing."""

import math

import pytest
import torch
from mixture_cases import draw, sparse_targets
from reference import rival_losses as paper

from colabel.losses import ZLPRLoss, zlpr_loss


def batch(classes, rows=7):
    logits = 3 * draw(rows, classes, seed=classes)
    targets = sparse_targets(rows, classes, density=0.2, unknown=0.2, seed=classes)
    targets[-1, 0] = -1
    return logits, targets


@pytest.mark.parametrize("classes", [1, 2, 80, 600])
def test_equals_the_loops(classes):
    logits, targets = batch(classes)
    assert (targets == -1).any()
    expected = [
        paper.zlpr(row, labels)
        for row, labels in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    assert zlpr_loss(logits, targets).tolist() == pytest.approx(expected, rel=1e-12)
    assert ZLPRLoss()(logits, targets).item() == pytest.approx(sum(expected) / len(expected))


def test_gradcheck():
    logits, targets = batch(4)
    assert torch.autograd.gradcheck(
        lambda values: zlpr_loss(values, targets), logits.requires_grad_()
    )


def test_one_label_is_cross_entropy_twice():
    """With one class the formula is a softplus of the wrong side, of which the other is log 1."""
    logits = draw(5, 1)
    expected = torch.nn.functional.softplus(-logits)[:, 0]
    torch.testing.assert_close(zlpr_loss(logits, torch.ones(5, 1)), expected)


def test_the_loss_turns_at_zero():
    """Where all labels are on their side of 0 it falls with the scale, else it rises."""
    targets = torch.tensor([[1, 0, 0]])
    right, wrong = torch.tensor([[2.0, -2.0, -2.0]]), torch.tensor([[2.0, 1.0, -2.0]])
    assert zlpr_loss(9 * right, targets) < 1e-6
    assert zlpr_loss(9 * wrong, targets) > zlpr_loss(wrong, targets)


def test_float32_at_logits_of_ten_thousand():
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4]], requires_grad=True)
    loss = zlpr_loss(logits, torch.tensor([[1, 1, 0, 0]]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(2e4)
    assert logits.grad.tolist() == [[0, -1, 1, 0]]


def test_float32_is_as_good_as_float64():
    logits, targets = batch(80)
    torch.testing.assert_close(
        zlpr_loss(10 * logits.float(), targets),
        zlpr_loss(10 * logits, targets).float(),
        rtol=1e-5,
        atol=0,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_logits_are_widened_first(dtype):
    logits, targets = batch(9)
    narrow = logits.to(dtype)
    assert torch.equal(zlpr_loss(narrow, targets), zlpr_loss(narrow.float(), targets))


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_kind_leave_the_other_sum_empty(label):
    logits = torch.tensor([[0.0, math.log(2)]], requires_grad=True)
    loss = zlpr_loss(logits, torch.full((1, 2), label))
    loss.sum().backward()
    assert loss.item() == pytest.approx(math.log(1 + (1 + 2 if label == 0 else 1 + 0.5)))
    assert torch.isfinite(logits.grad).all()


def test_unknown_labels_have_no_value_and_no_gradient_whatever_their_logits():
    logits = torch.tensor([[1.0, torch.inf, torch.nan, -2.0]], requires_grad=True)
    loss = zlpr_loss(logits, torch.tensor([[1, -1, -1, 0]]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(paper.zlpr([1, -2], [1, 0]))
    assert logits.grad[0, 1:3].tolist() == [0, 0]
    assert (logits.grad[0, [0, 3]] != 0).all()


def test_a_batch_of_which_nothing_is_known_costs_nothing():
    logits = torch.ones(1, 3, requires_grad=True)
    loss = ZLPRLoss()(logits, torch.full((1, 3), -1))
    loss.backward()
    assert (loss.item(), logits.grad.tolist()) == (0, [[0, 0, 0]])


@pytest.mark.usefixtures("unchecked_shapes")
def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape of the logits \(batch, classes\) = \(2, 3\)"):
        zlpr_loss(torch.zeros(2, 3), torch.zeros(3, 2))

"""The focal loss as loops, against torchvision, and at the ends of the number range."""

import math

import pytest
import torch
from mixture_cases import draw, sparse_targets
from reference import rival_losses as paper
from torchvision.ops import sigmoid_focal_loss

from colabel.losses import FocalLoss, focal_loss

SETTINGS = pytest.mark.parametrize(
    ("gamma", "alpha"), [(2, 0.25), (0, 0.25), (0.5, 0.9), (3, 0.3)]
)


def batch(classes, rows=7):
    logits = 3 * draw(rows, classes, seed=classes)
    targets = sparse_targets(rows, classes, density=0.2, unknown=0.2, seed=classes)
    targets[-1, 0] = -1
    return logits, targets


@SETTINGS
@pytest.mark.parametrize("classes", [1, 2, 80, 600])
def test_equals_the_loops(classes, gamma, alpha):
    logits, targets = batch(classes)
    assert (targets == -1).any()
    found = focal_loss(logits, targets, gamma=gamma, alpha=alpha)
    expected = [
        paper.focal(row, labels, gamma=gamma, alpha=alpha)
        for row, labels in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert FocalLoss(gamma, alpha)(logits, targets).item() == pytest.approx(
        sum(expected) / len(expected), rel=1e-12
    )


@SETTINGS
def test_equals_torchvision_where_all_is_known(gamma, alpha):
    logits = (3 * draw(7, 9)).requires_grad_()
    targets = sparse_targets(7, 9, density=0.3)
    found = FocalLoss(gamma, alpha)(logits, targets)
    expected = sigmoid_focal_loss(
        logits, targets.to(logits.dtype), alpha=alpha, gamma=gamma, reduction="sum"
    ) / len(logits)
    assert found.item() == pytest.approx(expected.item(), rel=1e-10)
    slopes = [torch.autograd.grad(loss, logits)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_without_alpha_neither_kind_is_weighed():
    logits, targets = batch(5)
    halves = focal_loss(logits, targets, gamma=2, alpha=0.5)
    torch.testing.assert_close(focal_loss(logits, targets, alpha=None), 2 * halves)


def test_the_defaults_are_the_papers():
    loss = FocalLoss()
    assert (loss.gamma, loss.alpha) == (2, 0.25)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_gradcheck(gamma):
    logits, targets = batch(4)
    assert torch.autograd.gradcheck(
        lambda values: focal_loss(values, targets, gamma=gamma), logits.requires_grad_()
    )


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_float32_at_logits_of_ten_thousand(gamma):
    logits = torch.tensor([[1e4, -1e4, 1e4, -1e4]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1, 1, 0, 0]]), gamma=gamma)
    loss.sum().backward()
    assert loss.item() == pytest.approx(0.25 * 1e4 + 0.75 * 1e4)
    assert logits.grad.tolist() == [[0, -0.25, 0.75, 0]]


def test_float32_is_as_good_as_float64():
    logits, targets = batch(80)
    torch.testing.assert_close(
        focal_loss(10 * logits.float(), targets),
        focal_loss(10 * logits, targets).float(),
        rtol=1e-5,
        atol=0,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_logits_are_widened_first(dtype):
    logits, targets = batch(9)
    narrow = logits.to(dtype)
    assert torch.equal(focal_loss(narrow, targets), focal_loss(narrow.float(), targets))


def test_unknown_labels_have_no_value_and_no_gradient_whatever_their_logits():
    logits = torch.tensor([[1.0, torch.inf, torch.nan, -2.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1, -1, -1, 0]]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(paper.focal([1, -2], [1, 0], gamma=2, alpha=0.25))
    assert logits.grad[0, 1:3].tolist() == [0, 0]
    assert (logits.grad[0, [0, 3]] != 0).all()


def test_a_batch_of_which_nothing_is_known_costs_nothing():
    logits = torch.ones(1, 3, requires_grad=True)
    loss = FocalLoss()(logits, torch.full((1, 3), -1))
    loss.backward()
    assert (loss.item(), logits.grad.tolist()) == (0, [[0, 0, 0]])


@pytest.mark.usefixtures("unchecked_shapes")
def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape of the logits \(batch, classes\) = \(2, 3\)"):
        focal_loss(torch.zeros(2, 3), torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": -1}, "gamma must be at least 0"),
        ({"gamma": math.nan}, "gamma must be at least 0"),
        ({"alpha": 1.5}, "alpha must be from 0 to 1, or None, got 1.5"),
        ({"alpha": -0.1}, "alpha must be from 0 to 1"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FocalLoss(**settings)
    with pytest.raises(ValueError, match=message):
        focal_loss(torch.zeros(1, 1), torch.zeros(1, 1), **settings)

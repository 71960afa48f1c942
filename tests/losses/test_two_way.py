"""The two-way loss as loops, at the ends of the number range, and where a side is empty."""

import math

import pytest
import torch
from mixture_cases import draw, sparse_targets
from reference import rival_losses as paper

from colabel.losses import TwoWayLoss, two_way_loss

TEMPERATURES = pytest.mark.parametrize(("positive", "negative"), [(4, 1), (1, 1), (0.7, 2.5)])


def batch(classes, rows=7):
    logits = 3 * draw(rows, classes, seed=classes)
    targets = sparse_targets(rows, classes, density=0.3, unknown=0.2, seed=classes)
    targets[-1, 0] = -1
    return logits, targets


def loss_with(positive, negative):
    return TwoWayLoss(temperature_positive=positive, temperature_negative=negative)


@TEMPERATURES
@pytest.mark.parametrize("classes", [1, 2, 80, 600])
def test_equals_the_loops(classes, positive, negative):
    logits, targets = batch(classes)
    assert (targets == -1).any()
    assert not (targets == 1).any(dim=0).all() or classes < 80  # columns without a positive
    found = loss_with(positive, negative)(logits, targets)
    expected = paper.two_way(
        logits.tolist(), targets.tolist(), positive=positive, negative=negative
    )
    assert expected > 0.1
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_defaults_are_the_papers():
    loss = TwoWayLoss()
    assert (loss.temperature_positive, loss.temperature_negative) == (4, 1)
    logits, targets = batch(5)
    assert torch.equal(loss(logits, targets), two_way_loss(logits, targets))


@TEMPERATURES
def test_gradcheck(positive, negative):
    logits, targets = batch(4)
    assert torch.autograd.gradcheck(
        lambda values: loss_with(positive, negative)(values, targets), logits.requires_grad_()
    )


def test_rows_and_columns_are_alike():
    logits, targets = batch(5)
    assert two_way_loss(logits, targets).item() == pytest.approx(
        two_way_loss(logits.T, targets.T).item(), rel=1e-12
    )


def test_a_number_added_to_all_logits_changes_nothing():
    logits, targets = batch(5)
    torch.testing.assert_close(two_way_loss(logits + 7.3, targets), two_way_loss(logits, targets))


@TEMPERATURES
def test_float32_at_logits_of_ten_thousand(positive, negative):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], requires_grad=True)
    for targets in ([[0, 1], [1, 0], [0, 1]], [[1, 0], [0, 1], [1, 1]]):
        loss = loss_with(positive, negative)(logits, torch.tensor(targets))
        (slope,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(slope).all()
    wrong = loss_with(1, 1)(logits[:1], torch.tensor([[0, 1]]))
    assert wrong.item() == pytest.approx(2e4)


def test_float32_is_as_good_as_float64():
    logits, targets = batch(80)
    torch.testing.assert_close(
        two_way_loss(10 * logits.float(), targets),
        two_way_loss(10 * logits, targets).float(),
        rtol=1e-5,
        atol=0,
    )


@pytest.mark.parametrize("temperature", [1, 100])
def test_rows_and_columns_without_absent_labels_are_worth_nothing_and_count(temperature):
    logits = torch.zeros(2, 2, requires_grad=True)
    targets = torch.tensor([[1, 1], [1, 0]])
    loss = loss_with(temperature, temperature)(logits, targets)
    loss.backward()
    # the second row and column compare one label with one; the first ones are all present
    assert loss.item() == pytest.approx(2 * math.log(2) / 2)
    assert logits.grad.tolist() == [[0, -0.25], [-0.25, 0.5]]


@pytest.mark.parametrize("label", [1, 0, -1])
def test_where_there_is_nothing_to_compare_the_loss_is_0_and_reaches_the_graph(label):
    logits = torch.ones(2, 3, requires_grad=True)
    loss = TwoWayLoss()(logits, torch.full((2, 3), label))
    loss.backward()
    assert (loss.item(), logits.grad.unique().tolist()) == (0, [0])


def test_a_batch_of_one_image_has_rows_alone():
    logits, targets = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([[1, 0, -1]])
    expected = paper.one_way(
        [1, 2], [1, 0], temperature_positive=4, temperature_negative=1
    )  # the column of the present label has no absent one
    assert two_way_loss(logits, targets).item() == pytest.approx(expected, rel=1e-6)


def test_unknown_labels_have_no_value_and_no_gradient_whatever_their_logits():
    logits, targets = batch(6)
    unknown = targets == -1
    odd = logits.masked_fill(unknown, torch.inf)
    odd[unknown.nonzero()[0, 0], unknown.nonzero()[0, 1]] = torch.nan
    odd.requires_grad_()
    loss = two_way_loss(odd, targets)
    loss.backward()
    torch.testing.assert_close(loss.detach(), two_way_loss(logits, targets))
    assert (odd.grad[unknown] == 0).all()
    assert torch.isfinite(odd.grad).all()


@pytest.mark.usefixtures("unchecked_shapes")
def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape of the logits \(batch, classes\) = \(2, 3\)"):
        two_way_loss(torch.zeros(2, 3), torch.zeros(3, 2))


@pytest.mark.parametrize("name", ["temperature_positive", "temperature_negative"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_temperatures_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be positive, got"):
        TwoWayLoss(**{name: value})

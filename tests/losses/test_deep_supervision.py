"""The loss of several branches against plain loops."""

import pytest
import torch
from reference import graphs

from colabel.losses import DeepSupervisionLoss, binary_cross_entropy, deep_supervision


@pytest.mark.parametrize("classes", [1, 2, 80])
@pytest.mark.parametrize("images", [1, 7])
def test_it_equals_the_loops(images, classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(images, 3, classes, generator=generator, dtype=torch.float64)
    targets = (torch.rand(images, classes, generator=generator) < 0.1).to(torch.int8)
    targets[torch.rand(images, classes, generator=generator) < 0.1] = -1
    targets[0, 0] = 1
    expected = graphs.deep_supervision(logits.tolist(), targets.tolist())
    assert deep_supervision(logits, targets).item() == pytest.approx(expected, rel=1e-12)
    assert DeepSupervisionLoss()(logits, targets).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda given: deep_supervision(given, targets), logits.requires_grad_()
    )


def test_every_branch_weighs_the_same():
    logits = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(-1, 2, (4, 5), generator=torch.Generator().manual_seed(1))
    smoothing = {"label_smoothing": 0.2}
    each = [binary_cross_entropy(logits[:, b], targets, **smoothing) for b in range(3)]
    torch.testing.assert_close(deep_supervision(logits, targets, **smoothing), sum(each))
    torch.testing.assert_close(DeepSupervisionLoss(0.2)(logits, targets), sum(each))


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got 1"):
        DeepSupervisionLoss(1)

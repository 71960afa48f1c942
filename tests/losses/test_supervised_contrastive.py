"""The supervised contrastive losses as loops, on batches made by hand, and where labels lack."""

import math
from functools import partial

import pytest
import torch
from mixture_cases import draw, sparse_targets
from reference import rival_losses as paper
from torch.utils._python_dispatch import TorchDispatchMode

from colabel.losses import (
    SimilarityDissimilarityLoss,
    SupervisedContrastiveLoss,
    similarity_dissimilarity_loss,
    supervised_contrastive_loss,
)

LOSSES = {
    "all": SupervisedContrastiveLoss("all", 0.3),
    "any": SupervisedContrastiveLoss("any", 0.3),
    "per_label": SupervisedContrastiveLoss("per_label", 0.3),
    "per_label by images": SupervisedContrastiveLoss("per_label", 0.3, "images"),
    "similarity-dissimilarity": SimilarityDissimilarityLoss(0.3),
}
LOOPS = {
    "all": partial(paper.supervised_contrastive, positives="all", temperature=0.3),
    "any": partial(paper.supervised_contrastive, positives="any", temperature=0.3),
    "per_label": partial(paper.mulsupcon, temperature=0.3),
    "per_label by images": partial(paper.mulsupcon, temperature=0.3, average="images"),
    "similarity-dissimilarity": partial(paper.similarity_dissimilarity, temperature=0.3),
}
EVERY = pytest.mark.parametrize("name", LOSSES)


def batch(classes, rows=10, width=5, *, unknown=0.15, seed=0):
    """Return embeddings and sparse targets with twins, unlabelled images and lone labels."""
    embeddings = draw(rows, width, seed=seed + classes)
    density = min(0.4, 3 / classes)
    targets = sparse_targets(rows, classes, density=density, unknown=unknown, seed=seed + classes)
    targets[1] = targets[0]  # with what is unknown
    targets[2] = targets[3].clamp(min=0)
    targets[4:6] = 0  # two images known to have no label
    if rows > 7:
        targets[6:8, 0] = 1
    return embeddings, targets


def expected(name, embeddings, targets):
    return LOOPS[name](embeddings.tolist(), targets.tolist())


@EVERY
@pytest.mark.parametrize("classes", [1, 2, 6, 80, 600])
def test_equals_the_loops(name, classes):
    embeddings, targets = batch(classes)
    targets[-1, 0] = -1
    value = expected(name, embeddings, targets)
    assert value > 0
    assert LOSSES[name](embeddings, targets).item() == pytest.approx(value, rel=1e-12)


@EVERY
@pytest.mark.parametrize("seed", range(8))
def test_equals_the_loops_whatever_is_unknown(name, seed):
    """A third of the labels is unknown, so that pairs share all kinds of half-known labels."""
    embeddings, targets = batch(4, unknown=0.35, seed=seed)
    assert LOSSES[name](embeddings, targets).item() == pytest.approx(
        expected(name, embeddings, targets), rel=1e-12
    )


def test_the_rules_differ():
    embeddings, targets = batch(6)
    values = {expected(name, embeddings, targets) for name in LOOPS}
    assert len(values) == len(LOOPS)


# --- made by hand: all three images have one direction, so that each surprise is log 2


@pytest.mark.parametrize(
    ("name", "targets", "share"),
    [
        ("all", [[1, 0], [1, 0], [1, 1]], 1),
        ("all", [[1, 0], [0, 1], [1, 1]], 0),
        ("all", [[0, 0], [0, 0], [1, 1]], 1),  # known to have none
        ("all", [[0, -1], [0, 0], [1, 1]], 0),  # not known to have none
        ("all", [[1, -1], [1, 0], [0, 1]], 1),  # share one, and nothing that is known differs
        ("all", [[1, -1], [-1, 1], [0, 0]], 0),  # nothing is known of both
        ("all", [[-1, -1], [-1, -1], [-1, -1]], 0),
        ("any", [[1, 1], [0, 1], [0, 0]], 1),
        ("any", [[1, 0], [0, 1], [1, -1]], 1),
        ("any", [[1, -1], [-1, 1], [0, 0]], 0),
        ("per_label", [[1, 0], [0, 1], [1, 1]], 1),
        ("per_label", [[1, 0], [0, 1], [0, 0]], 0),
        ("per_label by images", [[1, 0], [1, 0], [0, 0]], 2 / 3),  # of three images two have pairs
        ("per_label by images", [[1, 1], [1, 0], [0, 0]], 1 / 2),  # the first has half a pair
        ("similarity-dissimilarity", [[1, 0], [1, 0], [0, 1]], 1),
        # 1/2 from the first to the second, 1/2 back, for a label more and a label less
        ("similarity-dissimilarity", [[1, 0], [1, 1], [0, 0]], 1 / 2),
        ("similarity-dissimilarity", [[1, 0], [1, -1], [0, 0]], 1),
        # 1/(1+2) from the first to the second, 1/3 back
        ("similarity-dissimilarity", [[1, 0, 0], [1, 1, 1], [0, 0, 0]], 1 / 3),
    ],
)
def test_images_of_one_direction_are_worth_the_weight_of_their_pairs(name, targets, share):
    embeddings = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0]], dtype=torch.float64)
    loss = LOSSES[name](embeddings, torch.tensor(targets))
    assert loss.item() == pytest.approx(share * math.log(2), rel=1e-12)


def test_any_and_per_label_by_hand():
    """Three images at right angles but for the first two; temperature 1."""
    embeddings = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    targets = torch.tensor([[1, 1, 0], [1, 0, 1], [0, 1, 1]])
    near = math.log(math.e + 1) - 1  # of the two that are alike
    far = near + 1
    whole = math.log(2)  # of the third to either
    any_label = ((near + far) / 2 + (near + far) / 2 + whole) / 3
    per_label = (near + far + near + far + whole + whole) / 6
    for positives, value in (("any", any_label), ("per_label", per_label)):
        loss = supervised_contrastive_loss(embeddings, targets, positives=positives, temperature=1)
        assert loss.item() == pytest.approx(value, rel=1e-12)


def test_one_label_each_makes_all_rules_supervised_contrastive_learning():
    embeddings, _ = batch(3)
    targets = torch.nn.functional.one_hot(torch.arange(10) % 3)
    same = LOSSES["all"](embeddings, targets)
    for name in ("any", "per_label", "per_label by images", "similarity-dissimilarity"):
        torch.testing.assert_close(LOSSES[name](embeddings, targets), same)


# --- properties


@EVERY
def test_gradcheck(name):
    embeddings, targets = batch(5, rows=7)
    assert torch.autograd.gradcheck(
        lambda values: LOSSES[name](values, targets), embeddings.requires_grad_()
    )


@EVERY
def test_the_order_of_images_and_classes_and_the_length_of_embeddings_do_not_matter(name):
    embeddings, targets = batch(6)
    rows, columns = torch.randperm(10), torch.randperm(6)
    changed = 7 * embeddings[rows], targets[rows][:, columns]
    torch.testing.assert_close(LOSSES[name](*changed), LOSSES[name](embeddings, targets))


@EVERY
@pytest.mark.parametrize("targets", [[[1, 1]], [[0, 0], [1, -1]], [[-1, 0], [0, -1], [0, -1]]])
def test_without_a_positive_the_loss_is_0_and_reaches_the_graph(name, targets):
    embeddings = torch.randn(len(targets), 3).requires_grad_()
    loss = LOSSES[name](embeddings, torch.tensor(targets))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(embeddings.grad, torch.zeros(len(targets), 3))


@EVERY
@pytest.mark.parametrize("scale", [1e-15, 1e4, 1e15])
def test_float32_at_any_length(name, scale):
    embeddings, targets = batch(6, width=256)
    narrow = (scale * embeddings).float().requires_grad_()
    loss = LOSSES[name](narrow, targets)
    loss.backward()
    assert loss.item() == pytest.approx(LOSSES[name](embeddings, targets).item(), rel=1e-5)
    assert torch.isfinite(narrow.grad).all()


@EVERY
def test_float32_at_a_low_temperature(name):
    embeddings, targets = batch(6, width=256)
    loss = (
        SimilarityDissimilarityLoss(0.01)
        if name == "similarity-dissimilarity"
        else SupervisedContrastiveLoss(LOSSES[name].positives, 0.01, LOSSES[name].average)
    )
    torch.testing.assert_close(
        loss(embeddings.float(), targets), loss(embeddings, targets).float(), rtol=1e-4, atol=0
    )


@EVERY
def test_an_embedding_of_length_0_has_a_finite_gradient(name):
    embeddings, targets = batch(6)
    embeddings[0] = 0
    embeddings.requires_grad_()
    LOSSES[name](embeddings, targets).backward()
    assert embeddings.grad.abs().max() < 100


@EVERY
def test_autocast_does_not_coarsen_it(name):
    embeddings, targets = batch(6)
    whole = LOSSES[name](embeddings.float(), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(LOSSES[name](embeddings.float(), targets), whole)
    narrow = embeddings.bfloat16()
    assert torch.equal(LOSSES[name](narrow, targets), LOSSES[name](narrow.float(), targets))


class LargestTensor(TorchDispatchMode):
    """Remembers the number of bytes of the largest tensor any operation returned."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.bytes = max(self.bytes, result.untyped_storage().nbytes())
        return result


@EVERY
def test_no_tensor_is_larger_than_the_pairs_of_images(name):
    """With 80 classes, pairs by labels would be 80 times as large."""
    rows = 512
    embeddings = torch.randn(rows, 256).requires_grad_()
    targets = sparse_targets(rows, 80, density=0.04, unknown=0.1)
    with LargestTensor() as largest:
        LOSSES[name](embeddings, targets).backward()
    assert 0 < largest.bytes <= 4 * rows * rows


# --- arguments


def test_the_defaults_are_the_papers():
    first, second = SupervisedContrastiveLoss(), SimilarityDissimilarityLoss()
    assert (first.positives, first.temperature, first.average) == ("all", 0.1, "pairs")
    assert second.temperature == 0.07
    embeddings, targets = batch(6)
    assert torch.equal(
        first(embeddings, targets), supervised_contrastive_loss(embeddings, targets)
    )
    assert torch.equal(
        second(embeddings, targets), similarity_dissimilarity_loss(embeddings, targets)
    )


@EVERY
@pytest.mark.usefixtures("unchecked_shapes")
def test_other_batches_are_refused(name):
    with pytest.raises(ValueError, match=r"must have the same batch, got shapes \(2, 3\) and"):
        LOSSES[name](torch.ones(2, 3), torch.ones(3, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"positives": "some"}, "positives must be one of all, any, per_label, got 'some'"),
        ({"temperature": 0}, "temperature must be positive, got 0"),
        ({"average": "labels"}, "average must be one of pairs, images, got 'labels'"),
        ({"average": "images"}, "average 'images' is for positives 'per_label', got positives"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SupervisedContrastiveLoss(**settings)
    with pytest.raises(ValueError, match=message):
        supervised_contrastive_loss(torch.ones(2, 3), torch.ones(2, 2), **settings)


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan])
def test_temperatures_out_of_range_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        SimilarityDissimilarityLoss(temperature)
    with pytest.raises(ValueError, match="temperature must be positive"):
        similarity_dissimilarity_loss(torch.ones(2, 3), torch.ones(2, 2), temperature=temperature)

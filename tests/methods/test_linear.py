import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from colabel.losses import AsymmetricLoss
from colabel.methods.baselines import ASL, BCE
from colabel.methods.linear import binary_cross_entropy, classifier, stages
from colabel.models import Classifier, LinearHead, Output

WIDTH, CLASSES = 5, 3


class Passing(nn.Module):
    """An encoder for features that are there already."""

    width = WIDTH

    def forward(self, images):
        return images


def objective_of(settings):
    (stage,) = stages(
        classifier(Passing(), CLASSES, settings), settings, epochs=1, learning_rate=1
    )
    return stage.objective


def batch(rows=4):
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


@pytest.mark.parametrize("settings", [BCE(), ASL()])
def test_the_model_is_the_encoder_with_a_linear_head(settings):
    model = classifier(Passing(), CLASSES, settings)
    features = torch.randn(2, WIDTH)
    assert isinstance(model, Classifier)
    assert isinstance(model.head, LinearHead)
    output = model(features)
    assert output.mixture is None
    layer = model.head.weight_layer
    assert torch.allclose(output.logits, features @ layer.weight.T + layer.bias)


@pytest.mark.parametrize("settings", [BCE(), ASL()])
def test_one_stage_carries_the_schedule_and_one_loss(settings):
    model = classifier(Passing(), CLASSES, settings)
    (stage,) = stages(model, settings, epochs=7, learning_rate=0.25)
    assert stage.model is model
    assert (stage.name, stage.epochs, stage.learning_rate) == (settings.name, 7, 0.25)
    assert stage.views == 1
    assert dict(stage.objective.weights) == {"classification": 1.0}
    assert not stage.objective.pairwise


@pytest.mark.parametrize(
    "settings",
    [
        ASL(),
        ASL(gamma_positive=1, gamma_negative=2, margin=0, reduction="mean", detach_focusing=False),
    ],
)
def test_asl_is_the_asymmetric_loss_with_these_settings(settings):
    logits, targets = batch()
    objective = objective_of(settings)
    values = settings.model_dump(exclude={"name", "freeze_encoder", "feature_length"})
    expected = AsymmetricLoss(**values)(logits, targets)
    loss = objective.terms["classification"](Output(torch.zeros(4, WIDTH), logits), targets)
    assert torch.equal(loss, expected)
    assert objective.reductions == {"classification": settings.reduction}
    assert loss != objective_of(ASL(margin=0.5)).terms["classification"](
        Output(torch.zeros(4, WIDTH), logits), targets
    )


def test_bce_is_a_mean_of_binary_cross_entropies():
    logits, targets = batch()
    objective = objective_of(BCE())
    loss = objective.terms["classification"](Output(torch.zeros(4, WIDTH), logits), targets)
    assert torch.equal(loss, binary_cross_entropy(logits, targets))
    assert objective.reductions == {"classification": "mean"}


def test_a_model_without_logits_is_refused():
    with pytest.raises(TypeError, match="must return logits"):
        objective_of(BCE()).terms["classification"](Output(torch.zeros(1, WIDTH), None), None)


@pytest.mark.parametrize("method", [ASL, BCE])
def test_a_frozen_encoder_leaves_the_classifier_to_learn(method):
    settings = method(freeze_encoder=True)
    model = classifier(Passing(), CLASSES, settings)
    (stage,) = stages(model, settings, epochs=1, learning_rate=0.1)
    assert stage.frozen == (model.encoder,)
    assert stage.encoder is model.encoder
    (free,) = stages(model, method(), epochs=1, learning_rate=0.1)
    assert free.frozen == ()
    assert free.encoder is None


@pytest.mark.parametrize("method", [ASL, BCE])
def test_the_classifier_sees_features_of_the_length_asked_for(method):
    features = torch.randn(4, WIDTH)
    for length in (None, 8.0):
        model = classifier(Passing(), CLASSES, method(feature_length=length))
        found = model(features).features
        expected = features if length is None else length * functional.normalize(features, dim=1)
        torch.testing.assert_close(found, expected)

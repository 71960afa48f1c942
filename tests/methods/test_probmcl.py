"""ProbMCL's two stages: Eq. 4 as loops, where every setting goes, and what is deployed."""

import pytest
import torch
from mixture_cases import sparse_targets
from probmcl_cases import CLASSES, WIDTH, batch, expected_terms, settings_of
from pydantic import ValidationError
from reference import probmcl_losses as paper
from torch import nn

from colabel.errors import ConfigError
from colabel.losses import AsymmetricLoss
from colabel.methods.probmcl import (
    ProbMCL,
    classifier,
    contrastive_model,
    contrastive_objective,
    stages,
)
from colabel.models import LinearHead, MixtureDensityHead, Output


class Scaling(nn.Module):
    """An encoder with something to learn, for features that are nearly there."""

    width = WIDTH

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(WIDTH))

    def forward(self, images):
        return images.flatten(1) * self.scale


def stages_of(settings, *, epochs=3, learning_rate=0.5):
    model = classifier(Scaling(), CLASSES, settings)
    return model, *stages(model, settings, epochs=epochs, learning_rate=learning_rate)


def images_of(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, WIDTH, 1, 1, generator=generator)


def terms_of(objective, output, targets):
    return {name: term(output, targets).item() for name, term in objective.terms.items()}


# --- the contrastive stage


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_objective_is_eq_4(per_dimension):
    settings = settings_of(per_dimension=per_dimension)
    _, first, _ = stages_of(settings)
    output, targets, _ = batch()
    values = terms_of(first.objective, output, targets)
    expected = expected_terms(output, targets, settings)
    assert values == pytest.approx(expected, rel=1e-9)
    assert expected["contrastive"] > 0.1
    total = sum(first.objective.weights[name] * value for name, value in values.items())
    assert total == pytest.approx(paper.objective(expected["likelihood"], expected["contrastive"]))
    assert list(first.objective.terms) == ["likelihood", "contrastive"]
    assert first.objective.pairwise
    assert dict(first.objective.reductions) == {"likelihood": "mean", "contrastive": "mean"}


def test_by_default_the_numbers_are_the_papers():
    settings = ProbMCL()
    assert settings.weights.model_dump() == {"likelihood": 1.0, "contrastive": 0.3}
    assert (settings.temperature, settings.threshold) == (0.2, 0.6)
    assert (settings.overlap, settings.similarity) == ("jaccard", "correlation")
    assert not settings.detach_features
    assert settings.hidden == (2048, 128)
    second = settings.classification
    assert (second.epochs, second.augmented, second.feature_length) == (40, True, 1)
    assert (settings.per_dimension, settings.effective_dim, settings.projection) == (
        True,
        None,
        None,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.7},
        {"threshold": 0.3},
        {"overlap": "cosine", "threshold": 0.7},
        {"similarity": "bhattacharyya"},
        {"effective_dim": 2},
        {"per_dimension": False},
    ],
)
def test_every_setting_reaches_its_loss(changes):
    output, targets, _ = batch()
    settings = settings_of(**changes)
    objective = contrastive_objective(settings)
    values = terms_of(objective, output, targets)
    assert values == pytest.approx(expected_terms(output, targets, settings), rel=1e-9)
    assert values != pytest.approx(expected_terms(output, targets, settings_of()), rel=1e-6)


def test_the_weights_are_named_after_what_they_weigh():
    weights = {"likelihood": 0.25, "contrastive": 4.0}
    assert dict(contrastive_objective(settings_of(weights=weights)).weights) == weights


def test_a_weight_of_0_leaves_its_term_out():
    first = contrastive_objective(settings_of(weights={"contrastive": 0}))
    assert set(first.terms) == set(first.weights) == set(first.reductions) == {"likelihood"}
    assert not first.pairwise  # so the batch may be computed in parts
    second = contrastive_objective(settings_of(weights={"likelihood": 0}))
    assert set(second.terms) == set(second.weights) == set(second.reductions) == {"contrastive"}
    assert second.pairwise
    with pytest.raises(ConfigError, match="at least one term"):
        contrastive_objective(settings_of(weights={"likelihood": 0, "contrastive": 0}))


@pytest.mark.parametrize("detach", [True, False])
def test_detached_features_get_no_gradient_from_the_likelihood(detach):
    output, targets, leaves = batch()
    objective = contrastive_objective(settings_of(detach_features=detach))
    loss = objective.terms["likelihood"](output, targets)
    loss.backward()
    assert loss.item() == pytest.approx(
        expected_terms(output, targets, settings_of())["likelihood"]
    )
    if detach:
        assert output.features.grad is None
    else:
        assert output.features.grad.abs().min() > 0
    assert all(leaf.grad.abs().max() > 0 for leaf in leaves.values())  # the mixtures train


def test_the_model_of_the_first_stage_has_a_mixture_of_features_of_length_1():
    model, first, _ = stages_of(settings_of(), learning_rate=0.1)
    images = 3 * images_of(4)
    with torch.no_grad():
        model.encoder.scale.mul_(2)
    output = first.model(images)
    flat = 2 * images.flatten(1)
    torch.testing.assert_close(
        output.features, flat / flat.square().sum(dim=1, keepdim=True).sqrt()
    )
    expected = first.model.head(output.features)
    assert output.logits is None
    assert torch.equal(output.mixture.mean, expected.mean)
    assert output.mixture.dim == WIDTH
    assert output.mixture.classes == CLASSES


def test_every_setting_reaches_the_mixture_density_network():
    settings = settings_of(
        hidden=(4, 9), activation="tanh", initialisation="paper", feature_length=8
    )
    head = contrastive_model(Scaling(), WIDTH, CLASSES, settings).head
    assert isinstance(head, MixtureDensityHead)
    assert [layer.out_features for layer in head.hidden_layers] == [4, 9]
    assert (head.activation, head.feature_length) == ("tanh", 8)
    assert (head.variance_layer.weight == 1).all()
    assert (head.weight_layer.bias == 0).all()
    plain = contrastive_model(Scaling(), WIDTH, CLASSES, settings_of()).head
    assert (plain.activation, plain.feature_length) == ("gelu", None)
    assert (plain.variance_layer.weight != 1).all()


def test_a_projection_is_another_width_in_the_first_stage_alone():
    model, first, second = stages_of(settings_of(projection=4))
    encoder, projection = first.model.encoder
    assert encoder is model.encoder is second.encoder
    output = first.model(images_of(6))
    assert output.features.shape == (6, 4)
    torch.testing.assert_close(output.features.norm(dim=1), torch.ones(6))
    assert output.mixture.dim == first.model.head.width == 4
    flat = images_of(6).flatten(1) @ projection.weight.T + projection.bias
    torch.testing.assert_close(output.features, flat / flat.norm(dim=1, keepdim=True))
    assert model(images_of(6)).features.shape == (6, WIDTH)
    assert set(model.state_dict()) == {
        "encoder.scale", "head.weight_layer.weight", "head.weight_layer.bias",
    }  # fmt: skip


def test_a_model_without_mixture_is_refused():
    objective = contrastive_objective(settings_of())
    output = Output(torch.zeros(1, WIDTH), torch.zeros(1, CLASSES))
    for term in (*objective.terms.values(), objective.diagnostics):
        with pytest.raises(TypeError, match="head must return a GaussianMixture"):
            term(output, torch.zeros(1, CLASSES))


# --- the two stages


def test_the_stages_share_the_encoder_and_the_second_freezes_it():
    model, first, second = stages_of(settings_of(), epochs=3, learning_rate=0.5)
    assert (first.name, first.epochs, first.learning_rate) == ("contrastive", 3, 0.5)
    assert (second.name, second.epochs, second.learning_rate) == ("classification", 40, 0.5)
    assert (first.views, second.views) == (2, 1)
    assert (first.validated, second.validated) == (False, True)
    assert (first.augmented, second.augmented) == (True, True)
    assert first.model.encoder is second.model.encoder is second.encoder
    assert second.model is model
    assert first.frozen == ()
    assert first.encoder is None
    (frozen,) = second.frozen
    assert frozen is model.encoder


def test_the_second_stage_has_a_schedule_of_its_own():
    own = {"epochs": 7, "learning_rate": 0.02, "augmented": False}
    _, first, second = stages_of(settings_of(classification=own), epochs=3, learning_rate=0.5)
    assert (first.epochs, first.learning_rate, first.augmented) == (3, 0.5, True)
    assert (second.epochs, second.learning_rate, second.augmented) == (7, 0.02, False)


def test_what_is_deployed_is_the_encoder_and_a_linear_classifier():
    model, first, _ = stages_of(settings_of())
    assert isinstance(model.head, LinearHead)
    assert set(model.state_dict()) == {
        "encoder.scale", "head.weight_layer.weight", "head.weight_layer.bias",
    }  # fmt: skip
    assert any("hidden_layers" in name for name in first.model.state_dict())
    assert model(images_of(2)).mixture is None


@pytest.mark.parametrize("length", [1, 6.5, None])
def test_the_classifier_sees_features_of_the_length_asked_for(length):
    model, _, _ = stages_of(settings_of(classification={"feature_length": length}))
    features = images_of(4).flatten(1)
    if length is not None:
        features = length * features / features.norm(dim=1, keepdim=True)
    layer = model.head.weight_layer
    torch.testing.assert_close(model(images_of(4)).logits, features @ layer.weight.T + layer.bias)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "gamma_positive": 1, "gamma_negative": 2, "margin": 0, "reduction": "mean",
            "detach_focusing": False,
        },
    ],
)  # fmt: skip
def test_the_second_stage_lowers_the_asymmetric_loss(values):
    _, _, second = stages_of(settings_of(classification=values))
    logits = 3 * torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(0))
    targets = sparse_targets(6, CLASSES, density=0.5, unknown=0.1)
    objective = second.objective
    slopes = []
    for lowered in (
        lambda rows: objective.terms["classification"](Output(rows, rows), targets),
        lambda rows: AsymmetricLoss(**values)(rows, targets),
    ):
        rows = logits.clone().requires_grad_()
        loss = lowered(rows)
        loss.backward()
        slopes.append((loss.detach(), rows.grad))
    (ours, slope), (expected, expected_slope) = slopes
    assert torch.equal(ours, expected)
    assert torch.equal(slope, expected_slope)
    assert dict(objective.weights) == {"classification": 1.0}
    assert objective.reductions == {"classification": values.get("reduction", "sum")}
    assert not objective.pairwise


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"threshold": 1.5},
        {"threshold": -0.5},
        {"overlap": "dice"},
        {"similarity": "gaussian"},
        {"effective_dim": 0},
        {"projection": 0},
        {"hidden": (4, 0)},
        {"feature_length": 0},
        {"weights": {"likelihood": -1}},
        {"weights": {"contrastive": -1}},
        {"weights": {"classification": 1}},
        {"classification": {"epochs": 0}},
        {"classification": {"learning_rate": 0}},
        {"classification": {"feature_length": 0}},
    ],
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(ValidationError):
        settings_of(**values)

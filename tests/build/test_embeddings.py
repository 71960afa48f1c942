"""Embeddings of a stage: what is trained with a term, what is shared, and what is deployed."""

from types import SimpleNamespace

import pytest
import torch
from mixture_cases import sparse_targets
from probmcl_cases import CLASSES, WIDTH
from reference import rival_losses as paper
from scaling_encoder import Scaling, images_of

from colabel.build.model import add_embeddings, build_head
from colabel.build.objective import build_objective
from colabel.build.stages import build_stages
from colabel.config import check_config
from colabel.methods.plan import Embeddings
from colabel.models import (
    Classifier,
    Features,
    FeaturesHead,
    HeadWithEmbeddings,
    LinearHead,
    Projection,
    as_deployed,
)
from colabel.settings import ClassAttention, FeaturesSettings, LinearSettings

LINEAR = {"encoder.scale", "head.readout.weight_layer.weight", "head.readout.weight_layer.bias"}
ENCODER = SimpleNamespace(width=WIDTH, map_channels=WIDTH)
CONTRASTIVE = {"loss": "supervised_contrastive", "positives": "any", "projection_width": 4}


def stages_of(values):
    """Return the deployed model and the stages that train it, on an encoder of five numbers."""
    config = check_config(values)
    encoder = Scaling()
    model = Classifier(encoder, build_head(config.stages()[-1].head, encoder, CLASSES))
    return model, *build_stages(model, config)


# --- two stages


def test_the_first_stage_of_mulsupcon_has_embeddings_and_the_second_deploys_none():
    model, first, second = stages_of({"method": "mulsupcon"})
    assert second.model is model
    assert set(model.state_dict()) == LINEAR
    assert first.model.encoder is model.encoder
    assert isinstance(first.model.head.head.readout, FeaturesHead)
    assert (first.validated, second.validated) == (False, True)
    output = first.model(images_of(6))
    assert output.logits is None
    assert output.mixture is None
    assert output.embeddings.shape == (6, 256)
    assert model(images_of(6)).embeddings is None


@pytest.mark.parametrize("positives", ["all", "any", "per_label"])
def test_the_objective_of_mulsupcon_is_the_loops(positives):
    """The whole way from a recipe: projection, rule and temperature."""
    terms = {"contrastive": {"positives": positives, "temperature": 0.3, "projection_width": 4}}
    _, first, _ = stages_of({"method": "mulsupcon", "terms": terms})
    images, targets = images_of(8), sparse_targets(8, CLASSES, density=0.5, unknown=0.1)
    targets[:2] = targets[2:4]
    output = first.model(images)
    projection = first.model.head.projection
    hidden = images.flatten(1) @ projection.hidden.weight.T + projection.hidden.bias
    embeddings = hidden.clamp(min=0) @ projection.output.weight.T + projection.output.bias
    torch.testing.assert_close(output.embeddings, embeddings)
    arguments = embeddings.double().tolist(), targets.tolist()
    expected = (
        paper.mulsupcon(*arguments, temperature=0.3)
        if positives == "per_label"
        else paper.supervised_contrastive(*arguments, positives=positives, temperature=0.3)
    )
    (term,) = first.objective.terms
    assert expected > 0.1
    assert term(output, targets).item() == pytest.approx(expected, rel=1e-5)
    assert (term.name, term.weight, term.reduction, term.pairwise) == (
        "contrastive", 1.0, "mean", True,
    )  # fmt: skip
    term(output, targets).backward()
    assert all(parameter.grad is not None for parameter in first.model.parameters())


# --- one stage


def one_stage(**more):
    return {"method": "bce", "terms": {"contrastive": CONTRASTIVE}, **more}


def test_a_term_adds_embeddings_to_any_method_and_leaves_what_is_deployed():
    model, stage = stages_of(one_stage())
    assert set(model.state_dict()) == LINEAR
    assert stage.model is not model
    assert stage.model.encoder is model.encoder
    assert stage.model.head.head is model.head
    assert stage.validated
    output, deployed = stage.model(images_of(6)), model(images_of(6))
    assert torch.equal(output.logits, deployed.logits)
    assert output.embeddings.shape == (6, 4)
    saved = as_deployed(stage.model)
    assert saved.state_dict().keys() == model.state_dict().keys()
    assert as_deployed(model) is model
    assert stage.objective.weights == {"classification": 1.0, "contrastive": 1.0}
    assert stage.objective.pairwise


def test_a_warm_start_trains_the_same_projection():
    training = {"warm_start": {"epochs": 2}}
    model, warm, main = stages_of(one_stage(training=training))
    assert warm.model is main.model
    assert warm.model.head.head is model.head
    assert (warm.frozen, main.frozen) == ((model.encoder,), ())


def test_without_a_projection_the_features_are_compared():
    terms = {"contrastive": CONTRASTIVE | {"projection": None}}
    _, stage = stages_of({"method": "bce", "terms": terms})
    output = stage.model(images_of(6))
    assert output.embeddings is output.features
    assert stage.model.state_dict().keys() == {
        name.replace("head.", "head.head.") for name in LINEAR
    }


def test_terms_of_the_same_embeddings_share_a_projection():
    terms = {
        "contrastive": CONTRASTIVE,
        "other": {"loss": "similarity_dissimilarity", "projection_width": 4},
    }
    _, stage = stages_of({"method": "bce", "terms": terms})
    names = [name for name, _ in stage.model.named_parameters() if "projection" in name]
    assert len(names) == 4
    assert isinstance(stage.model.head.head.readout, LinearHead)


@pytest.mark.parametrize("settings", [LinearSettings, FeaturesSettings])
def test_where_each_class_has_features_their_mean_is_projected(settings):
    head = build_head(settings(pooling=ClassAttention()), ENCODER, CLASSES)
    torch.nn.init.normal_(head.pooling.queries)
    features = Features(None, torch.randn(6, WIDTH, 2, 3))
    output = add_embeddings(head, Embeddings("linear", 4))(features)
    assert output.features.shape == (6, CLASSES, WIDTH)
    plain = add_embeddings(head, Embeddings(None, 4))(features)
    torch.testing.assert_close(plain.embeddings, output.features.mean(dim=1))
    assert output.embeddings.shape == (6, 4)


def test_embeddings_are_float32_under_autocast():
    head = build_head(LinearSettings(), ENCODER, CLASSES)
    trained = add_embeddings(head, Embeddings("mlp", 4))
    vector = torch.randn(6, WIDTH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = trained(Features(vector))
    assert torch.equal(output.embeddings, trained(Features(vector)).embeddings)


def test_a_head_without_embeddings_stays_as_it_is():
    head = build_head(LinearSettings(), ENCODER, CLASSES)
    assert add_embeddings(head, None) is head
    trained = add_embeddings(head, Embeddings("linear", 4))
    assert isinstance(trained, HeadWithEmbeddings)
    assert isinstance(trained.projection, Projection)
    assert (trained.reads, trained.classes) == (head.reads, head.classes)


# --- the losses on logits as terms


def logits_and_targets():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6, CLASSES, generator=generator, dtype=torch.float64)
    return logits, sparse_targets(6, CLASSES, density=0.5, unknown=0.1)


@pytest.mark.parametrize(
    ("method", "settings", "loop"),
    [
        (
            "focal",
            {"gamma": 1.5, "alpha": 0.4},
            lambda rows: sum(paper.focal(*row, gamma=1.5, alpha=0.4) for row in rows) / 6,
        ),
        ("zlpr", {}, lambda rows: sum(paper.zlpr(*row) for row in rows) / 6),
        (
            "two_way",
            {"temperature_positive": 3, "temperature_negative": 2},
            lambda rows: paper.two_way(*zip(*rows, strict=True), positive=3, negative=2),
        ),
    ],
)
def test_a_method_lowers_its_loss_with_these_settings(method, settings, loop):
    terms = {"classification": settings}
    (stage,) = check_config({"method": method, "terms": terms}).stages()
    objective = build_objective(stage.terms, stage.head)
    (term,) = objective.terms
    logits, targets = logits_and_targets()
    expected = loop(list(zip(logits.tolist(), targets.tolist(), strict=True)))
    assert term.loss(logits, targets).item() == pytest.approx(expected, rel=1e-9)
    assert (term.needs, term.reduction) == (("logits", "targets"), "mean")
    assert objective.pairwise == (method == "two_way")

import pytest
import torch
from mixture_cases import sparse_targets
from reference import kmcl as paper
from torch import nn

from colabel.errors import ConfigError
from colabel.methods.kmcl import KMCL, classifier, overlap_diagnostics, stages
from colabel.config.fitting import SIMILARITY_OF
from colabel.models import KernelMixtureHead, Output

ROWS, WIDTH, CLASSES = 6, 5, 3
FORMS = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")


class Passing(nn.Module):
    """An encoder for features that are there already."""

    width = WIDTH

    def forward(self, images):
        return images


def settings_of(**values):
    return KMCL.model_validate(values)


def output_of(settings, rows=ROWS, seed=0):
    """Return what a model with these settings says of random features, in float64."""
    torch.manual_seed(seed)
    model = classifier(Passing(), CLASSES, settings).double()
    features = torch.randn(rows, WIDTH, dtype=torch.float64)
    mixture = model.head(features)
    return model, Output(features, mixture.logits, mixture)


def stage_of(settings, model=None):
    model = model or classifier(Passing(), CLASSES, settings)
    (stage,) = stages(model, settings, epochs=3, learning_rate=0.5)
    return stage


def similarity_of(mixture, covariance):
    """Return the paper's similarity of the kernels of class k in the images n and i."""
    mean, variance = mixture.mean.tolist(), mixture.variance.tolist()

    def similarity(k, n, i):
        mp, vp, mq, vq = mean[n][k], variance[n][k], mean[i][k], variance[i][k]
        if covariance == "isotropic":
            return paper.bhattacharyya_isotropic(mp, vp, mq, vq, dim=WIDTH)
        if covariance == "diagonal":
            return paper.bhattacharyya_diagonal(mp, vp, mq, vq)
        if covariance == "shared_isotropic":
            return paper.gaussian_similarity([mp] * WIDTH, [mq] * WIDTH, (vp + vq) / 2)
        average = [[0.0] * WIDTH for _ in range(WIDTH)]
        for j in range(WIDTH):
            average[j][j] = (vp[j] + vq[j]) / 2
        return paper.mahalanobis_similarity(mp, mq, average)

    return similarity


def reference_terms(output, targets, settings):
    """Return the three losses of a batch by the paper's loops."""
    labels, mixture = targets.tolist(), output.mixture
    probabilities = output.logits.sigmoid().tolist()
    rows = range(len(labels))
    classification = sum(
        paper.asymmetric(
            probabilities[n],
            labels[n],
            gamma_positive=settings.gamma_positive,
            gamma_negative=settings.gamma_negative,
            margin=settings.margin,
        )
        for n in rows
    )
    if settings.reduction == "mean":
        classification /= len(labels)
    reconstruction = sum(
        paper.reconstruction(
            output.features[n].tolist(),
            probabilities[n],
            mixture.mean[n].tolist(),
            mixture.variance[n].tolist(),
            labels[n],
            per_dimension=settings.per_dimension,
        )
        for n in rows
    ) / len(labels)
    similarity = similarity_of(mixture, settings.covariance)
    contrastive = sum(
        paper.kernel_contrastive(n, labels, similarity, temperature=settings.temperature)
        for n in rows
    ) / len(labels)
    return {
        "classification": classification,
        "reconstruction": reconstruction,
        "contrastive": contrastive,
    }


@pytest.mark.parametrize("covariance", FORMS)
def test_the_objective_is_eq_8(covariance):
    settings = settings_of(covariance=covariance, gamma_positive=1, per_dimension=False)
    model, output = output_of(settings)
    targets = sparse_targets(ROWS, CLASSES, density=0.5, unknown=0.1)
    objective = stage_of(settings, model).objective
    expected = reference_terms(output, targets, settings)
    values = {name: term(output, targets).item() for name, term in objective.terms.items()}
    assert values == pytest.approx(expected, rel=1e-6)
    total = sum(objective.weights[name] * value for name, value in values.items())
    assert total == pytest.approx(
        paper.objective(
            expected["reconstruction"], expected["classification"], expected["contrastive"]
        ),
        rel=1e-6,
    )


def test_every_setting_reaches_its_loss():
    settings = settings_of(
        gamma_positive=0.5, gamma_negative=2, margin=0.1, reduction="mean", temperature=0.7,
        per_dimension=True, feature_length=None,
    )  # fmt: skip
    model, output = output_of(settings)
    targets = sparse_targets(ROWS, CLASSES, density=0.5)
    objective = stage_of(settings, model).objective
    values = {name: term(output, targets).item() for name, term in objective.terms.items()}
    assert values == pytest.approx(reference_terms(output, targets, settings), rel=1e-6)
    assert objective.reductions["classification"] == "mean"


def test_effective_dim_replaces_the_width_in_the_overlaps():
    settings = settings_of(effective_dim=WIDTH)
    model, output = output_of(settings)
    targets = sparse_targets(ROWS, CLASSES, density=0.5)

    def contrastive(**values):
        return stage_of(settings_of(**values), model).objective.terms["contrastive"](
            output, targets
        )

    assert contrastive(effective_dim=WIDTH) == contrastive()
    assert contrastive(effective_dim=2) != contrastive()


def test_the_stage_carries_the_schedule_and_a_model_with_kernels():
    settings = settings_of(covariance="diagonal", initialisation="paper", feature_length=3)
    model = classifier(Passing(), CLASSES, settings)
    stage = stage_of(settings, model)
    assert stage.model is model
    assert (stage.name, stage.epochs, stage.learning_rate, stage.views) == ("kmcl", 3, 0.5, 1)
    head = model.head
    assert isinstance(head, KernelMixtureHead)
    assert (head.width, head.classes, head.covariance) == (WIDTH, CLASSES, "diagonal")
    assert (head.init, head.feature_length) == ("paper", 3)
    assert stage.objective.pairwise
    assert dict(stage.objective.reductions) == {
        "classification": "sum", "contrastive": "mean", "reconstruction": "mean",
    }  # fmt: skip


def test_a_weight_of_0_leaves_its_term_out():
    weights = {"classification": 2, "contrastive": 0, "reconstruction": 0.5}
    objective = stage_of(settings_of(weights=weights)).objective
    assert dict(objective.weights) == {"classification": 2, "reconstruction": 0.5}
    assert set(objective.terms) == set(objective.reductions) == set(objective.weights)
    assert not objective.pairwise  # so the batch may be computed in parts
    weights = dict.fromkeys(weights, 0)
    with pytest.raises(ConfigError, match="at least one term"):
        stage_of(settings_of(weights=weights))


def test_each_form_of_covariance_has_the_similarity_of_table_4():
    assert SIMILARITY_OF == {
        "isotropic": "bhattacharyya",
        "diagonal": "bhattacharyya",
        "shared_diagonal": "mahalanobis",
        "shared_isotropic": "gaussian",
    }


@pytest.mark.parametrize("covariance", FORMS)
def test_diagnostics_equal_the_loops(covariance):
    settings = settings_of(covariance=covariance)
    _, output = output_of(settings, rows=9)
    targets = sparse_targets(9, CLASSES, density=0.5, unknown=0.2)
    labels = targets.tolist()
    similarity = similarity_of(output.mixture, covariance)
    shared, unshared, others = [], [], []
    for n, row in enumerate(labels):
        for k, label in enumerate(row):
            for i in range(len(labels)):
                if label != 1 or i == n:
                    continue
                overlap = similarity(k, n, i)
                others.append(overlap)
                if labels[i][k] != -1:
                    (shared if labels[i][k] == 1 else unshared).append(overlap)
    found = overlap_diagnostics(output.mixture, targets, settings)
    assert found == pytest.approx(
        {
            "overlap_shared": sum(shared) / len(shared),
            "overlap_unshared": sum(unshared) / len(unshared),
            "overlap_zero": sum(overlap < 1e-3 for overlap in others) / len(others),
            "variance": output.mixture.variance.mean().item(),
        },
        rel=1e-4,
    )


def test_diagnostics_tell_collapsed_kernels_from_dead_ones():
    settings = settings_of(feature_length=None)
    torch.manual_seed(0)
    head = classifier(Passing(), CLASSES, settings).head
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 0, 0]])
    same = head(torch.ones(3, WIDTH))
    found = overlap_diagnostics(same, targets, settings)
    assert found["overlap_shared"] == pytest.approx(found["overlap_unshared"]) == pytest.approx(1)
    assert found["overlap_zero"] == 0
    apart = head(torch.eye(3, WIDTH) * 1e4)
    assert overlap_diagnostics(apart, targets, settings)["overlap_zero"] == 1


@pytest.mark.parametrize("rows", [1, 4])
def test_diagnostics_without_pairs_are_numbers_all_the_same(rows):
    settings = settings_of()
    _, output = output_of(settings, rows=rows)
    nothing = torch.zeros(rows, CLASSES, dtype=torch.int8)
    assert set(overlap_diagnostics(output.mixture, nothing, settings)) == {"variance"}
    everything = torch.ones_like(nothing)
    found = overlap_diagnostics(output.mixture, everything, settings)
    assert all(value == value for value in found.values()), found


def test_a_model_without_kernels_is_refused():
    term = stage_of(settings_of()).objective.terms["contrastive"]
    with pytest.raises(TypeError, match="GaussianMixture"):
        term(Output(torch.zeros(1, WIDTH), torch.zeros(1, CLASSES)), torch.zeros(1, CLASSES))

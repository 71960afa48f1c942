"""KMCL's objective, term by term, as the paper's loops."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from mixture_cases import sparse_targets
from objective_cases import CLASSES, ROWS, WIDTH, stage_of, total_of, values_of
from reference import kmcl as paper

from colabel.build.model import build_head
from colabel.build.objective import build_objective
from colabel.mixtures import GaussianMixture
from colabel.models import Features, Output

FORMS = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")
ENCODER = SimpleNamespace(width=WIDTH, map_channels=WIDTH)


def output_of(head, rows=ROWS, seed=0):
    """Return what a head says of random features with a map, in float64."""
    torch.manual_seed(seed)
    built = build_head(head, ENCODER, CLASSES).double()
    for parameter in built.pooling.parameters():
        torch.nn.init.normal_(parameter, std=2)  # so that each class looks elsewhere
    vector = torch.randn(rows, WIDTH, dtype=torch.float64)
    unpooled = torch.randn(rows, WIDTH, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        return built(Features(vector, unpooled))


def similarity_of(mixture, similarity, dim=WIDTH):
    """Return the paper's similarity of the kernels of class k in the images n and i."""
    mean, variance = mixture.mean.tolist(), mixture.variance.tolist()

    def compare(k, n, i):
        mp, vp, mq, vq = mean[n][k], variance[n][k], mean[i][k], variance[i][k]
        if similarity == "gaussian":
            return paper.gaussian_similarity([mp] * WIDTH, [mq] * WIDTH, (vp + vq) / 2)
        if similarity == "mahalanobis":
            average = [[0.0] * WIDTH for _ in range(WIDTH)]
            for j in range(WIDTH):
                average[j][j] = (vp[j] + vq[j]) / 2
            return paper.mahalanobis_similarity(mp, mq, average)
        if isinstance(mp, list):
            return paper.bhattacharyya_diagonal(mp, vp, mq, vq)
        return paper.bhattacharyya_isotropic(mp, vp, mq, vq, dim=dim)

    return compare


def reconstruction_of(features, probabilities, means, variances, labels, *, per_dimension):
    """Eq. 5 for one image; class k sees features of its own where there are such."""
    if not isinstance(features[0], list):
        return paper.reconstruction(
            features, probabilities, means, variances, labels, per_dimension=per_dimension
        )
    present = [k for k, label in enumerate(labels) if label == 1]
    known = [k for k, label in enumerate(labels) if label != -1]
    if not present:
        return 0.0
    parts = [
        paper.mixture_value(
            features[k], probabilities, means, variances, [k], per_dimension=per_dimension
        )
        for k in range(len(labels))
    ]
    share = sum(parts[k] for k in present) / sum(parts[k] for k in known)
    return -float(torch.tensor(share, dtype=torch.float64).log())


def kmcl_terms(output, targets, stage):
    """Return the three losses of a batch by the paper's loops."""
    labels, mixture = targets.tolist(), output.mixture
    probabilities = output.logits.sigmoid().tolist()
    rows, terms = range(len(labels)), stage.terms
    asymmetric, contrastive = terms["classification"], terms["contrastive"]
    classification = sum(
        paper.asymmetric(
            probabilities[n],
            labels[n],
            gamma_positive=asymmetric.gamma_positive,
            gamma_negative=asymmetric.gamma_negative,
            margin=asymmetric.margin,
        )
        for n in rows
    )
    reconstruction = sum(
        reconstruction_of(
            output.features[n].tolist(),
            probabilities[n],
            mixture.mean[n].tolist(),
            mixture.variance[n].tolist(),
            labels[n],
            per_dimension=terms["reconstruction"].per_dimension,
        )
        for n in rows
    )
    table_4 = dict(zip(FORMS, ("bhattacharyya",) * 2 + ("mahalanobis", "gaussian"), strict=True))
    similarity = contrastive.similarity or table_4[stage.head.covariance]
    compare = similarity_of(mixture, similarity, contrastive.effective_dim or WIDTH)
    contrasted = sum(
        paper.kernel_contrastive(n, labels, compare, temperature=contrastive.temperature)
        for n in rows
    )
    return {
        "classification": classification / (ROWS if asymmetric.reduction == "mean" else 1),
        "contrastive": contrasted / ROWS,
        "reconstruction": reconstruction / ROWS,
    }


@pytest.mark.parametrize("pooling", ["encoder", "class_attention"])
@pytest.mark.parametrize("covariance", FORMS)
def test_the_objective_is_eq_8(covariance, pooling):
    """With attention per class, f_k stands in place of f for class k."""
    stage = stage_of(
        "kmcl",
        head={"covariance": covariance, "pooling": {"name": pooling}},
        terms={
            "classification": {"gamma_positive": 1},
            "reconstruction": {"per_dimension": False},
        },
    )
    output = output_of(stage.head)
    assert output.features.shape[1:-1] == (() if pooling == "encoder" else (CLASSES,))
    targets = sparse_targets(ROWS, CLASSES, density=0.5, unknown=0.2)
    assert {-1, 0, 1} == set(targets.unique().tolist())
    objective = build_objective(stage.terms, stage.head)
    expected = kmcl_terms(output, targets, stage)
    assert min(expected.values()) > 0
    assert values_of(objective, output, targets) == pytest.approx(expected, rel=1e-6)
    assert total_of(objective, output, targets) == pytest.approx(
        paper.objective(
            expected["reconstruction"], expected["classification"], expected["contrastive"]
        ),
        rel=1e-6,
    )


def test_features_per_class_matter_to_the_reconstruction():
    """Were they averaged over the classes, the loops would say something else."""
    stage = stage_of("kmcl", head={"pooling": {"name": "class_attention"}})
    output = output_of(stage.head)
    targets = sparse_targets(ROWS, CLASSES, density=0.5)
    averaged = Output(output.features.mean(dim=1), output.logits, output.mixture)
    objective = build_objective(stage.terms, stage.head)
    own, same = (values_of(objective, some, targets) for some in (output, averaged))
    assert own["reconstruction"] != pytest.approx(same["reconstruction"], rel=0.01)
    assert own["contrastive"] == same["contrastive"]


@pytest.mark.parametrize(
    ("head", "terms"),
    [
        ({}, {"classification": {"gamma_positive": 0.5, "gamma_negative": 2, "margin": 0.1}}),
        ({}, {"classification": {"reduction": "mean"}}),
        ({}, {"contrastive": {"temperature": 0.7}}),
        ({}, {"contrastive": {"similarity": "gaussian"}}),
        ({"covariance": "shared_isotropic"}, {"contrastive": {"similarity": "bhattacharyya"}}),
        ({"covariance": "shared_diagonal"}, {"contrastive": {"similarity": "bhattacharyya"}}),
        ({"covariance": "diagonal"}, {"contrastive": {"similarity": "mahalanobis"}}),
        ({}, {"contrastive": {"effective_dim": 2}}),
        ({}, {"reconstruction": {"per_dimension": False}}),
    ],
)
def test_every_setting_of_kmcl_reaches_its_loss(head, terms):
    stage = stage_of("kmcl", head=head, terms=terms)
    output = output_of(stage.head)
    targets = sparse_targets(ROWS, CLASSES, density=0.5)
    values = values_of(build_objective(stage.terms, stage.head), output, targets)
    assert values == pytest.approx(kmcl_terms(output, targets, stage), rel=1e-6)
    usual = values_of(build_objective(stage_of("kmcl").terms, stage.head), output, targets)
    changed = {name for name in values if values[name] != pytest.approx(usual[name], rel=1e-6)}
    assert changed == set(terms)


def test_the_terms_of_kmcl_say_what_they_are():
    stage = stage_of("kmcl")
    objective = build_objective(stage.terms, stage.head)
    assert objective.weights == {"classification": 0.1, "contrastive": 0.3, "reconstruction": 1}
    assert {term.name: term.reduction for term in objective.terms} == {
        "classification": "sum", "contrastive": "mean", "reconstruction": "mean",
    }  # fmt: skip
    assert [term.name for term in objective.terms if term.pairwise] == ["contrastive"]
    assert objective.pairwise


def test_the_overlaps_of_kmcl_are_measured_as_its_loss_compares_them():
    terms = {"contrastive": {"similarity": "gaussian", "effective_dim": 2}}
    stage = stage_of("kmcl", terms=terms)
    output = output_of(stage.head)
    targets = torch.ones(ROWS, CLASSES, dtype=torch.int8)
    found = build_objective(stage.terms, stage.head).diagnose(output, targets)
    compare = similarity_of(output.mixture, "gaussian")
    overlaps = [
        compare(k, n, i) ** (2 / WIDTH)
        for k in range(CLASSES)
        for n, i in itertools.permutations(range(ROWS), 2)
    ]
    assert found["overlap_shared"] == pytest.approx(sum(overlaps) / len(overlaps), rel=1e-4)


def test_a_term_that_is_taken_away_leaves_the_batch_free_to_pass_in_parts():
    stage = stage_of("kmcl", terms={"contrastive": None})
    objective = build_objective(stage.terms, stage.head)
    assert objective.weights == {"classification": 0.1, "reconstruction": 1}
    assert not objective.pairwise


def test_a_weight_of_0_measures_a_term_without_training_on_it():
    stage = stage_of("kmcl", terms={"contrastive": {"weight": 0}})
    output = output_of(stage.head)
    targets = sparse_targets(ROWS, CLASSES, density=0.5)
    objective = build_objective(stage.terms, stage.head)
    values = values_of(objective, output, targets)
    assert values == pytest.approx(kmcl_terms(output, targets, stage), rel=1e-6)
    assert total_of(objective, output, targets) == pytest.approx(
        0.1 * values["classification"] + values["reconstruction"]
    )
    assert objective.pairwise  # which measuring needs


def test_kmcl_raises_the_alarm_on_its_own_diagnostics():
    stage = stage_of("kmcl")
    objective = build_objective(stage.terms, stage.head)
    ones = torch.ones(4, CLASSES)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    places = torch.arange(4.0)[:, None].expand(4, CLASSES)
    for spread, said in ((0.0, "collapsed"), (0.5, None), (100.0, "do not reach")):
        kernels = GaussianMixture((ones / CLASSES).log(), spread * places, ones, WIDTH)
        found = objective.diagnose(Output(torch.zeros(4, WIDTH), None, kernels), targets)
        warning = objective.warning(found, {})
        assert warning is None if said is None else said in warning

"""The objectives of the methods, term by term, as the papers' loops."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from mixture_cases import sparse_targets
from probmcl_cases import batch as density_batch
from probmcl_cases import expected_diagnostics, expected_terms
from reference import kmcl as paper
from reference import probmcl_losses

from colabel.build.model import build_head
from colabel.build.objective import build_objective
from colabel.config import check_config
from colabel.errors import ConfigError
from colabel.losses import AsymmetricLoss, binary_cross_entropy
from colabel.methods import METHODS
from colabel.mixtures import GaussianMixture
from colabel.models import Features, Output

ROWS, WIDTH, CLASSES = 6, 5, 3
FORMS = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")
ENCODER = SimpleNamespace(width=WIDTH, map_channels=WIDTH)


def stage_of(method, *, head=(), terms=()):
    """Return the first stage of a method with some settings changed."""
    return check_config({"method": method, "head": dict(head), "terms": dict(terms)}).stages()[0]


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


def values_of(objective, output, targets):
    return {term.name: term(output, targets).item() for term in objective.terms}


def total_of(objective, output, targets):
    return sum(term.weight * term(output, targets).item() for term in objective.terms)


# --- KMCL


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


# --- ProbMCL


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_objective_is_eq_4(per_dimension):
    stage = stage_of("probmcl", terms={"likelihood": {"per_dimension": per_dimension}})
    objective = build_objective(stage.terms, stage.head)
    output, targets, _ = density_batch()
    expected = expected_terms(output, targets, stage.terms)
    assert expected["contrastive"] > 0.1
    assert values_of(objective, output, targets) == pytest.approx(expected, rel=1e-9)
    assert total_of(objective, output, targets) == pytest.approx(
        probmcl_losses.objective(expected["likelihood"], expected["contrastive"])
    )
    assert list(objective.weights) == ["likelihood", "contrastive"]
    assert objective.pairwise
    assert {term.reduction for term in objective.terms} == {"mean"}


@pytest.mark.parametrize(
    "terms",
    [
        {"contrastive": {"temperature": 0.7}},
        {"contrastive": {"threshold": 0.3}},
        {"contrastive": {"overlap": "cosine", "threshold": 0.7}},
        {"contrastive": {"similarity": "bhattacharyya"}},
        {"contrastive": {"effective_dim": 2}},
        {"likelihood": {"per_dimension": False}},
    ],
)
def test_every_setting_of_probmcl_reaches_its_loss_and_its_diagnostics(terms):
    output, targets, _ = density_batch()
    stage, usual = stage_of("probmcl", terms=terms), stage_of("probmcl")
    objective = build_objective(stage.terms, stage.head)
    values = values_of(objective, output, targets)
    assert values == pytest.approx(expected_terms(output, targets, stage.terms), rel=1e-9)
    assert values != pytest.approx(expected_terms(output, targets, usual.terms), rel=1e-6)
    found = objective.diagnose(output, targets)
    expected = expected_diagnostics(output, targets, stage.terms["contrastive"])
    assert found == pytest.approx(expected, rel=1e-6)
    seen = {"threshold", "overlap", "similarity", "effective_dim"}
    if seen & terms.get("contrastive", {}).keys():
        assert found != pytest.approx(
            expected_diagnostics(output, targets, usual.terms["contrastive"])
        )


@pytest.mark.parametrize("detach", [True, False])
def test_detached_features_get_no_gradient_from_the_likelihood(detach):
    output, targets, leaves = density_batch()
    stage = stage_of("probmcl", terms={"likelihood": {"detach_features": detach}})
    likelihood, _ = build_objective(stage.terms, stage.head).terms
    loss = likelihood(output, targets)
    loss.backward()
    assert loss.item() == pytest.approx(expected_terms(output, targets, stage.terms)["likelihood"])
    if detach:
        assert output.features.grad is None
    else:
        assert output.features.grad.abs().min() > 0
    assert all(leaf.grad.abs().max() > 0 for leaf in leaves.values())  # the mixtures train


def test_the_first_stage_of_probmcl_raises_the_alarm_on_its_own_diagnostics():
    stage = stage_of("probmcl")
    objective = build_objective(stage.terms, stage.head)
    ones = torch.ones(4, CLASSES)
    same = GaussianMixture((ones / CLASSES).log(), ones, ones, WIDTH)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = objective.diagnose(Output(torch.zeros(4, WIDTH), None, same), targets)
    assert "collapsed" in objective.warning(found)
    far = GaussianMixture(
        same.log_weights, 100 * torch.arange(4.0)[:, None].expand(4, CLASSES), ones, WIDTH
    )
    found = objective.diagnose(Output(torch.zeros(4, WIDTH), None, far), targets)
    assert "do not reach" in objective.warning(found)


def test_kmcl_raises_the_alarm_on_its_own_diagnostics():
    stage = stage_of("kmcl")
    objective = build_objective(stage.terms, stage.head)
    ones = torch.ones(4, CLASSES)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    places = torch.arange(4.0)[:, None].expand(4, CLASSES)
    for spread, said in ((0.0, "collapsed"), (0.5, None), (100.0, "do not reach")):
        kernels = GaussianMixture((ones / CLASSES).log(), spread * places, ones, WIDTH)
        found = objective.diagnose(Output(torch.zeros(4, WIDTH), None, kernels), targets)
        warning = objective.warning(found)
        assert warning is None if said is None else said in warning


# --- losses that look at each label alone


def logits_and_targets(rows=ROWS):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, CLASSES, generator=generator)
    return logits, sparse_targets(rows, CLASSES, density=0.5, unknown=0.1)


@pytest.mark.parametrize("second_stage", [False, True])
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
def test_asl_lowers_the_asymmetric_loss_with_these_settings(values, second_stage):
    """As a method of its own, and as ProbMCL's second stage."""
    terms = {"classification": values}
    if second_stage:
        method = {"name": "probmcl", "classification": {"terms": terms}}
        stage = check_config({"method": method}).stages()[-1]
    else:
        stage = stage_of("asl", terms=terms)
    objective = build_objective(stage.terms, stage.head)
    logits, targets = logits_and_targets()
    slopes = []
    for lowered in (
        lambda rows: objective.terms[0](Output(rows, rows), targets),
        lambda rows: AsymmetricLoss(**values)(rows, targets),
    ):
        rows = logits.clone().requires_grad_()
        loss = lowered(rows)
        loss.backward()
        slopes.append((loss.detach(), rows.grad))
    (ours, slope), (expected, expected_slope) = slopes
    assert torch.equal(ours, expected)
    assert torch.equal(slope, expected_slope)
    assert ours != AsymmetricLoss(margin=0.5)(logits, targets)
    assert objective.weights == {"classification": 1.0}
    assert objective.terms[0].reduction == values.get("reduction", "sum")
    assert not objective.pairwise


def test_bce_is_a_mean_of_binary_cross_entropies():
    stage = stage_of("bce")
    objective = build_objective(stage.terms, stage.head)
    logits, targets = logits_and_targets()
    (term,) = objective.terms
    loss = term(Output(torch.zeros(ROWS, WIDTH), logits), targets)
    assert torch.equal(loss, binary_cross_entropy(logits, targets))
    assert (term.name, term.weight, term.reduction) == ("classification", 1.0, "mean")
    assert not objective.pairwise


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_model_that_does_not_give_what_a_term_needs_is_refused(method):
    stage = stage_of(method)
    nothing = Output(torch.zeros(1, WIDTH), None)
    for term in build_objective(stage.terms, stage.head).terms:
        with pytest.raises(TypeError, match="which the head does not give"):
            term(nothing, torch.zeros(1, CLASSES))
        if term.diagnostics is not None:
            with pytest.raises(TypeError, match="needs mixture, which the head does not give"):
                term.diagnose(nothing, torch.zeros(1, CLASSES))


def test_an_objective_without_weight_is_refused():
    terms = {
        name: term.model_copy(update={"weight": 0}) for name, term in METHODS["kmcl"].terms.items()
    }
    with pytest.raises(ConfigError, match="at least one term"):
        build_objective(terms, METHODS["kmcl"].head)

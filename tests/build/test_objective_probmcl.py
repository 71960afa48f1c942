"""ProbMCL's objective, term by term, as the paper's loops."""

import pytest
import torch
from objective_cases import CLASSES, WIDTH, stage_of, total_of, values_of
from probmcl_cases import batch as density_batch
from probmcl_cases import expected_diagnostics, expected_terms
from reference import probmcl_losses

from colabel.build.objective import build_objective
from colabel.mixtures import GaussianMixture
from colabel.models import Output


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
    assert "collapsed" in objective.warning(found, {})
    far = GaussianMixture(
        same.log_weights, 100 * torch.arange(4.0)[:, None].expand(4, CLASSES), ones, WIDTH
    )
    found = objective.diagnose(Output(torch.zeros(4, WIDTH), None, far), targets)
    assert "do not reach" in objective.warning(found, {})

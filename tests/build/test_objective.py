"""The objectives of all methods: losses that look at each label alone, and what is refused."""

import pytest
import torch
from mixture_cases import sparse_targets
from objective_cases import CLASSES, ROWS, WIDTH, stage_of

from colabel.build.objective import build_objective
from colabel.config import check_config
from colabel.errors import ConfigError
from colabel.losses import AsymmetricLoss, binary_cross_entropy
from colabel.methods import METHODS
from colabel.models import Output


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

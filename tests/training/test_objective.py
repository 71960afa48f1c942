"""Terms and objectives: what they are called with, what they refuse, what has no weight."""

import math

import pytest
import torch
from training_runs import CLASSES, SIZE, square_objective
from training_runs import small_model as model_of

from colabel.errors import ConfigError
from colabel.mixtures import GaussianMixture
from colabel.models import Output
from colabel.training import Objective, Term, make_accelerator
from colabel.training.optimiser import ParameterGroup, build_optimiser
from colabel.training.step import compute_gradients


def total(logits, _):
    return logits.sum()


def output_of(**changes):
    mixture = GaussianMixture(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3), dim=4)
    values = {"features": torch.ones(2, 4), "logits": torch.zeros(2, 3), "mixture": mixture}
    return Output(**(values | changes))


NEEDS = [
    ("logits", "targets"),
    ("targets", "logits"),
    ("mixture", "features", "targets"),
    ("mixture", "features"),
    ("features",),
]


@pytest.mark.parametrize("needs", NEEDS)
def test_a_loss_takes_what_it_needs_in_order(needs):
    output, targets, calls = output_of(), torch.ones(2, 3), []

    def loss(*arguments):
        calls.append(arguments)
        return torch.tensor(0.5)

    def watch(*arguments):
        calls.append(arguments)
        return {"seen": 1.0}

    term = Term("fit", loss, needs=needs, diagnostics=watch)
    assert term(output, targets).item() == 0.5
    assert term.diagnose(output, targets) == {"seen": 1.0}
    given = {
        "targets": targets,
        "features": output.features,
        "logits": output.logits,
        "mixture": output.mixture,
    }
    assert len(calls) == 2
    for arguments in calls:
        assert len(arguments) == len(needs)
        assert all(found is given[name] for found, name in zip(arguments, needs, strict=True))


@pytest.mark.parametrize("missing", ["logits", "mixture"])
def test_what_the_head_does_not_give_is_named_with_the_term(missing):
    term = Term("fit", total, needs=(missing, "targets"), diagnostics=total)
    message = f"the term 'fit' needs {missing}, which the head does not give"
    for call in (term, term.diagnose):
        with pytest.raises(TypeError, match=message):
            call(output_of(**{missing: None}), torch.zeros(2, 3))


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf])
def test_a_weight_out_of_range_is_named(weight):
    with pytest.raises(ConfigError, match=f"weight of 'fit' must be at least 0, got {weight}"):
        Term("fit", total, weight)


def test_a_reduction_is_a_sum_or_a_mean():
    with pytest.raises(ConfigError, match="reduction of 'fit' must be 'sum' or 'mean', got 'max'"):
        Term("fit", total, reduction="max")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ((), "at least one term with a weight above 0"),
        ((Term("a", total, 0), Term("b", total, 0)), "at least one term with a weight above 0"),
        ((Term("a", total), Term("b", total), Term("a", total)), "name of its own, got a, b, a"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(terms, message):
    with pytest.raises(ConfigError, match=message):
        Objective(terms)


def test_an_objective_knows_its_weights_and_whether_images_are_compared():
    alone = Objective((Term("a", total, 2), Term("b", total, 0)))
    assert alone.weights == {"a": 2, "b": 0}
    assert not alone.pairwise
    # measured only, a loss that compares images is still another one in parts
    compared = Objective((Term("a", total), Term("b", total, 0, pairwise=True)))
    assert compared.pairwise


def test_diagnostics_of_all_terms_are_one_and_the_first_warning_counts():
    def silent(_):
        return None

    def loud(diagnostics):
        return f"x is {diagnostics['x']}"

    objective = Objective(
        (
            Term("a", total, diagnostics=lambda *_: {"x": 1.0}, alarm=silent),
            Term("b", total),
            Term("c", total, diagnostics=lambda *_: {"y": 2.0}, alarm=loud),
            Term("d", total, alarm=lambda _: "too late"),
        )
    )
    found = objective.diagnose(output_of(), torch.zeros(2, 3))
    assert found == {"x": 1.0, "y": 2.0}
    assert objective.warning(found, {}) == "x is 1.0"
    assert Objective((Term("a", total, alarm=silent),)).warning({}, {}) is None


@pytest.mark.parametrize("value", [1.0, math.nan, math.inf])
def test_a_term_without_weight_is_measured_and_changes_no_gradient(value):
    """Also where its value, its gradient or both are not finite."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    targets = torch.randint(0, 2, (4, CLASSES), generator=generator, dtype=torch.int8)
    enabled = []

    def watched(logits, _):
        enabled.append(torch.is_grad_enabled())
        return (logits - logits).abs().sqrt().sum() + value

    (square,) = square_objective().terms
    found = []
    for terms in ((square,), (Term("watched", watched, 0), square)):
        accelerator = make_accelerator(cpu=True)
        model = model_of(normalise=False, dropout=0.0)
        groups = [ParameterGroup("model", (model,), 0.1)]
        losses = compute_gradients(
            model,
            Objective(terms),
            images,
            targets,
            accelerator=accelerator,
            optimiser=accelerator.prepare_optimizer(build_optimiser(groups, weight_decay=0)),
            measure=True,
        )
        assert losses.finite(scaled=False)
        assert losses.weighted.keys() == losses.gradient_shares.keys() == {"square"}
        found.append((losses, [parameter.grad for parameter in model.parameters()]))
    assert enabled == [False]
    (plain, expected), (both, gradients) = found
    assert both.raw["watched"] == pytest.approx(value, nan_ok=True)
    assert both.raw["square"] == plain.raw["square"]
    for gradient, other in zip(gradients, expected, strict=True):
        assert (gradient is None and other is None) or torch.equal(gradient, other)

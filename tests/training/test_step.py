import math

import pytest
import torch
from training_runs import CLASSES, SIZE, kernel_objective, small_model, square_objective

from colabel.training import Objective, Term, make_accelerator
from colabel.training.optimiser import ParameterGroup, build_optimiser
from colabel.training.step import Losses, compute_gradients


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    targets = torch.randint(-1, 2, (7, CLASSES), generator=generator, dtype=torch.int8)
    return images, targets


def optimiser_of(model):
    return build_optimiser([ParameterGroup("model", (model,), 0.1)], weight_decay=0)


def gradients(batch, objective, **options):
    accelerator = make_accelerator(cpu=True)
    model = small_model(normalise=False, dropout=0.0)
    optimiser = accelerator.prepare_optimizer(optimiser_of(model))
    losses = compute_gradients(
        model, objective, *batch, accelerator=accelerator, optimiser=optimiser, **options
    )
    return losses, {
        name: None if parameter.grad is None else parameter.grad.clone()
        for name, parameter in model.named_parameters()
    }


def by_hand(batch, objective):
    """Return the values of the terms and the gradient of their weighted sum."""
    model = small_model(normalise=False, dropout=0.0)
    output = model(batch[0])
    terms = {term.name: term(output, batch[1]) for term in objective.terms}
    sum(objective.weights[name] * value for name, value in terms.items()).backward()
    return terms, {name: parameter.grad for name, parameter in model.named_parameters()}, output


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-7)


def test_losses_and_gradients_are_those_of_the_weighted_sum(batch):
    objective = kernel_objective()
    losses, filled = gradients(batch, objective)
    terms, expected, _ = by_hand(batch, objective)
    assert_same(filled, expected)
    for name, value in terms.items():
        assert math.isclose(losses.raw[name], value.item(), rel_tol=1e-6)
        weighted = objective.weights[name] * value.item()
        assert math.isclose(losses.weighted[name], weighted, rel_tol=1e-6)
    squares = sum(each.square().sum() for each in expected.values() if each is not None)
    assert math.isclose(losses.gradient_norm, squares.sqrt().item(), rel_tol=1e-5)


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_pieces_of_a_batch_add_up_to_the_whole(batch, reduction, parts):
    objective = square_objective(reduction)
    whole, expected = gradients(batch, objective)
    losses, filled = gradients(batch, objective, parts=parts)
    assert_same(filled, expected)
    assert math.isclose(losses.raw["square"], whole.raw["square"], rel_tol=1e-5)


def test_a_gradient_longer_than_the_limit_is_cut_to_it(batch):
    objective = square_objective()
    losses, free = gradients(batch, objective)
    clipped, cut = gradients(batch, objective, clip=losses.gradient_norm / 4)
    assert math.isclose(clipped.gradient_norm, losses.gradient_norm, rel_tol=1e-6)
    scaled = {name: None if each is None else each / 4 for name, each in free.items()}
    assert_same(cut, scaled)
    _, untouched = gradients(batch, objective, clip=losses.gradient_norm * 4)
    assert_same(untouched, free)


def test_gradient_shares_are_lengths_at_the_features(batch):
    objective = kernel_objective()
    losses, filled = gradients(batch, objective, measure=True)
    lengths = {}
    for term in objective.terms:
        model = small_model(normalise=False, dropout=0.0)
        features = model.encoder(batch[0]).detach().requires_grad_()
        model.encoder = torch.nn.Identity()
        value = term.weight * term(model(features), batch[1])
        (gradient,) = torch.autograd.grad(value, features)
        lengths[term.name] = gradient.norm().item()
    for name, length in lengths.items():
        share = length / sum(lengths.values())
        assert math.isclose(losses.gradient_shares[name], share, rel_tol=1e-4)
    # measuring leaves the gradients as they are
    assert_same(filled, gradients(batch, objective)[1])


def test_a_term_without_gradient_has_no_share(batch):
    objective = Objective(
        (
            Term("pull", lambda logits, _: logits.sum()),
            Term("constant", lambda _, targets: targets.sum().float()),
        )
    )
    assert gradients(batch, objective, measure=True)[0].gradient_shares == {
        "pull": 1.0,
        "constant": 0.0,
    }


def test_shares_are_not_measured_where_the_features_are_not_trained(batch):
    accelerator = make_accelerator(cpu=True)
    model = small_model()
    model.encoder.requires_grad_(False)
    optimiser = accelerator.prepare_optimizer(optimiser_of(model))
    losses = compute_gradients(
        model,
        kernel_objective(),
        *batch,
        accelerator=accelerator,
        optimiser=optimiser,
        measure=True,
    )
    assert losses.gradient_shares == {}


def losses(value, norm):
    return Losses({"a": value}, {"a": value}, norm, {}, {})


@pytest.mark.parametrize(
    ("value", "norm", "scaled", "finite"),
    [
        (1.0, 1.0, False, True),
        (math.nan, 1.0, False, False),
        (math.inf, 1.0, True, False),
        (1.0, math.inf, False, False),
        (1.0, math.inf, True, True),  # the scaler leaves this step out on its own
    ],
)
def test_what_counts_as_finite(value, norm, scaled, finite):
    assert losses(value, norm).finite(scaled=scaled) is finite

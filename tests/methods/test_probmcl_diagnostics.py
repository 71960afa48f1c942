"""ProbMCL's diagnostics as loops, and the warning about them."""

import pytest
import torch
from density_cases import densities, density_of
from mixture_cases import sparse_targets
from probmcl_cases import CLASSES, WIDTH, batch, expected_diagnostics, settings_of

from colabel.methods.probmcl import (
    COLLAPSED,
    VANISHED,
    collapse_warning,
    contrastive_objective,
    similarity_diagnostics,
)
from colabel.mixtures import GaussianMixture
from colabel.models import Output


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"threshold": 0.3},
        {"overlap": "cosine", "threshold": 0.7},
        {"similarity": "bhattacharyya"},
        {"effective_dim": 2},
    ],
)
def test_every_setting_reaches_the_diagnostics(changes):
    output, targets, _ = batch()
    settings = settings_of(**changes)
    found = contrastive_objective(settings).diagnostics(output, targets)
    expected = expected_diagnostics(output, targets, settings)
    assert found == pytest.approx(expected, rel=1e-6)
    if changes:
        assert found != pytest.approx(expected_diagnostics(output, targets, settings_of()))


@pytest.mark.parametrize("similarity", ["correlation", "bhattacharyya"])
def test_diagnostics_equal_the_loops(similarity):
    settings = settings_of(similarity=similarity)
    _, _, leaves = batch(rows=10, seed=3)
    targets = sparse_targets(10, CLASSES, density=0.4, unknown=0.1, seed=3)
    with torch.no_grad():
        leaves["variance"][0] = torch.tensor([1.005, 1.0, 1.02])
    output = Output(torch.zeros(10, WIDTH), None, density_of(leaves, WIDTH))
    expected = expected_diagnostics(output, targets, settings)
    assert 0 < expected["anchors_without_positives"] < 1
    assert expected["variance_at_floor"] == pytest.approx(2 / 30)
    found = similarity_diagnostics(output.mixture, targets, settings)
    assert found == pytest.approx(expected, rel=1e-6)
    assert all(isinstance(value, float) for value in found.values())


def test_diagnostics_leave_out_what_there_is_not():
    settings = settings_of()
    output, _, _ = batch(rows=4)

    def keys(targets, mixture=output.mixture):
        return set(similarity_diagnostics(mixture, torch.tensor(targets), settings))

    always = {"anchors_without_positives", "variance_at_floor", "weight_entropy"}
    assert keys([[0, 0, 0]] * 4) == always | {"similarity_negative"}
    assert keys([[1, 0, 1]] * 4) == always | {"similarity_positive"}
    one, _, _ = batch(rows=2)
    alone = GaussianMixture(
        one.mixture.log_weights[:1], one.mixture.mean[:1], one.mixture.variance[:1], WIDTH
    )
    assert keys([[1, 0, 1]], alone) == always
    single, _ = densities("isotropic", 4, 1, WIDTH)
    assert keys([[1]] * 4, single) == {
        "anchors_without_positives", "variance_at_floor", "similarity_positive",
    }  # fmt: skip


def test_the_entropy_is_1_for_equal_weights_and_0_for_one():
    ones = torch.ones(2, 4)
    targets = torch.zeros(2, 4)
    equal = GaussianMixture((ones / 4).log(), ones, ones, WIDTH)
    found = similarity_diagnostics(equal, targets, settings_of())
    assert found["weight_entropy"] == pytest.approx(1)
    assert found["variance_at_floor"] == 1
    single = GaussianMixture(torch.eye(4)[:2].log(), ones, 1.5 * ones, WIDTH)
    found = similarity_diagnostics(single, targets, settings_of())
    assert found["weight_entropy"] == 0
    assert found["variance_at_floor"] == 0


@pytest.mark.parametrize(
    ("positive", "negative", "said"),
    [
        (0.9, 0.2, None),
        (0.99, 0.979, None),
        (0.03, 0.0, None),
        (1.0, COLLAPSED, "have collapsed into one"),
        (0.999, 0.99, "have collapsed into one"),
        (VANISHED, 0.0, "do not reach each other"),
        (0.001, 0.5, "do not reach each other"),
        (None, 1.0, None),
        (0.0, None, None),
        (None, None, None),
    ],
)
def test_a_warning_where_similarities_tell_nothing(positive, negative, said):
    values = {"similarity_positive": positive, "similarity_negative": negative, "other": 1.0}
    values = {name: value for name, value in values.items() if value is not None}
    warning = collapse_warning(values)
    if said is None:
        assert warning is None
    else:
        assert said in warning
        assert f"positives have a mean similarity of {positive:.3f}" in warning
        assert f"negatives of {negative:.3f}" in warning


def test_the_first_stage_raises_the_alarm_on_its_own_diagnostics():
    objective = contrastive_objective(settings_of())
    ones = torch.ones(4, CLASSES)
    same = GaussianMixture((ones / CLASSES).log(), ones, ones, WIDTH)
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = objective.diagnostics(Output(torch.zeros(4, WIDTH), None, same), targets)
    assert "collapsed" in objective.alarm(found)
    far = GaussianMixture(
        same.log_weights, 100 * torch.arange(4.0)[:, None].expand(4, CLASSES), ones, WIDTH
    )
    found = objective.diagnostics(Output(torch.zeros(4, WIDTH), None, far), targets)
    assert "do not reach" in objective.alarm(found)

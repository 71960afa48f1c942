"""The terms of a loss in training: not finite, without weight, with diagnostics, over views."""

from dataclasses import replace

import pytest
import torch
from stopping import Watcher, interrupt
from training_runs import BATCH, CLASSES, Run, records_of_log, small_stage, square_objective

from colabel.errors import NonFiniteLossError
from colabel.training import Objective, Term
from colabel.training.checkpoint import load_state


def exploding(at, *, gradient_only=False):
    """An objective whose second term breaks at a step."""
    calls = []

    def breaks(logits, targets):
        calls.append(1)
        value = logits.sum()
        if len(calls) != at:
            return value
        return (value - value.detach()).abs().sqrt() if gradient_only else value / 0

    return Objective(
        (Term("calm", lambda logits, _: logits.square().mean()), Term("wild", breaks, 1e-3))
    )


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_loss_that_is_not_finite_stops_with_its_terms(tmp_path, gradient_only):
    stage = small_stage(objective=exploding(5, gradient_only=gradient_only))
    with pytest.raises(NonFiniteLossError) as caught:
        Run(tmp_path, stage).fit()
    message = str(caught.value)
    assert "stage 'kernels', epoch 2, batch 2" in message
    assert "calm 0." in message
    assert "wild" in message
    assert "the state after 1 epochs and 0 batches is kept" in message
    assert all(
        torch.isfinite(each).all() for each in load_state(tmp_path / "last").tensors.values()
    )
    assert all(torch.isfinite(each).all() for each in stage.model.parameters())


def test_a_term_without_weight_is_logged_and_does_no_harm(tmp_path):
    objective = Objective(
        (
            Term("calm", lambda logits, _: logits.square().mean()),
            Term("off", lambda logits, _: logits.sum() * torch.nan, weight=0.0),
        )
    )
    stage = small_stage(objective=objective, epochs=1)
    Run(tmp_path, stage).fit(display=Watcher(2, interrupt))
    assert Run(tmp_path, stage).fit(resume=True).finished
    record = records_of_log(tmp_path, "step")[0]
    assert record["terms"]["off"] == {"raw": None, "weighted": 0.0, "gradient_share": None}
    (epoch,) = records_of_log(tmp_path, "epoch")
    assert epoch["terms"]["off"]["raw"] is None
    assert epoch["loss"] > 0


def test_diagnostics_are_logged(tmp_path):
    def count(logits, targets):
        assert not torch.is_grad_enabled()
        return {"positives": float((targets == 1).sum())}

    (square,) = square_objective().terms
    objective = Objective((replace(square, diagnostics=count),))
    run = Run(tmp_path, small_stage(objective=objective, epochs=1))
    run.fit()
    targets = next(iter(run.loaders(run.stages[0])))[1]
    assert records_of_log(tmp_path, "step")[0]["diagnostics"] == {
        "positives": float((targets == 1).sum())
    }


def test_every_view_counts_as_an_image(tmp_path):
    seen = []

    def square(logits, targets):
        seen.append((logits.shape, targets))
        return logits.square().mean()

    objective = Objective((Term("square", square, pairwise=True),))
    Run(tmp_path, small_stage(objective=objective, epochs=1, views=2)).fit()
    shape, targets = seen[0]
    assert shape == (2 * BATCH, CLASSES)
    assert torch.equal(targets[::2], targets[1::2])

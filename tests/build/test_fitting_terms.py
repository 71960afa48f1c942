"""What is said to fit can be computed on every head, and what is refused cannot."""

from types import SimpleNamespace

import pytest
import torch
from mixture_cases import sparse_targets
from pydantic import TypeAdapter

from colabel.build.model import add_embeddings, build_head
from colabel.build.objective import LOSSES, build_objective
from colabel.config.fitting import check_fit
from colabel.methods import StagePlan
from colabel.models import Features
from colabel.settings import HeadSettings, TermSettings

ROWS, WIDTH, CLASSES = 6, 5, 3
FORMS = ("isotropic", "diagonal", "shared_diagonal", "shared_isotropic")
ENCODER = SimpleNamespace(width=WIDTH, map_channels=WIDTH)
HEADS = [
    *(
        values | {"pooling": {"name": pooling}}
        for pooling in ("encoder", "class_attention")
        for values in (
            {"name": "linear"},
            *({"name": "kernel_mixture", "covariance": form} for form in FORMS),
        )
    ),
    {"name": "mixture_density", "hidden": [4]},
    {"name": "features"},
    {"name": "features", "pooling": {"name": "class_attention"}},
]
TERMS = [
    *({"loss": name} for name in sorted(LOSSES)),
    *(
        {"loss": "kernel_contrastive", "similarity": similarity}
        for similarity in ("bhattacharyya", "mahalanobis", "gaussian")
    ),
    {"loss": "kernel_contrastive", "effective_dim": 2},
    {"loss": "mixture_contrastive", "effective_dim": 2},
    {"loss": "mixture_contrastive", "similarity": "bhattacharyya"},
    *(
        {"loss": "supervised_contrastive", "positives": positives, "projection": "linear"}
        for positives in ("any", "per_label")
    ),
    {"loss": "supervised_contrastive", "positives": "any", "projection": None},
]


def text(values):
    return "-".join(str(value) for value in values.values())


@pytest.mark.parametrize("head", HEADS, ids=text)
@pytest.mark.parametrize("term", TERMS, ids=text)
def test_what_is_said_to_fit_has_a_value_and_a_gradient_and_nothing_else_has(head, term):
    head = TypeAdapter(HeadSettings).validate_python(head)
    term = TypeAdapter(TermSettings).validate_python(term)
    torch.manual_seed(0)
    plan = StagePlan("any", head, {"some": term}, 1, 1e-3, 1e-3)
    built = add_embeddings(build_head(head, ENCODER, CLASSES), plan.embeddings)
    vector = torch.randn(ROWS, WIDTH).requires_grad_()
    output = built(Features(vector, torch.randn(ROWS, WIDTH, 2, 3)))
    targets = sparse_targets(ROWS, CLASSES, density=0.5, unknown=0.1)
    objective = build_objective({"some": term}, head)
    try:
        check_fit(plan)
    except ValueError:
        with pytest.raises((TypeError, ValueError)):
            objective.terms[0](output, targets)
        return
    loss = objective.terms[0](output, targets)
    loss.backward()
    assert torch.isfinite(loss)
    trained = (vector, *built.parameters())
    assert any(each.grad is not None and each.grad.any() for each in trained)
    assert all(value == value for value in objective.diagnose(output, targets).values())

"""Batches of ProbMCL's contrastive stage, and what its losses and diagnostics are by loops."""

import math

import torch
from density_cases import OVERLAPS, contrastive_loop, densities, likelihood_loop, similarity_loop
from mixture_cases import sparse_targets
from reference import probmcl_losses as paper

from colabel.config import check_config
from colabel.models import Output

WIDTH, CLASSES, ROWS = 5, 3, 8


def config_of(*, head=(), terms=(), classification=()):
    """A recipe of ProbMCL whose network is small, with some values changed."""
    return check_config(
        {
            "method": {"name": "probmcl", "classification": dict(classification)},
            "head": {"hidden": (7, 6)} | dict(head),
            "terms": dict(terms),
        }
    )


def batch(rows=ROWS, seed=0):
    """Random features of length 1 with random mixtures in float64, and targets in two views."""
    made, leaves = densities("isotropic", rows, CLASSES, WIDTH, seed=seed, spread=0.5, grad=True)
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64)
    features = (features / features.norm(dim=1, keepdim=True)).requires_grad_()
    targets = sparse_targets(rows // 2, CLASSES, density=0.5, unknown=0.1, seed=seed)
    return Output(features, None, made), targets.repeat_interleave(2, dim=0), leaves


def expected_terms(output, targets, terms):
    """The two losses of a batch by the paper's loops, means over the views.

    ``terms`` are the settings by name, as in a recipe.
    """
    likelihood = likelihood_loop(
        output.mixture, output.features.detach(), per_dimension=terms["likelihood"].per_dimension
    )
    settings = terms["contrastive"]
    contrastive = contrastive_loop(
        output.mixture,
        targets,
        temperature=settings.temperature,
        threshold=settings.threshold,
        overlap=settings.overlap,
        similarity=settings.similarity,
        effective_dim=settings.effective_dim,
    )
    rows = len(targets)
    return {"likelihood": sum(likelihood) / rows, "contrastive": sum(contrastive) / rows}


def expected_diagnostics(output, targets, settings):
    """The diagnostics of a batch by loops, for the settings of the contrastive term."""
    labels, mixture = targets.tolist(), output.mixture
    compare = similarity_loop(mixture, settings.similarity, settings.effective_dim)
    near, far, alone = [], [], 0
    for i in range(len(labels)):
        chosen = paper.positives(
            i, labels, threshold=settings.threshold, overlap=OVERLAPS[settings.overlap]
        )
        alone += not chosen
        for j in range(len(labels)):
            if j != i:
                (near if j in chosen else far).append(compare(i, j))
    variances = [value for row in mixture.variance.tolist() for value in row]
    entropies = [
        -sum(weight * math.log(weight) for weight in row) / math.log(len(row))
        for row in mixture.log_weights.exp().tolist()
    ]
    return {
        "similarity_positive": sum(near) / len(near),
        "similarity_negative": sum(far) / len(far),
        "anchors_without_positives": alone / len(labels),
        "variance_at_floor": sum(value < 1.01 for value in variances) / len(variances),
        "weight_entropy": sum(entropies) / len(entropies),
    }

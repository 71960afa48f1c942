"""KMCL Eq. 7 twice over: as the reference's loops, and as naive tensors for autograd."""

import pytest
import torch
from mixture_cases import from_leaves
from reference import kmcl

FORMS = [
    ("isotropic", "bhattacharyya"),
    ("shared_isotropic", "bhattacharyya"),
    ("diagonal", "bhattacharyya"),
    ("shared_diagonal", "bhattacharyya"),
    ("shared_diagonal", "mahalanobis"),
    ("shared_isotropic", "gaussian"),
]
EVERY_FORM = pytest.mark.parametrize(("kind", "similarity"), FORMS)


def similarity_loop(made, similarity, dim):
    """rho(k, n, i) of the mixture, from the reference."""
    mean, variance = made.mean.tolist(), made.variance.tolist()

    def average(k, n, i):
        return [(p + q) / 2 for p, q in zip(variance[n][k], variance[i][k], strict=True)]

    def bhattacharyya_isotropic(k, n, i):
        return kmcl.bhattacharyya_isotropic(
            mean[n][k], variance[n][k], mean[i][k], variance[i][k], dim=dim
        )

    def bhattacharyya_diagonal(k, n, i):
        return kmcl.bhattacharyya_diagonal(mean[n][k], variance[n][k], mean[i][k], variance[i][k])

    def mahalanobis(k, n, i):
        matrix = [
            [v if row == column else 0.0 for column in range(dim)]
            for row, v in enumerate(average(k, n, i))
        ]
        return kmcl.mahalanobis_similarity(mean[n][k], mean[i][k], matrix)

    def gaussian(k, n, i):
        scalar = (variance[n][k] + variance[i][k]) / 2
        return kmcl.gaussian_similarity([mean[n][k]] * dim, [mean[i][k]] * dim, scalar)

    if similarity == "bhattacharyya":
        return bhattacharyya_isotropic if made.isotropic else bhattacharyya_diagonal
    return {"mahalanobis": mahalanobis, "gaussian": gaussian}[similarity]


def loop(made, targets, *, temperature, similarity, dim=None):
    rho = similarity_loop(made, similarity, made.dim if dim is None else dim)
    labels = targets.to(torch.int64).tolist()
    return [
        kmcl.kernel_contrastive(n, labels, rho, temperature=temperature) for n in range(made.batch)
    ]


def naive(made, targets, *, temperature, similarity):
    """Eq. 7 with all N x N x K x M tensors, one operation per symbol, for autograd."""
    mean, variance = made.mean, made.variance
    if made.isotropic:
        mean, variance = (
            part[..., None].expand(*part.shape, made.dim) for part in (mean, variance)
        )
    total = variance[:, None] + variance[None]
    exponent = ((mean[:, None] - mean[None]) ** 2 / total).sum(dim=-1) / 4
    rho = torch.exp(-exponent)
    if similarity == "bhattacharyya":
        root = torch.sqrt(variance[:, None]) * torch.sqrt(variance[None])
        rho = rho * (total / (2 * root)).prod(dim=-1) ** -0.5
    present, known = targets == 1, targets != -1
    others = ~torch.eye(made.batch, dtype=torch.bool)
    taken = others[..., None] & known[None]
    denominator = (torch.exp(rho / temperature) * taken).sum(dim=1, keepdim=True)
    log_ratio = rho / temperature - denominator.masked_fill(denominator == 0, 1).log()
    shared = present[:, None] & present[None] & others[..., None]
    both = known[:, None] & known[None]
    either = (present[:, None] | present[None]) & both
    both_present = (present[:, None] & present[None]).sum(dim=-1).to(mean.dtype)
    overlap = both_present / either.sum(dim=-1).clamp(min=1)
    pair = overlap * (log_ratio * shared).sum(dim=-1)
    positives = shared.any(dim=-1)
    return -(pair * positives).sum(dim=1) / positives.sum(dim=1).clamp(min=1)


def gradients(function, leaves, dim, targets, **options):
    copies = {name: leaf.detach().clone().requires_grad_() for name, leaf in leaves.items()}
    values = function(from_leaves(copies, dim), targets, **options)
    weights = 1 + torch.arange(len(values), dtype=values.dtype)  # every image with its own factor
    (values * weights).sum().backward()
    return copies["mean"].grad, copies["variance"].grad

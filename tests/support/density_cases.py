"""Random mixtures of normalised densities, and ProbMCL Eq. 2 and 3 of them as loops."""

from functools import cache

import torch
from mixture_cases import mixture
from reference import probmcl, probmcl_losses
from torch import Tensor

from colabel.mixtures import GaussianMixture

SIMILARITIES = {
    "correlation": probmcl.correlation_coefficient,
    "bhattacharyya": probmcl.bhattacharyya_bound,
}
OVERLAPS = {
    "jaccard": probmcl_losses.jaccard_index,
    "cosine": probmcl_losses.cosine_similarity,
}


def densities(
    kind: str, batch: int, classes: int, dim: int, **options
) -> tuple[GaussianMixture, dict[str, Tensor]]:
    """As :func:`mixture_cases.mixture`, with weights that sum to one and no logits."""
    _, leaves = mixture(kind, batch, classes, dim, **options)
    return density_of(leaves, dim), leaves


def density_of(leaves: dict[str, Tensor], dim: int) -> GaussianMixture:
    return GaussianMixture(
        log_weights=leaves["logits"].log_softmax(dim=1),
        mean=leaves["mean"],
        variance=leaves["variance"].expand_as(leaves["mean"]),
        dim=dim,
    )


def rows(made: GaussianMixture) -> list[tuple[list, list, list]]:
    """Weights, means and variances of every image, as the reference takes them."""
    return list(
        zip(
            made.log_weights.exp().tolist(),
            made.mean.tolist(),
            made.variance.tolist(),
            strict=True,
        )
    )


def likelihood_loop(
    made: GaussianMixture, features: Tensor, *, per_dimension: bool = False
) -> list[float]:
    return [
        probmcl_losses.likelihood(feature, *row, per_dimension=per_dimension)
        for feature, row in zip(features.tolist(), rows(made), strict=True)
    ]


def similarity_loop(
    made: GaussianMixture, similarity: str = "correlation", dim: int | None = None
):
    """Sim(i, j) of the images, from the reference."""
    parts = rows(made)

    @cache
    def compare(i: int, j: int) -> float:
        return SIMILARITIES[similarity](parts[i], parts[j], dim=dim or made.dim)

    return compare


def contrastive_loop(
    made: GaussianMixture,
    targets: Tensor,
    *,
    temperature: float = 0.2,
    threshold: float = 0.6,
    overlap: str = "jaccard",
    similarity: str = "correlation",
    effective_dim: int | None = None,
) -> list[float]:
    labels = targets.to(torch.int64).tolist()
    compare = similarity_loop(made, similarity, effective_dim)
    return [
        probmcl_losses.contrastive(
            anchor,
            labels,
            compare,
            temperature=temperature,
            threshold=threshold,
            overlap=OVERLAPS[overlap],
        )
        for anchor in range(len(labels))
    ]

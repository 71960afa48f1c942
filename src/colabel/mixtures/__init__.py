"""Gaussian mixtures as tensors: what they are and how much they overlap. No networks, no files."""

from colabel.choices import Similarity
from colabel.mixtures.correlation import (
    pairwise_log_bhattacharyya_bound,
    pairwise_log_correlation,
)
from colabel.mixtures.gaussian import GaussianMixture
from colabel.mixtures.overlap import cosine, jaccard
from colabel.mixtures.pairs import log_similarity_of_rows
from colabel.mixtures.similarity import (
    log_bhattacharyya_diagonal,
    log_bhattacharyya_full,
    log_bhattacharyya_isotropic,
    log_gaussian_similarity,
    log_mahalanobis_similarity,
)

__all__ = [
    "GaussianMixture",
    "Similarity",
    "cosine",
    "jaccard",
    "log_bhattacharyya_diagonal",
    "log_bhattacharyya_full",
    "log_bhattacharyya_isotropic",
    "log_gaussian_similarity",
    "log_mahalanobis_similarity",
    "log_similarity_of_rows",
    "pairwise_log_bhattacharyya_bound",
    "pairwise_log_correlation",
]

"""Whether the terms of a stage can be computed from what its head gives."""

from __future__ import annotations

from collections.abc import Mapping

from colabel.choices import Covariance, Similarity
from colabel.methods import StagePlan
from colabel.settings import (
    EmbeddingTerm,
    HeadSettings,
    KernelContrastiveTerm,
    KernelMixtureSettings,
    MixtureContrastiveTerm,
)

SIMILARITY_OF: Mapping[Covariance, Similarity] = {
    "isotropic": "bhattacharyya",
    "diagonal": "bhattacharyya",
    "shared_diagonal": "mahalanobis",
    "shared_isotropic": "gaussian",
}
"""The rows of KMCL's Table 4: the similarity that each form of the covariance is made for."""


def check_fit(stage: StagePlan) -> None:
    """Refuse a stage whose terms need what its head does not give.

    Args:
        stage: as a method plans it.

    Raises:
        ValueError: naming the term, what it needs, and what to change.
    """
    head = stage.head
    if not any(term.weight for term in stage.terms.values()):
        raise ValueError(
            f"stage {stage.name}: no term has a weight above 0, so nothing would be learned; the "
            "objective needs at least one term"
        )
    _check_embeddings(stage)
    for name, term in stage.terms.items():
        key = f"{stage.key}terms.{name}"
        missing = [need for need in term.needs if need not in (*_there(head), "targets")]
        if missing:
            raise ValueError(
                f"{key}: the loss {term.loss} needs {' and '.join(missing)}, which the "
                f"head {head.name} does not give (it gives {', '.join(head.gives)}); choose "
                f"another {stage.key}head.name, or take the term away with {key}: null"
            )
        if isinstance(term, KernelContrastiveTerm):
            _check_kernels(key, term, _covariance(head))
        if isinstance(term, MixtureContrastiveTerm) and "diagonal" in _covariance(head):
            raise ValueError(
                f"{key}: the loss {term.loss} is for isotropic kernels; {stage.key}"
                f"head.covariance is {_covariance(head)}"
            )


def _there(head: HeadSettings) -> tuple[str, ...]:
    """Return what a head gives, with the embeddings that are made of its features for a term."""
    return (*head.gives, "embeddings") if "features" in head.gives else head.gives


def check_deployed(stage: StagePlan) -> None:
    """Refuse a last stage whose head answers nothing, or whose answer no term trains.

    Args:
        stage: the last of a method.

    Raises:
        ValueError: with what to change.
    """
    head = stage.head
    if "logits" not in head.gives:
        raise ValueError(
            f"{stage.key}head.name {head.name} gives no logits ({', '.join(head.gives)}), and the "
            f"head of the last stage is the one that is deployed; choose another "
            f"{stage.key}head.name"
        )
    if all(isinstance(term, EmbeddingTerm) for term in stage.terms.values() if term.weight):
        raise ValueError(
            f"{stage.key}terms: every term compares embeddings, so that the classifier would stay "
            "as it is drawn; give the stage a term for classification, or take method mulsupcon, "
            "which trains its classifier afterwards"
        )


def _check_embeddings(stage: StagePlan) -> None:
    """Refuse terms that ask for different embeddings; a stage has one projection."""
    asked = {
        name: (term.projection, term.projection_width if term.projection else None)
        for name, term in stage.terms.items()
        if isinstance(term, EmbeddingTerm)
    }
    if len(set(asked.values())) > 1:
        names = " and ".join(f"{stage.key}terms.{name}" for name in asked)
        raise ValueError(
            f"{names} ask for different embeddings; the terms of a stage share one projection, "
            "give them the same projection and projection_width"
        )


def _covariance(head: HeadSettings) -> Covariance:
    """Return the form of the kernels or densities of a head."""
    return head.covariance if isinstance(head, KernelMixtureSettings) else "isotropic"


def _check_kernels(key: str, term: KernelContrastiveTerm, covariance: Covariance) -> None:
    """Refuse a similarity that is not defined for the form of the kernels."""
    diagonal = covariance in ("diagonal", "shared_diagonal")
    if term.effective_dim is not None and diagonal:
        raise ValueError(
            f"{key}.effective_dim is for isotropic kernels; those of the head are {covariance}"
        )
    if term.similarity == ("gaussian" if diagonal else "mahalanobis"):
        raise ValueError(
            f"{key}.similarity {term.similarity} does not fit kernels that are {covariance}: "
            "mahalanobis needs diagonal kernels, gaussian isotropic ones"
        )

"""Whether the terms of a stage can be computed from what its head gives."""

from __future__ import annotations

from collections.abc import Mapping

from colabel.choices import Covariance, Similarity
from colabel.methods import StagePlan
from colabel.settings import KernelContrastiveTerm, KernelMixtureSettings

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
    for name, term in stage.terms.items():
        missing = [need for need in term.needs if need not in (*head.gives, "targets")]
        if missing:
            raise ValueError(
                f"terms.{name}: the loss {term.loss} needs {' and '.join(missing)}, which the "
                f"head {head.name} does not give (it gives {', '.join(head.gives)}); choose "
                f"another head.name, or take the term away with terms.{name}: null"
            )
        if isinstance(term, KernelContrastiveTerm) and isinstance(head, KernelMixtureSettings):
            _check_kernels(name, term, head)


def _check_kernels(name: str, term: KernelContrastiveTerm, head: KernelMixtureSettings) -> None:
    """Refuse a similarity that is not defined for the form of the kernels."""
    diagonal = head.covariance in ("diagonal", "shared_diagonal")
    if term.effective_dim is not None and diagonal:
        raise ValueError(
            f"terms.{name}.effective_dim is for isotropic kernels; head.covariance is "
            f"{head.covariance}"
        )
    if term.similarity == ("gaussian" if diagonal else "mahalanobis"):
        raise ValueError(
            f"terms.{name}.similarity {term.similarity} does not fit head.covariance "
            f"{head.covariance}: mahalanobis needs diagonal kernels, gaussian isotropic ones"
        )

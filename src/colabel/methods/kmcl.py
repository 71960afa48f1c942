r"""KMCL: one stage that learns the labels, which of them go together, and a kernel for each.

The encoder's features ``f`` become a mixture of ``K`` exponential kernels, one per label: its
weight ``pi_k`` is the probability of the label, its mean ``mu_k`` and variance ``sigma_k^2`` say
where the label lies and how widely. Three losses train everything at once:

.. math:: L = \lambda_{rec} L_{REC} + \lambda_{cls} L_{ASL} + \lambda_{con} L_{KMCL}

Source: KMCL, Eq. 8 and Algorithm 1. The paper's text and its Table 6 swap the names of the two
multipliers; here a weight stands with the term it weighs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan, one_stage
from colabel.settings import (
    AsymmetricTerm,
    HeadSettings,
    KernelContrastiveTerm,
    KernelMixtureSettings,
    ReconstructionTerm,
    Settings,
    TermSettings,
    Training,
)


class KMCL(Settings):
    """One stage; everything there is to set stands in ``head`` and ``terms``."""

    name: Literal["kmcl"] = "kmcl"


def plan(
    settings: KMCL, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the single stage (Algorithm 1), after a warm start if the schedule has one."""
    return one_stage(settings.name, head, terms, training)


METHOD = Method(
    KMCL,
    head=KernelMixtureSettings(),
    terms={
        "classification": AsymmetricTerm(weight=0.1),
        "contrastive": KernelContrastiveTerm(weight=0.3),
        "reconstruction": ReconstructionTerm(weight=1.0),
    },
    plan=plan,
)

r"""ProbMCL: first an encoder that puts images with the same labels together, then a classifier.

Stage 1 sees two augmented views of every image. The encoder's features ``h``, of length 1, become
a mixture of ``C`` Gaussian densities, one per class, by a small network that is dropped later. Two
losses train both:

.. math:: L = L_{NLL} + \lambda L_{PCL}

the likelihood of the features under their own mixture, and a contrastive loss that makes the
mixtures of images alike whose labels overlap by at least ``alpha``. The recipe's ``head`` and
``terms`` are those of this stage.

Stage 2 keeps the encoder as it is and trains a linear classifier on it with the asymmetric loss.
Encoder and classifier are what is deployed.

Source: ProbMCL, Sec. 2 and 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan
from colabel.methods.two_stages import Classification, two_stages
from colabel.settings import (
    HeadSettings,
    MixtureContrastiveTerm,
    MixtureDensitySettings,
    MixtureLikelihoodTerm,
    Settings,
    TermSettings,
    Training,
)


class ProbMCL(Settings):
    """Settings of the second stage; the defaults are the paper's."""

    name: Literal["probmcl"] = "probmcl"
    classification: Classification = Classification()


def plan(
    settings: ProbMCL, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the contrastive and the classification stage, which share the encoder."""
    return two_stages(settings.name, settings.classification, head, terms, training)


METHOD = Method(
    ProbMCL,
    head=MixtureDensitySettings(),
    terms={
        "likelihood": MixtureLikelihoodTerm(weight=1.0),
        "contrastive": MixtureContrastiveTerm(weight=0.3),
    },
    plan=plan,
)

r"""MulSupCon: an encoder that puts images together label by label, then a classifier on it.

Stage 1 sees two augmented views of every image. The encoder's features pass a small projection
that is dropped later; its outputs, of length 1, are compared in the batch. For each label of an
anchor the images with that label are its positives:

.. math:: L = \frac{1}{|Q|}\sum_{(i,k)\in Q}\frac{1}{|P_{ik}|}\sum_{p\in P_{ik}}
          -\log\frac{\exp(z_i^T z_p/\tau)}{\sum_{l\ne i}\exp(z_i^T z_l/\tau)}

``terms.contrastive.positives`` takes the same label set ("all") or any common label ("any") in
place of it. Stage 2 keeps the encoder as it is and trains a linear classifier on it.

Source: Zhang and Wu, *Multi-Label Supervised Contrastive Learning*, AAAI 2024.

Deviation: the images of the batch are compared; the paper also offers a queue of earlier ones. The
classifier and its loss are those of ProbMCL, so that the two methods differ in stage 1 alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan
from colabel.methods.two_stages import Classification, two_stages
from colabel.settings import (
    FeaturesSettings,
    HeadSettings,
    Settings,
    SupervisedContrastiveTerm,
    TermSettings,
    Training,
)


class MulSupCon(Settings):
    """Settings of the second stage."""

    name: Literal["mulsupcon"] = "mulsupcon"
    classification: Classification = Classification()


def plan(
    settings: MulSupCon, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the contrastive and the classification stage, which share the encoder."""
    return two_stages(settings.name, settings.classification, head, terms, training)


METHOD = Method(
    MulSupCon,
    head=FeaturesSettings(),
    terms={"contrastive": SupervisedContrastiveTerm(positives="per_label")},
    plan=plan,
)

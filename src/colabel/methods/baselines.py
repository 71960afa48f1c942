"""Baselines and rivals of one stage: an encoder, a head and one loss on its logits.

``bce`` is binary cross-entropy, ``asl`` the asymmetric loss (KMCL, Eq. 6, as a method of its own),
``focal`` the focal loss; these look at each label alone. ``zlpr`` compares the labels of an image
with zero, ``two_way`` present labels with absent ones, along images and along labels. All are on
a linear head. ``csra``, ``ml_decoder`` and ``query2label`` are heads with the loss that their
authors trained them with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan, one_stage
from colabel.settings import (
    AsymmetricTerm,
    BinaryCrossEntropyTerm,
    CSRASettings,
    FocalTerm,
    HeadSettings,
    LinearSettings,
    MLDecoderPooling,
    Query2LabelPooling,
    Settings,
    TermSettings,
    Training,
    TwoWayTerm,
    ZLPRTerm,
)


class BCE(Settings):
    """Binary cross-entropy on a linear head."""

    name: Literal["bce"] = "bce"


class ASL(Settings):
    """The asymmetric loss on a linear head."""

    name: Literal["asl"] = "asl"


class Focal(Settings):
    """The focal loss on a linear head."""

    name: Literal["focal"] = "focal"


class ZLPR(Settings):
    """ZLPR on a linear head; a label is present above logit 0, which is probability 0.5."""

    name: Literal["zlpr"] = "zlpr"


class TwoWay(Settings):
    """The two-way loss on a linear head, whose logits rank and have no natural threshold."""

    name: Literal["two_way"] = "two_way"


class CSRA(Settings):
    """Class-specific residual attention with binary cross-entropy (Zhu and Wu 2021)."""

    name: Literal["csra"] = "csra"


class MLDecoder(Settings):
    """ML-Decoder with the asymmetric loss (Ridnik et al. 2023)."""

    name: Literal["ml_decoder"] = "ml_decoder"


class Query2Label(Settings):
    """Query2Label with the asymmetric loss, without its margin (Liu et al. 2021)."""

    name: Literal["query2label"] = "query2label"


def plan(
    settings: BCE | ASL | Focal | ZLPR | TwoWay | CSRA | MLDecoder | Query2Label,
    head: HeadSettings,
    terms: Mapping[str, TermSettings],
    training: Training,
) -> tuple[StagePlan, ...]:
    """Return the single stage of a baseline, after a warm start if the schedule has one."""
    return one_stage(settings.name, head, terms, training)


BCE_METHOD = Method(
    BCE, head=LinearSettings(), terms={"classification": BinaryCrossEntropyTerm()}, plan=plan
)
ASL_METHOD = Method(
    ASL, head=LinearSettings(), terms={"classification": AsymmetricTerm()}, plan=plan
)
FOCAL_METHOD = Method(
    Focal, head=LinearSettings(), terms={"classification": FocalTerm()}, plan=plan
)
ZLPR_METHOD = Method(ZLPR, head=LinearSettings(), terms={"classification": ZLPRTerm()}, plan=plan)
TWO_WAY_METHOD = Method(
    TwoWay, head=LinearSettings(), terms={"classification": TwoWayTerm()}, plan=plan
)
CSRA_METHOD = Method(
    CSRA, head=CSRASettings(), terms={"classification": BinaryCrossEntropyTerm()}, plan=plan
)
ML_DECODER_METHOD = Method(
    MLDecoder,
    head=LinearSettings(pooling=MLDecoderPooling()),
    terms={"classification": AsymmetricTerm()},
    plan=plan,
)
QUERY2LABEL_METHOD = Method(
    Query2Label,
    head=LinearSettings(pooling=Query2LabelPooling()),
    terms={"classification": AsymmetricTerm(gamma_negative=2, margin=0)},
    plan=plan,
)

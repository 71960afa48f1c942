"""The methods that learn how labels go together by a graph: ML-GCN and TDRG.

Each is a head and cross-entropy. TDRG trains its branches, too.

Source: ML-GCN (Chen et al., CVPR 2019), Sec. 3; TDRG (Zhao et al., ICCV 2021), Sec. 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan, one_stage
from colabel.settings import (
    BinaryCrossEntropyTerm,
    DeepSupervisionTerm,
    HeadSettings,
    MLGCNSettings,
    Settings,
    TDRGSettings,
    TermSettings,
    Training,
)


class MLGCN(Settings):
    """Binary cross-entropy on classifiers that a graph of the labels makes."""

    name: Literal["ml_gcn"] = "ml_gcn"


class TDRG(Settings):
    """Binary cross-entropy on a transformer over scales, a graph, and their branches."""

    name: Literal["tdrg"] = "tdrg"


def plan(
    settings: MLGCN | TDRG,
    head: HeadSettings,
    terms: Mapping[str, TermSettings],
    training: Training,
) -> tuple[StagePlan, ...]:
    """Return the single stage, after a warm start if the schedule has one."""
    return one_stage(settings.name, head, terms, training)


MLGCN_METHOD = Method(
    MLGCN, head=MLGCNSettings(), terms={"classification": BinaryCrossEntropyTerm()}, plan=plan
)
TDRG_METHOD = Method(
    TDRG,
    head=TDRGSettings(),
    terms={
        "classification": BinaryCrossEntropyTerm(),
        "deep_supervision": DeepSupervisionTerm(),
    },
    plan=plan,
)

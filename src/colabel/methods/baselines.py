"""The baselines: an encoder with a linear head and one loss that looks at each label alone.

``bce`` is binary cross-entropy, ``asl`` the asymmetric loss (KMCL, Eq. 6, as a method of its own).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from colabel.methods.plan import Method, StagePlan, one_stage
from colabel.settings import (
    AsymmetricTerm,
    BinaryCrossEntropyTerm,
    HeadSettings,
    LinearSettings,
    Settings,
    TermSettings,
    Training,
)


class BCE(Settings):
    """Binary cross-entropy on a linear head."""

    name: Literal["bce"] = "bce"


class ASL(Settings):
    """The asymmetric loss on a linear head."""

    name: Literal["asl"] = "asl"


def plan(
    settings: BCE | ASL, head: HeadSettings, terms: Mapping[str, TermSettings], training: Training
) -> tuple[StagePlan, ...]:
    """Return the single stage of a baseline, after a warm start if the schedule has one."""
    return one_stage(settings.name, head, terms, training)


BCE_METHOD = Method(
    BCE, head=LinearSettings(), terms={"classification": BinaryCrossEntropyTerm()}, plan=plan
)
ASL_METHOD = Method(
    ASL, head=LinearSettings(), terms={"classification": AsymmetricTerm()}, plan=plan
)

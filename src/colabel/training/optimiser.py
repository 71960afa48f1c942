"""Adam and the one-cycle schedule, as the papers use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from colabel.training.stage import Stage

FEWEST_STEPS = 3
"""Steps of the shortest one-cycle schedule that begins near the largest learning rate."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are trained with one learning rate.

    Args:
        name: what the log calls it.
        modules: whose parameters they are.
        learning_rate: the largest of the schedule, positive.
    """

    name: str
    modules: tuple[nn.Module, ...]
    learning_rate: float


def parameter_groups(stage: Stage) -> tuple[ParameterGroup, ...]:
    """Return the head and the rest of a stage's model, each with its learning rate.

    Args:
        stage: whose model has a part named ``head``, unless all of it shares a learning rate.

    Returns:
        ``encoder`` and ``head``; or ``model``, where there is one learning rate.
    """
    model, rate = stage.model, stage.learning_rate
    if stage.head_learning_rate is None:
        return (ParameterGroup("model", (model,), rate),)
    rest = tuple(child for name, child in model.named_children() if name != "head")
    return (
        ParameterGroup("encoder", rest, rate),
        ParameterGroup("head", (model.get_submodule("head"),), stage.head_learning_rate),
    )


def build_optimiser(groups: Sequence[ParameterGroup], *, weight_decay: float) -> Adam:
    r"""Return Adam over the parameters that require a gradient, with decay on matrices only.

    Source: KMCL, Table 6.

    Deviation: the decay is Adam's own, added to the gradient. Biases and the parameters of
    normalisation layers (fewer than two axes) are not decayed, nor what a module lists in
    ``no_weight_decay()``, as timm's backbones do with embeddings of positions. Groups may have
    learning rates of their own.

    Args:
        groups: whose parameters are trained.
        weight_decay: at least 0.

    Example:
        >>> groups = (ParameterGroup("model", (nn.Linear(3, 2),), 1e-3),)
        >>> optimiser = build_optimiser(groups, weight_decay=1e-4)
        >>> [(group["weight_decay"], len(group["params"])) for group in optimiser.param_groups]
        [(0.0001, 1), (0.0, 1)]
    """
    built = []
    for group in groups:
        trained = [
            parameter
            for module in group.modules
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        kept = _undecayed(group.modules)
        decayed = [
            parameter for parameter in trained if parameter.ndim >= 2 and id(parameter) not in kept
        ]
        chosen = {id(parameter) for parameter in decayed}
        others = [parameter for parameter in trained if id(parameter) not in chosen]
        built += [
            {
                "params": parameters,
                "weight_decay": decay,
                "lr": group.learning_rate,
                "name": group.name,
            }
            for parameters, decay in ((decayed, weight_decay), (others, 0.0))
            if parameters
        ]
    return Adam(built)


def _undecayed(modules: Sequence[nn.Module]) -> set[int]:
    """Return the identities of the parameters that a module in these asks not to decay."""
    found = set()
    for module in modules:
        for part in module.modules():
            names = getattr(part, "no_weight_decay", None)
            parameters = dict(part.named_parameters()) if callable(names) else {}
            found |= {id(parameters[name]) for name in (names or set)() if name in parameters}
    return found


def build_schedule(optimiser: Adam, *, steps: int, warm_up: float) -> OneCycleLR:
    """Return the one-cycle schedule: up to each group's learning rate, then down to almost 0.

    PyTorch's ``OneCycleLR`` with its defaults, which also cycles Adam's first beta: from 0.95 down
    to 0.85 while the learning rate rises, and back.

    Source: KMCL, Table 6 (``warm_up`` 0.2), which names the schedule and says nothing of the beta.

    Args:
        optimiser: from :func:`build_optimiser`; the learning rates of its groups are the largest
            of the schedule.
        steps: optimiser steps of the whole stage, at least 1. Fewer than three go the first part
            of the way of three: a cycle of one step would be its end alone, where nothing learns.
        warm_up: part of the steps in which the learning rate rises, in (0, 1).

    Example:
        >>> groups = (ParameterGroup("model", (nn.Linear(3, 2),), 1.0),)
        >>> optimiser = build_optimiser(groups, weight_decay=0)
        >>> schedule = build_schedule(optimiser, steps=10, warm_up=0.2)
        >>> rates = []
        >>> for _ in range(10):
        ...     rates.append(schedule.get_last_lr()[0])
        ...     optimiser.step()
        ...     schedule.step()
        >>> rates.index(max(rates)), max(rates)
        (1, 1.0)
    """
    steps = max(steps, FEWEST_STEPS)
    if abs(warm_up * steps - 1) < 1e-9:  # torch would divide by a warm-up of no steps
        warm_up = 0.5 / steps
    return OneCycleLR(
        optimiser,
        max_lr=[group["lr"] for group in optimiser.param_groups],
        total_steps=steps,
        pct_start=warm_up,
        cycle_momentum=True,
    )

"""Adam and the one-cycle schedule, as the papers use them."""

from __future__ import annotations

from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR


def build_optimiser(model: nn.Module, *, learning_rate: float, weight_decay: float) -> Adam:
    r"""Return Adam over the parameters that require a gradient, with decay on matrices only.

    Source: KMCL, Table 6.

    Deviation: the decay is Adam's own, added to the gradient; biases and the parameters of
    normalisation layers (fewer than two axes) are not decayed.

    Args:
        model: whose parameters are trained.
        learning_rate: positive.
        weight_decay: at least 0.

    Example:
        >>> optimiser = build_optimiser(nn.Linear(3, 2), learning_rate=1e-3, weight_decay=1e-4)
        >>> [(group["weight_decay"], len(group["params"])) for group in optimiser.param_groups]
        [(0.0001, 1), (0.0, 1)]
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in trained if one.ndim < 2], "weight_decay": 0.0},
    ]
    return Adam([group for group in groups if group["params"]], lr=learning_rate)


def build_schedule(
    optimiser: Adam, *, learning_rate: float, steps: int, warm_up: float
) -> OneCycleLR:
    """Return the one-cycle schedule: up to the learning rate, then down to almost nothing.

    PyTorch's ``OneCycleLR`` with its defaults, which also cycles Adam's first beta: from 0.95 down
    to 0.85 while the learning rate rises, and back.

    Source: KMCL, Table 6 (``warm_up`` 0.2), which names the schedule and says nothing of the beta.

    Args:
        optimiser: from :func:`build_optimiser`.
        learning_rate: the largest of the schedule.
        steps: optimiser steps of the whole stage, at least 1.
        warm_up: part of the steps in which the learning rate rises, in (0, 1).

    Example:
        >>> optimiser = build_optimiser(nn.Linear(3, 2), learning_rate=1.0, weight_decay=0)
        >>> schedule = build_schedule(optimiser, learning_rate=1.0, steps=10, warm_up=0.2)
        >>> rates = []
        >>> for _ in range(10):
        ...     rates.append(schedule.get_last_lr()[0])
        ...     optimiser.step()
        ...     schedule.step()
        >>> rates.index(max(rates)), max(rates)
        (1, 1.0)
    """
    if abs(warm_up * steps - 1) < 1e-9:  # torch would divide by a warm-up of no steps
        warm_up = 0.5 / steps
    return OneCycleLR(
        optimiser,
        max_lr=learning_rate,
        total_steps=steps,
        pct_start=warm_up,
        cycle_momentum=True,
    )

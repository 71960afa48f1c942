"""The running average of the weights, which is what is validated and kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy

import torch
from torch import Tensor, _foreach_copy_, _foreach_lerp_, nn


def decay_at(updates: int, decay: float) -> float:
    r"""Return the decay of the average after a number of updates.

    .. math:: \min\left(\mathrm{decay}, \frac{1 + t}{10 + t}\right)

    Source: KMCL, Table 6 (decay 0.9997).

    Deviation: the decay warms up. A fixed 0.9997 remembers the last 3,300 steps or so; in a
    shorter run the average would still be mostly the initial weights.

    Args:
        updates: how often the average was updated before, at least 0.
        decay: the final decay, in [0, 1).

    Example:
        >>> decay_at(0, 0.9997), decay_at(90, 0.9997), decay_at(10**6, 0.9997)
        (0.1, 0.91, 0.9997)
    """
    return min(decay, (1 + updates) / (10 + updates))


class Average(nn.Module):
    """The running average of a model's parameters and buffers.

    The first update copies them; from then on :func:`decay_at` applies. Statistics of batch
    normalisation are averaged like the weights they belong to; counters are copied. What does not
    change is passed over: of a frozen encoder it would take longer than a step of its head.

    Args:
        model: on its final device, before it is wrapped for several processes.
        decay: the final decay, in (0, 1).
        frozen: modules of the model that do not change, nor do their statistics. Beside them
            parameters that need no gradient now are taken not to change.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = Average(model, 0.9)
        >>> for value in (0.0, 11.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update(model)
        >>> round(average.module.weight.item(), 4)  # 2/11 of the old, 9/11 of the new
        9.0
    """

    n_averaged: Tensor

    def __init__(
        self, model: nn.Module, decay: float, *, frozen: Collection[nn.Module] = ()
    ) -> None:
        super().__init__()
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", torch.tensor(0))
        self._decay, self._frozen = decay, {id(module) for module in frozen}

    def update(self, model: nn.Module) -> None:
        """Take in what the model is by now."""
        updates = int(self.n_averaged)
        pairs = list(_changing(self.module, model, set(self._frozen)))
        blended = [pair for pair in pairs if updates and pair[1].is_floating_point()]
        copied = [pair for pair in pairs if not (updates and pair[1].is_floating_point())]
        weight = 1 - decay_at(updates, self._decay)
        with torch.no_grad():
            if blended:
                _foreach_lerp_([to for to, _ in blended], [by for _, by in blended], weight)
            if copied:
                _foreach_copy_([to for to, _ in copied], [by for _, by in copied])
        self.n_averaged += 1


def build_average(
    model: nn.Module, decay: float, *, frozen: Collection[nn.Module] = ()
) -> Average | None:
    """Return an :class:`Average` of a model, or ``None`` for a decay of 0, which switches it off.

    Example:
        >>> build_average(nn.Linear(1, 1), 0) is None
        True
    """
    return Average(model, decay, frozen=frozen) if decay else None


def _changing(
    averaged: nn.Module, current: nn.Module, passed: set[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what may change of a module beside its average, each tensor once.

    Tensors are looked up anew each time, since preparing a model for several processes replaces
    them.
    """
    if id(current) in passed:
        return
    passed.add(id(current))
    parameters, buffers = (
        zip(getattr(averaged, kind)(recurse=False), getattr(current, kind)(recurse=False),
            strict=True)
        for kind in ("parameters", "buffers")
    )  # fmt: skip
    for pair in (*(pair for pair in parameters if pair[1].requires_grad), *buffers):
        if id(pair[1]) not in passed:
            passed.add(id(pair[1]))
            yield pair
    for parts in zip(averaged.children(), current.children(), strict=True):
        yield from _changing(*parts, passed)

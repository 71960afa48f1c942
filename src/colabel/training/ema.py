"""The running average of the weights, which is what is validated and kept."""

from __future__ import annotations

from torch import Tensor, _foreach_copy_, _foreach_lerp_, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


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


def build_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Return an average of the model's parameters and buffers, or ``None`` for a decay of 0.

    The first update copies the model; from then on :func:`decay_at` applies. Statistics of batch
    normalisation are averaged like the weights they belong to; counters are copied.

    Args:
        model: on its final device, before it is wrapped for several processes.
        decay: the final decay, in [0, 1); 0 switches the average off.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = build_average(model, 0.9)
        >>> for value in (0.0, 11.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> round(average.module.weight.item(), 4)  # 2/11 of the old, 9/11 of the new
        9.0
    """
    if not decay:
        return None

    def update(
        averaged: Tensors,
        current: Tensors,
        updates: Tensor | int,
    ) -> None:
        if averaged[0].is_floating_point():
            _foreach_lerp_(averaged, current, 1 - decay_at(int(updates), decay))
        else:
            _foreach_copy_(averaged, current)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)

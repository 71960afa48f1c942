"""One optimiser step: forward, the objective on the global batch, backward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from colabel.training.distributed import gather_output
from colabel.training.objective import Objective

if TYPE_CHECKING:
    from colabel.models import Features


@dataclass(frozen=True)
class Losses:
    """What a step's losses were.

    Args:
        raw: unweighted, per term.
        weighted: per term.
        gradient_norm: length of the gradient over all trained parameters, before clipping.
        gradient_shares: per term, its part of the sum of the lengths of the weighted terms'
            gradients at the features; empty unless measured.
        diagnostics: of the objective; empty unless measured.
    """

    raw: Mapping[str, float]
    weighted: Mapping[str, float]
    gradient_norm: float
    gradient_shares: Mapping[str, float]
    diagnostics: Mapping[str, float]

    def finite(self, *, scaled: bool) -> bool:
        """Return whether the losses that count, and their gradient, are finite.

        Args:
            scaled: whether a gradient scaler (fp16) deals with overflowing gradients itself.
        """
        values = list(self.weighted.values())
        return all(map(math.isfinite, values if scaled else [*values, self.gradient_norm]))

    def record(self) -> dict[str, Any]:
        """Return loss, terms and gradient norm as the log has them."""
        terms = {
            name: {
                "raw": value,
                "weighted": self.weighted.get(name, 0.0),
                "gradient_share": self.gradient_shares.get(name),
            }
            for name, value in self.raw.items()
        }
        return {
            "loss": sum(self.weighted.values()),
            "terms": terms,
            "gradient_norm": self.gradient_norm,
        }


def compute_gradients(
    model: nn.Module,
    objective: Objective,
    images: Tensor | Features,
    targets: Tensor,
    *,
    accelerator: Accelerator,
    optimiser: AcceleratedOptimizer,
    parts: int = 1,
    clip: float | None = None,
    measure: bool = False,
) -> Losses:
    r"""Fill the gradients of the objective on the global batch, and return the losses.

    With several parts the batch passes the model in pieces, to save memory, and the gradients add
    up to those of the whole batch: a term that is a sum over the images adds, a term that is a
    mean is weighted by the part's number of images. Statistics of batch normalisation are those
    of the pieces.

    Args:
        model: prepared by accelerate.
        objective: terms and weights.
        images: this process's rows, shape (batch, 3, height, width), or their features.
        targets: this process's rows, shape (batch, classes).
        accelerator: precision and processes.
        optimiser: whose gradients are filled; prepared by accelerate, gradients empty.
        parts: pieces the batch is cut in, at least 1.
        clip: largest length of the gradient, or ``None``.
        measure: also take the gradient shares and the diagnostics, which costs a backward pass per
            term through the head and the losses, not through the encoder.
    """
    raw: dict[str, Tensor] = {}
    shares: dict[str, float] = {}
    diagnostics: Mapping[str, float] = {}
    chunks: Sequence[Tensor | Features] = images.chunk(parts)
    pieces = list(zip(chunks, targets.chunk(parts), strict=True))
    for number, (some_images, some_targets) in enumerate(pieces, start=1):
        last = number == len(pieces)
        with nullcontext() if last else accelerator.no_sync(model):
            local = model(some_images)
            output, all_targets = gather_output(local, some_targets)
            fraction = len(some_images) / len(images)
            values = {}
            for term in objective.terms:
                with nullcontext() if term.weight else torch.no_grad():
                    value = term(output, all_targets)
                values[term.name] = value * fraction if term.reduction == "mean" else value
            weighted = {
                name: weight * values[name] for name, weight in objective.weights.items() if weight
            }
            if measure and number == 1:
                shares = gradient_shares(weighted, local.features, accelerator)
                diagnostics = objective.diagnose(output, all_targets)
            accelerator.backward(torch.stack(list(weighted.values())).sum())
        for name, value in values.items():
            raw[name] = raw.get(name, 0) + value.detach()
    return _losses(objective, raw, _gradient_norm(optimiser, clip), shares, diagnostics)


def gradient_shares(
    weighted: Mapping[str, Tensor], features: Tensor, accelerator: Accelerator
) -> dict[str, float]:
    r"""Return how much of the pull on the features each weighted term has.

    .. math:: \mathrm{share}_t = \frac{\lVert \partial L_t/\partial f \rVert}
              {\sum_u \lVert \partial L_u/\partial f \rVert}

    Args:
        weighted: weighted terms, scalars.
        features: this process's rows, shape (batch, width), through which all terms pass.
        accelerator: adds over the processes.

    Returns:
        One number in [0, 1] per term; empty if the features are not trained.
    """
    if not features.requires_grad:
        return {}
    squares = []
    for value in weighted.values():
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(
                value, features, retain_graph=True, allow_unused=True
            )
        squares.append(
            features.new_zeros(()) if gradient is None else gradient.float().square().sum()
        )
    lengths: list[float] = (
        accelerator.reduce(torch.stack(squares), reduction="sum").sqrt().tolist()
    )
    whole = sum(lengths)
    return {
        name: length / whole if whole else 0.0
        for name, length in zip(weighted, lengths, strict=True)
    }


def _gradient_norm(optimiser: AcceleratedOptimizer, clip: float | None) -> Tensor:
    if optimiser.scaler is not None:
        optimiser.scaler.unscale_(optimiser.optimizer)
    parameters: Sequence[Tensor] = [
        parameter
        for group in optimiser.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    norm = get_total_norm([each.grad for each in parameters if each.grad is not None])
    if clip is not None:
        clip_grads_with_norm_(parameters, clip, norm)
    return norm


def _losses(
    objective: Objective,
    raw: Mapping[str, Tensor],
    norm: Tensor,
    shares: Mapping[str, float],
    diagnostics: Mapping[str, float],
) -> Losses:
    # one transfer, so that a device waits once per step
    *values, length = torch.stack(
        [*(value.float() for value in raw.values()), norm.float()]
    ).tolist()
    named = dict(zip(raw, values, strict=True))
    return Losses(
        raw=named,
        weighted={
            name: weight * named[name] for name, weight in objective.weights.items() if weight
        },
        gradient_norm=length,
        gradient_shares=shares,
        diagnostics=diagnostics,
    )

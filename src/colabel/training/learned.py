"""What training changes in a stage, and how it is packed into a saved state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from colabel.training import checkpoint
from colabel.training.checkpoint import SavedState
from colabel.training.ema import Average

_OF_THE_SCHEDULE = ("last_epoch", "_step_count", "_last_lr")


@dataclass(frozen=True)
class Learned:
    """What the steps of a stage change.

    Args:
        model: that is trained.
        average: of its weights; ``None`` for none.
        optimiser: as accelerate has prepared it, with the scale of losses in half precision.
        adam: the optimiser in it, which holds the moments.
        schedule: of its learning rates.
    """

    model: nn.Module
    average: Average | None
    optimiser: AcceleratedOptimizer
    adam: Optimizer
    schedule: LRScheduler

    @property
    def averaged(self) -> nn.Module:
        """The model with averaged weights, or the model itself without an average."""
        return self.model if self.average is None else self.average.module

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of the next step by the name of the group."""
        return {group["name"]: float(group["lr"]) for group in self.adam.param_groups}

    def pack(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return its tensors by name, and its numbers, as a saved state holds them."""
        tensors, groups = checkpoint.pack_optimiser(self.adam)
        tensors |= checkpoint.pack_module("model.", self.model)
        if self.average is not None:
            tensors |= checkpoint.pack_module("average.", self.average)
        schedule = self.schedule.state_dict()
        scaler = self.optimiser.scaler
        facts = {
            "groups": groups,
            "schedule": {name: schedule[name] for name in _OF_THE_SCHEDULE},
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        return tensors, facts

    def unpack(self, saved: SavedState) -> None:
        """Go on from what :meth:`pack` returned; the model has its weights already.

        Raises:
            WeightsError: if the state is that of another model.
        """
        if self.average is not None:
            checkpoint.unpack_module(saved, "average.", self.average)
        checkpoint.unpack_optimiser(saved, saved.facts["groups"], self.adam)
        self.schedule.load_state_dict(saved.facts["schedule"])
        scaler = self.optimiser.scaler
        if scaler is not None and saved.facts["scaler"]:
            scaler.load_state_dict(saved.facts["scaler"])

"""Whether a training step can fit into the memory at all, before any image is decoded."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from accelerate import Accelerator

from colabel.config import Config
from colabel.errors import ConfigError
from colabel.models.memory import kept_for_backward
from colabel.training import Stage

_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_SURE = 3
"""The estimate may be this many times too high: some layers work in place, and mixed precision
keeps half as much."""


def check_memory(stages: Sequence[Stage], config: Config, accelerator: Accelerator) -> None:
    """Refuse a batch that surely does not fit into the memory of this machine.

    Args:
        stages: what is trained.
        config: sizes of images and batches.
        accelerator: where, and by how many processes.

    Raises:
        ConfigError: with the settings to lower.
    """
    settings, size = config.training, config.data.image_size
    there = memory_of(accelerator.device)
    for stage in stages:
        if stage.encoder is not None:  # nothing of a frozen encoder is kept
            continue
        rows = -(-settings.batch_size // (accelerator.num_processes * settings.accumulation))
        needed = kept_for_backward(stage.model, size) * rows * stage.views
        if needed > _SURE * there:
            raise ConfigError(
                f"stage {stage.name}: a batch of {settings.batch_size} images of {size} x {size} "
                f"pixels keeps about {needed / 1e9:.0f} GB for its backward pass, and there are "
                f"{there / 1e9:.0f} GB of memory; lower training.batch_size or data.image_size, "
                "set training.precision: bf16, or take a smaller encoder."
            )


def memory_of(device: torch.device) -> int:
    """Return the bytes of memory that a process may use on a device, free or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY:
        limits.append(allowed)
    return min([*limits, *_limits_of_groups()])


def _limits_of_groups() -> Iterator[int]:
    """Yield the limits of the group of processes that this one is in, and of those around it.

    A container, a job of a cluster and a service each are such a group.
    """
    own = ""
    with suppress(OSError):
        own = _OWN_CGROUP.read_text().rpartition("0::")[2].strip()
    inner = _CGROUPS / own.lstrip("/")
    for folder in (inner, *inner.parents):
        if folder.is_relative_to(_CGROUPS):
            with suppress(OSError, ValueError):  # it has no limit, or one called "max"
                yield int((folder / "memory.max").read_text())

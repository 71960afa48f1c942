"""The most memory that a run has used, also where a process trains one run after the other."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_RESET_THE_PEAK = "5"  # proc(5): the high-water mark becomes what is used now


def begin_peak_memory(device: torch.device) -> None:
    """Count the peak from here on, so that a run is not charged with one before it.

    A system without ``/proc`` goes on counting since the process began.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        _RESET.write_text(_RESET_THE_PEAK)


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory used since :func:`begin_peak_memory`: of the GPU, or of this process.

    NaN where the system does not say.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    if sys.platform == "win32":
        return math.nan
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)

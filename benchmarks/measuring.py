"""How the benchmarks measure the time and the extra memory of a forward and backward pass."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def encoder_options(description: str, encoders: Sequence[str]) -> argparse.ArgumentParser:
    """Return the options of what is measured of encoders, on images of a size, by some threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("encoders", nargs="*", default=list(encoders))
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--threads", type=int, default=1)
    return parser


def median_seconds(loss: Callable[[], Tensor], device: str, repeats: int) -> float:
    """Return median seconds of forward and backward, after one pass that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        loss().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def peak_bytes(loss: Callable[[], Tensor], device: str) -> int:
    """Return the bytes that one forward and backward pass adds at its peak."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss().backward()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        loss().backward()
    events = [
        event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak

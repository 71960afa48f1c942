"""Batches in an order that depends on seed and epoch alone, and that can be entered anywhere."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from colabel.data.dataset import EvaluationImages, Sample, TrainingImages
from colabel.data.encoded import EncodedImages
from colabel.errors import ConfigError, DataError
from colabel.limits import OPEN_FILES, OPEN_FILES_PER_WORKER

Batch = list[Tensor]
"""Pixels (batch, [views,] 3, size, size), targets (batch, classes), indices (batch,)."""


class EpochSampler(Sampler[tuple[int, int]]):
    """Every index once per epoch, shuffled by (seed, epoch), as (index, epoch) pairs.

    The epoch travels with the index, so worker processes that live through the whole training
    need not be told of a new one.

    Args:
        length: number of images.
        seed: non-negative.
        batch_size: images per step over all processes; the unit of ``start_batch``.

    Example:
        >>> sampler = EpochSampler(5, seed=0, batch_size=2)
        >>> whole = list(sampler)
        >>> sampler.set_epoch(0, start_batch=1)
        >>> list(sampler) == whole[2:]
        True
        >>> sampler.set_epoch(1)
        >>> sorted(sampler)
        [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]
    """

    def __init__(self, length: int, *, seed: int, batch_size: int) -> None:
        if seed < 0:
            raise ConfigError(f"seed must not be negative, got {seed}.")
        self._length = length
        self._seed = seed
        self._batch_size = batch_size
        self._epoch = 0
        self._start = (0, 0)  # epoch, first batch

    def set_epoch(self, epoch: int, start_batch: int | None = None) -> None:
        """Choose the epoch of the next pass and, optionally, its first batch.

        Args:
            epoch: counted from 0.
            start_batch: batches of this epoch to leave out, without decoding them. ``None`` keeps
                what was set for the same epoch, and is 0 for any other: a library that
                announces the epoch once more does not undo a resumed position.
        """
        self._epoch = epoch
        if start_batch is not None:
            self._start = (epoch, start_batch)

    def __len__(self) -> int:
        """Return the images of a whole epoch, wherever the next pass starts."""
        return self._length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of the epoch from its first batch on."""
        epoch = self._epoch
        start_epoch, start_batch = self._start
        skipped = start_batch * self._batch_size if start_epoch == epoch else 0
        for index in _order(self._length, self._seed, epoch)[skipped:]:
            yield index, epoch


def _order(length: int, seed: int, epoch: int) -> list[int]:
    # ranks of raw bits: NumPy promises the same bits in every version, not the same permutation
    bits = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(length)
    order: list[int] = np.argsort(bits, kind="stable").tolist()
    return order


def training_loader(
    dataset: TrainingImages | EncodedImages,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    drop_last: bool = True,
    pin_memory: bool = False,
    collate: Callable[[list[Sample]], object] | None = None,
) -> DataLoader[Sample]:
    """Return shuffled batches of a training set; call :func:`set_epoch` before every pass.

    The loader draws nothing from torch's global generator. ``len(loader)`` is the number of
    batches of a whole epoch, also when the next pass starts inside one.

    Args:
        dataset: the images.
        batch_size: images per step; over all processes where accelerate splits the batches.
        seed: of the order; together with the epoch it determines it.
        workers: processes that decode; 0 decodes in this one.
        drop_last: leave out the last, smaller batch of an epoch.
        pin_memory: place batches in page-locked memory, for copies to a GPU.
        collate: makes a batch of samples; default: stacks pixels, targets and indices.

    Raises:
        ConfigError: if there would be no batch, or an argument is out of range.
    """
    _check(batch_size, workers, dataset)
    if drop_last and len(dataset) < batch_size:
        raise ConfigError(
            f"a batch of {batch_size} cannot be filled from {len(dataset)} training images; "
            f"set the batch size to {max(len(dataset), 1)} or less."
        )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), seed=seed, batch_size=batch_size),
        drop_last=drop_last,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals,
        multiprocessing_context=_start_method(workers),
    )


def evaluation_loader(
    dataset: EvaluationImages | EncodedImages,
    *,
    batch_size: int,
    workers: int = 0,
    pin_memory: bool = False,
    collate: Callable[[list[Sample]], object] | None = None,
    fill: bool = False,
) -> DataLoader[Sample]:
    """Return all images in the order of the records; the last batch may be smaller.

    Args:
        dataset: the images.
        batch_size: images per step; over all processes where accelerate splits the batches.
        workers: processes that decode; 0 decodes in this one.
        pin_memory: place batches in page-locked memory, for copies to a GPU.
        collate: makes a batch of samples; default: stacks pixels, targets and indices.
        fill: the last batch is as large as the others, with the first images once more.

    Raises:
        ConfigError: if an argument is out of range.
    """
    _check(batch_size, workers, dataset)
    images = len(dataset)
    more = -images % batch_size if fill and images >= batch_size else 0
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=[*range(images), *range(more)] if more else None,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        generator=torch.Generator(),
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals,
        multiprocessing_context=_start_method(workers),
    )


def set_epoch(loader: DataLoader[Sample], epoch: int, *, start_batch: int = 0) -> None:
    """Choose epoch and first batch of the next pass of a training loader.

    Works on the loader itself and on what accelerate makes of it, which counts epochs on its own
    and has to be told as well.

    Args:
        loader: from :func:`training_loader`, prepared by accelerate or not.
        epoch: counted from 0.
        start_batch: batches to leave out; none of their images is decoded.

    Raises:
        TypeError: if the loader does not hold an :class:`EpochSampler`.
    """
    batches: object = loader.batch_sampler
    while hasattr(batches, "batch_sampler"):  # accelerate wraps it once per concern
        batches = batches.batch_sampler
    sampler = getattr(batches, "sampler", None)
    if not isinstance(sampler, EpochSampler):
        raise TypeError(f"expected a loader from training_loader, got one over {sampler!r}.")
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)
    sampler.set_epoch(epoch, start_batch)


_OF_WORKERS = (
    "DataLoader worker",
    "shared memory",
    "</torch_",  # a file of shared memory, by its name
    "received 0 items of ancdata",  # too many open files
)


def read_batches(loader: Iterable[Any]) -> Iterator[Any]:
    """Yield the batches of a loader; say what to do where the processes that read images end.

    Raises:
        DataError: in place of the error of torch that is about its workers.
    """
    try:
        yield from loader
    except (RuntimeError, OSError) as error:
        if not any(words in str(error) for words in _OF_WORKERS):
            raise
        reason = str(error).strip().splitlines()[-1]  # what comes before is a trace
        raise DataError(
            "the processes that read images cannot go on, most often because the shared memory "
            "(/dev/shm) or the memory is too small for them: set training.workers: 0 (--set "
            f"training.workers=0), or give the machine or container more. They said: {reason}"
        ) from error


def _check(
    batch_size: int, workers: int, dataset: TrainingImages | EvaluationImages | EncodedImages
) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch size must be at least 1, got {batch_size}.")
    if workers < 0:
        raise ConfigError(f"workers must be 0 or more, got {workers}.")
    if workers and dataset.cache is not None and _start_method(workers) != "fork":
        raise ConfigError(
            "the pixel cache is shared with forked workers, which this platform does not offer; "
            "set data.cache_mb: 0 or training.workers: 0."
        )
    _check_descriptors(workers)


def _check_descriptors(workers: int) -> None:
    """Refuse workers that would run out of open files: torch then waits for them for ever."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OPEN_FILES + OPEN_FILES_PER_WORKER * workers
    if workers and allowed != resource.RLIM_INFINITY and allowed < needed:
        raise ConfigError(
            f"{workers} processes that read images need about {needed} open files, and {allowed} "
            "are allowed (ulimit -n): raise the limit, or set training.workers: 0."
        )


def _start_method(workers: int) -> str | None:
    """Return ``"fork"`` on Linux: workers start at once and share records and cache."""
    if not workers:
        return None
    forks = sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
    return "fork" if forks else multiprocessing.get_start_method()


def _leave_signals(worker: int) -> None:  # noqa: ARG001
    """Leave Ctrl-C, SIGTERM and hang-ups to the main process, which saves and ends the workers.

    A SIGTERM that the main process itself sends still ends the worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for a SIGTERM from the parent process, and end."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)

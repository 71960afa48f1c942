"""Outputs of a model, or features of its encoder, of all images, on any number of processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from accelerate.data_loader import DataLoaderShard
from torch import Tensor, nn
from torch.utils.data import DataLoader

from colabel.data.loader import read_batches
from colabel.errors import ConfigError
from colabel.models import Encoder, Features, Output
from colabel.models.part import Kept
from colabel.training.distributed import share_buffers
from colabel.training.memory import TO_EVALUATE, explained_memory


@dataclass(frozen=True)
class Collected:
    """The model's answers, one row per image, in the order of the images.

    Args:
        logits: float32, shape (images, classes).
        targets: int8, shape (images, classes).
        indices: int64, shape (images,): increasing positions in the records.
        variance: float32, shape (images, classes): variance of each label's kernel, the mean over
            the dimensions where they differ; ``None`` for a head without kernels.
        features: what the head read, shape (images, width), if it was asked for and each image
            has one vector.
        kernel_mean: mean of each label's kernel, if it was asked for and kernels are isotropic.
        log_weights: log of each kernel's coefficient, if it was asked for.
    """

    logits: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int8]
    indices: npt.NDArray[np.int64]
    variance: npt.NDArray[np.float32] | None
    features: npt.NDArray[np.float32] | None = None
    kernel_mean: npt.NDArray[np.float32] | None = None
    log_weights: npt.NDArray[np.float32] | None = None


def prepare_evaluation(loader: DataLoader[Any], accelerator: Accelerator) -> DataLoader[Any]:
    """Return the loader as one process sees it; call it once and keep the result.

    Args:
        loader: batches over all processes.
        accelerator: from :func:`colabel.training.make_accelerator`.

    Raises:
        ConfigError: if the batch size cannot be shared out evenly among the processes.
    """
    prepared: DataLoader[Any] = loader
    if isinstance(loader, DataLoaderShard):
        return prepared
    processes = accelerator.num_processes
    if processes > 1 and (loader.batch_size is None or loader.batch_size % processes):
        raise ConfigError(
            f"the batch size {loader.batch_size} cannot be shared evenly by {processes} "
            f"processes; choose a multiple of {processes}."
        )
    prepared = accelerator.prepare_data_loader(loader)
    return prepared


def collect_logits(
    model: nn.Module,
    loader: DataLoader[Any],
    accelerator: Accelerator,
    *,
    everything: bool = False,
) -> Collected:
    """Run the model over all images and return its answers on every process.

    The images that several processes repeat to fill the last batch are counted once. The model's
    buffers become those of the first process before, so that all rows are of one model.

    Args:
        model: images to :class:`colabel.models.Output`; used in evaluation mode and left as it
            was found. Not wrapped for several processes.
        loader: yields (pixels, targets, indices), prepared by :func:`prepare_evaluation` or not.
        accelerator: device, precision and processes.
        everything: whether features and kernels are collected, too.

    Raises:
        ConfigError: if the model has no classifier, there is no image, or the batch size cannot
            be shared by the processes.
        NotEnoughMemoryError: if a batch does not fit.
    """
    parts: list[dict[str, Tensor]] = []
    share_buffers(model)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), explained_memory(TO_EVALUATE):
            for images, targets, indices in _batches(prepare_evaluation(loader, accelerator)):
                with accelerator.autocast():
                    output = model(images)
                answer = {"targets": targets, "indices": indices}
                answer |= _answer(output, everything=everything)
                parts.append(
                    {name: part.cpu() for name, part in accelerator.gather(answer).items()}
                )
    finally:
        model.train(training)
    if not parts:
        raise ConfigError("there is no image to evaluate.")
    columns = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    kept, first = np.unique(columns.pop("indices"), return_index=True)
    rows = {name: column[first] for name, column in columns.items()}
    return Collected(
        logits=rows["logits"],
        targets=rows["targets"].astype(np.int8),
        indices=kept.astype(np.int64),
        variance=rows.get("variance"),
        features=rows.get("features"),
        kernel_mean=rows.get("kernel_mean"),
        log_weights=rows.get("log_weights"),
    )


def _answer(output: Output, *, everything: bool) -> dict[str, Tensor]:
    """Return what is kept of a model's output, by name, in float32."""
    if output.logits is None:
        raise ConfigError("the model has no classifier, so there are no logits.")
    answer = {"logits": output.logits}
    mixture = output.mixture
    if mixture is not None:
        isotropic = mixture.isotropic
        answer["variance"] = mixture.variance if isotropic else mixture.variance.mean(dim=2)
    if everything and output.features.ndim == 2:
        answer["features"] = output.features
    if everything and mixture is not None:
        answer["log_weights"] = mixture.log_weights
        if mixture.isotropic:
            answer["kernel_mean"] = mixture.mean
    return {name: part.float() for name, part in answer.items()}


def collect_features(
    encoder: nn.Module,
    loader: DataLoader[Any],
    accelerator: Accelerator,
    part: Kept = "vector",
) -> Tensor:
    """Run an encoder over all images once and return its features on every process.

    The encoder's buffers become those of the first process before, so that all rows are of one
    encoder.

    Args:
        encoder: images to :class:`colabel.models.Features`, or to vectors (batch, width); used in
            evaluation mode and left as it was found. Not wrapped for several processes.
        loader: yields (pixels, targets, indices) of every image, prepared by
            :func:`prepare_evaluation` or not.
        accelerator: device, precision and processes.
        part: the pooled features, those at each position, or what the frozen first stages give.

    Returns:
        On the CPU, in the order of the images: float32 of shape (images, width) or (images,
        channels, height, width), or what the frozen stages give, in their shape and precision.

    Raises:
        NotEnoughMemoryError: if a batch does not fit.
    """
    features: list[Tensor] = []
    indices: list[Tensor] = []
    share_buffers(encoder)
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad(), explained_memory(TO_EVALUATE):
            for images, _, positions in _batches(prepare_evaluation(loader, accelerator)):
                with accelerator.autocast():
                    kept = _part_of(encoder, images, part).contiguous()
                if not part.startswith("halfway"):  # from which the encoder goes on as it was
                    kept = kept.float()
                gathered, where = accelerator.gather((kept, positions))
                features.append(gathered.cpu())
                indices.append(where.cpu())
    finally:
        encoder.train(training)
    _, first = np.unique(torch.cat(indices).numpy(), return_index=True)
    return torch.cat(features)[torch.from_numpy(first)]


def _part_of(encoder: nn.Module, images: Tensor | Features, part: Kept) -> Tensor:
    if part.startswith("halfway"):
        assert isinstance(encoder, Encoder)
        assert isinstance(images, Tensor)
        halfway = encoder.encode_halfway(images).halfway
        assert halfway is not None
        return halfway
    encoded: Tensor | Features = encoder(images)
    if isinstance(encoded, Tensor):
        return encoded
    wanted = encoded.vector if part == "vector" else encoded.map
    assert wanted is not None
    return wanted


def _batches(loader: DataLoader[Any]) -> Iterable[tuple[Any, Tensor, Tensor]]:
    for images, targets, indices in read_batches(loader):
        yield images, targets, torch.as_tensor(indices, device=targets.device)

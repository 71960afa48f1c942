"""Several processes that compute one objective on one global batch.

Every process computes the whole objective :math:`L` on the gathered outputs of all ``R``
processes. The backward pass of the gathering adds the gradients of all processes, so that each
process continues with ``R`` times the gradient of ``L`` with respect to its own rows; the mean
that ``DistributedDataParallel`` takes over the processes divides by ``R`` again, and adds over the
rows of all processes. The result is the gradient of ``L`` on the global batch, for sums, means and
objectives that compare images alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, distributed, nn

from colabel.errors import ConfigError, nearest
from colabel.mixtures.first_order import first_order_only

if TYPE_CHECKING:
    from colabel.models import Output

PRECISIONS = ("no", "bf16", "fp16")
"""Number formats of the encoder's arithmetic; losses and heads stay in float32."""


def make_accelerator(*, mixed_precision: str = "no", cpu: bool = False) -> Accelerator:
    """Return an accelerator as the loop expects it: the batch size is that of all processes.

    Accelerators of one Python process share precision and device, so one that was made before with
    others must not be used any more.

    Args:
        mixed_precision: ``"no"``, ``"bf16"`` or ``"fp16"``.
        cpu: stay on the CPU where there is a GPU.

    Raises:
        ConfigError: if the precision is unknown, or is one that the CPU does not offer, or if the
            processes that torchrun started do not work together.
    """
    if mixed_precision not in PRECISIONS:
        raise ConfigError(
            f"no mixed precision {mixed_precision!r}: {nearest(mixed_precision, PRECISIONS)}."
        )
    if mixed_precision == "fp16" and (cpu or not torch.cuda.is_available()):
        raise ConfigError("mixed precision 'fp16' needs a GPU; on the CPU use 'bf16' or 'no'.")
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    # Started by torchrun without a GPU, accelerate would take each process for the only one.
    cpu = cpu or (expected > 1 and not torch.cuda.is_available())
    # accelerate refuses to change these once set, and offers no other way to begin anew
    AcceleratorState._reset_state(reset_partial_state=world_size() == 1)
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        cpu=cpu,
        dataloader_config=DataLoaderConfiguration(split_batches=True, even_batches=True),
    )
    if not expected == accelerator.num_processes == world_size():
        raise ConfigError(
            f"torchrun started {expected} processes, but {accelerator.num_processes} of them "
            "found each other; start as many as there are GPUs, or add --cpu."
        )
    return accelerator


def prepare_model(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Return the model as one of the processes trains it; give it to :func:`release_model` later.

    A head that pools the feature map itself leaves the layers behind the map without gradient.
    Processes that share gradients have to be told, or they wait for those of every layer.

    Args:
        model: on its device.
        accelerator: from :func:`make_accelerator`.
    """
    reads_map = getattr(getattr(model, "head", None), "reads", "vector") != "vector"
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=reads_map)
    prepared: nn.Module = accelerator.prepare_model(model)
    return prepared


def release_model(prepared: nn.Module, accelerator: Accelerator) -> None:
    """Leave the model as it was before :func:`prepare_model`, so that it can be prepared again.

    accelerate leaves a mark on the model by which it would leave it alone the next time, in
    float32 where that time asks for mixed precision.

    Args:
        prepared: from :func:`prepare_model`.
        accelerator: that prepared it.
    """
    model = accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)
    vars(model).pop("_is_accelerate_prepared", None)


def world_size() -> int:
    """Return the number of processes that train together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


class _Gather(torch.autograd.Function):
    """Rows of all processes in the order of their ranks; backward adds over the processes.

    Outputs that the loss leaves unused get a gradient of zeros, so every parameter that reaches an
    output takes part in the exchange of gradients on every process.
    """

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.rows = len(tensors[0])
        whole = []
        for tensor in tensors:
            local = tensor.contiguous()
            parts = [torch.empty_like(local) for _ in range(world_size())]
            distributed.all_gather(parts, local)
            whole.append(torch.cat(parts))
        return tuple(whole)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first = distributed.get_rank() * ctx.rows
        local: list[Tensor | None] = []
        for gradient, needed in zip(gradients, ctx.needs_input_grad, strict=True):
            if not needed:
                local.append(None)
                continue
            total = gradient.contiguous().clone()
            distributed.all_reduce(total)
            local.append(total[first : first + ctx.rows])
        return tuple(local)


def gather_with_gradient(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the rows of all processes, in the order of the processes, with gradient.

    Args:
        tensors: as many rows (first axis) in each, and on every process.

    Returns:
        One tensor per argument with the rows of all processes; the arguments themselves where
        there is one process. Axes that were expanded are expanded again, not stored.

    Raises:
        RuntimeError: in a backward pass with ``create_graph=True`` on several processes.
    """
    if world_size() == 1:
        return tensors
    shapes = [tensor.shape[1:] for tensor in tensors]
    whole = _Gather.apply(*(_unexpanded(tensor) for tensor in tensors))
    return tuple(tensor.expand(-1, *shape) for tensor, shape in zip(whole, shapes, strict=True))


def _unexpanded(tensor: Tensor) -> Tensor:
    for axis in range(1, tensor.ndim):
        if tensor.shape[axis] > 1 and tensor.stride(axis) == 0:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


def gather_output(output: Output, targets: Tensor) -> tuple[Output, Tensor]:
    """Return the model's output for the global batch, with gradient, and its targets.

    Args:
        output: of this process's rows.
        targets: of this process's rows, shape (batch, classes).

    Returns:
        The output and the targets of all processes, in the order of the processes; the arguments
        themselves where there is one process.
    """
    if world_size() == 1:
        return output, targets
    mixture = output.mixture
    parts = [output.features]
    if output.logits is not None:
        parts.append(output.logits)
    if output.auxiliary is not None:
        parts.append(output.auxiliary)
    if output.embeddings is not None:
        parts.append(output.embeddings)
    if mixture is not None:
        parts.extend((mixture.log_weights, mixture.mean, mixture.variance))
        if mixture.logits is not None:
            parts.append(mixture.logits)
    unique = {id(part): part for part in parts}  # a mixture's logits are also the output's
    whole = dict(zip(unique, gather_with_gradient(*unique.values()), strict=True))

    def found(part: Tensor | None) -> Tensor | None:
        return None if part is None else whole[id(part)]

    if mixture is not None:
        mixture = replace(
            mixture,
            log_weights=whole[id(mixture.log_weights)],
            mean=whole[id(mixture.mean)],
            variance=whole[id(mixture.variance)],
            logits=found(mixture.logits),
        )
    gathered = replace(
        output,
        features=whole[id(output.features)],
        logits=found(output.logits),
        mixture=mixture,
        auxiliary=found(output.auxiliary),
        embeddings=found(output.embeddings),
    )
    with torch.no_grad():
        (all_targets,) = gather_with_gradient(targets)
    return gathered, all_targets


def any_process(votes: Sequence[bool], accelerator: Accelerator) -> list[bool]:
    """Return for each vote whether any process casts it, the same on every process.

    Args:
        votes: of this process, as many as every other casts.
        accelerator: from :func:`make_accelerator`.
    """
    if accelerator.num_processes == 1:
        return list(votes)
    cast = torch.tensor(votes, dtype=torch.float32, device=accelerator.device)
    some: list[bool] = (accelerator.reduce(cast, reduction="sum") > 0).tolist()
    return some


def share_buffers(module: nn.Module) -> None:
    """Copy the buffers (statistics of batch normalisation) of the first process to the others."""
    if world_size() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)


def random_states(accelerator: Accelerator) -> dict[str, Tensor]:
    """Return the states of torch's generators, one row per process."""
    states = {"cpu": torch.get_rng_state()}
    if accelerator.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(accelerator.device)
    return {
        name: accelerator.gather(state.to(accelerator.device)[None]).cpu()
        for name, state in states.items()
    }


def restore_random_states(states: dict[str, Tensor], accelerator: Accelerator) -> bool:
    """Set torch's generators to what :func:`random_states` returned.

    Returns:
        Whether that was possible: the states belong to a number of processes and a kind of device.
    """
    wanted = {"cpu", "cuda"} if accelerator.device.type == "cuda" else {"cpu"}
    if set(states) != wanted or len(states["cpu"]) != accelerator.num_processes:
        return False
    # copies: torch reads a state from the start of its memory, wherever a row of it begins
    own = {name: rows[accelerator.process_index].clone() for name, rows in states.items()}
    torch.set_rng_state(own["cpu"])
    if "cuda" in wanted:
        torch.cuda.set_rng_state(own["cuda"], accelerator.device)
    return True

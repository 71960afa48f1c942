"""The state a killed run goes on from: tensors in safetensors, the rest in JSON, never a pickle.

``state.json`` names the file with the tensors it belongs to, and is replaced in one step once that
file is safely on the disk. So whatever happens in between (a kill, a power cut, a full disk), the
folder holds the previous state, whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from colabel.errors import RunError, WeightsError
from colabel.files import flush_to_disk, replace_file
from colabel.state_dicts import differences

FORMAT = 1
"""Version of the layout of a saved state."""

_FACTS = "state.json"
_TENSORS = ("state-a.safetensors", "state-b.safetensors")


@dataclass(frozen=True)
class SavedState:
    """What :func:`save_state` wrote.

    Args:
        tensors: by name.
        facts: everything else, as JSON keeps it.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def save_state(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a state that replaces the previous one at once, or not at all.

    Args:
        folder: made if it is missing; it holds nothing but the state.
        tensors: by name, on any device.
        facts: what JSON can hold.

    Raises:
        RunError: if it cannot be written, as on a full disk; the previous state is intact.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "last"
        >>> save_state(folder, {"weight": torch.ones(2)}, {"epoch": 3})
        >>> state = load_state(folder)
        >>> state.tensors["weight"], state.facts["epoch"]
        (tensor([1., 1.]), 3)
    """
    before = _tensors_file(folder)
    after = folder / next(name for name in _TENSORS if before is None or name != before.name)
    document = {"format": FORMAT, "facts": facts, "tensors": after.name}
    text = json.dumps(document, allow_nan=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(_storable(tensors), after)
        flush_to_disk(after)
        replace_file(folder / _FACTS, lambda file: file.write(text.encode()))
    except (OSError, SafetensorError, RunError) as error:
        with suppress(OSError):
            if _tensors_file(folder) != after:
                after.unlink(missing_ok=True)
        kept = "the state saved before is intact" if before else "no state was saved before"
        raise RunError(
            f"the training state could not be saved in {folder}: {error}; {kept}. "
            "Make room on the disk and resume the run."
        ) from error
    if before is not None:
        before.unlink(missing_ok=True)


def load_state(folder: Path) -> SavedState | None:
    """Return the saved state, or ``None`` where there is none.

    Args:
        folder: of :func:`save_state`.

    Raises:
        RunError: if the state was written by another version or is damaged.
    """
    facts_file = folder / _FACTS
    if not facts_file.is_file():
        return None
    try:
        document = json.loads(facts_file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise RunError(
                f"{facts_file} has format {document['format']}, this version reads {FORMAT}; "
                "go on with the version of colabel that started the run."
            )
        name = document["tensors"]
        if name not in _TENSORS:
            raise RunError(f"{facts_file} names {name!r}, expected one of {_TENSORS}.")
        return SavedState(load_file(folder / name), document["facts"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"the training state in {folder} is damaged ({error!r}); begin a new run, "
            "or copy the folder again if it was copied."
        ) from error


def pack_module(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers of a module under names with a prefix."""
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def unpack_module(state: SavedState, prefix: str, module: nn.Module) -> None:
    """Load what :func:`pack_module` returned into a module, in place.

    Raises:
        WeightsError: naming the entries that are missing, left over, or of another shape.
    """
    saved = {
        name.removeprefix(prefix): tensor
        for name, tensor in state.tensors.items()
        if name.startswith(prefix)
    }
    forms, expected = (
        {name: (tensor.shape, "") for name, tensor in state.items()}
        for state in (saved, module.state_dict())
    )
    problems = differences(forms, expected)
    if problems:
        raise WeightsError(
            "the saved state is that of another model; resume with the recipe the run was "
            f"started with. {'; '.join(problems)}."
        )
    module.load_state_dict(saved)


def pack_optimiser(optimiser: Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Return the moments of an optimiser as named tensors, and the numbers of its groups."""
    state = optimiser.state_dict()
    tensors = {
        f"optimiser.{index}.{name}": value
        for index, values in state["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    return tensors, state["param_groups"]


def unpack_optimiser(
    state: SavedState, groups: list[dict[str, Any]], optimiser: Optimizer
) -> None:
    """Load what :func:`pack_optimiser` returned, in the memory layout of the parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.tensors.items():
        if not name.startswith("optimiser."):
            continue
        _, index, moment = name.split(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:  # the step counter has no axes
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        moments.setdefault(int(index), {})[moment] = tensor
    for group in groups:
        group["betas"] = tuple(group["betas"])
    optimiser.load_state_dict({"state": moments, "param_groups": groups})


def _tensors_file(folder: Path) -> Path | None:
    """Return the file with the tensors of the committed state, if there is one."""
    facts_file = folder / _FACTS
    if not facts_file.is_file():
        return None
    with suppress(ValueError, KeyError, TypeError):
        name = json.loads(facts_file.read_text(encoding="utf-8"))["tensors"]
        if name in _TENSORS:
            return folder / str(name)
    return None


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, contiguous, each with memory of its own."""
    stored = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        if memory in seen or tensor.untyped_storage().nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(memory)
        stored[name] = tensor
    return stored

"""The state a killed run goes on from: tensors in safetensors, the rest in JSON, never a pickle.

``state.json`` names the file with the tensors it belongs to, and is replaced in one step once that
file is safely on the disk. So whatever happens in between (a kill, a power cut, a full disk), the
folder holds the previous state, whole.
"""

from __future__ import annotations

import errno
import json
import os
import stat
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

from colabel.errors import RunError, WeightsError, remedy
from colabel.files import flush_to_disk, read_json, replace_file
from colabel.foreign import check_is_text, open_plain
from colabel.state_dicts import differences

FORMAT = 1
"""Version of the layout of a saved state."""

_OF_SAFETENSORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)
"""Errors of the system that safetensors reports in words alone."""
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

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with a prefix, under their names without it."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


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
        _save_tensors(_storable(tensors), after)
        replace_file(folder / _FACTS, lambda file: file.write(text.encode()))
    except (OSError, SafetensorError, RunError) as error:
        with suppress(OSError):
            if _tensors_file(folder) != after:
                after.unlink(missing_ok=True)
        kept = "no state was saved before"
        if before is not None:
            kept = "the state saved before is intact" if before.exists() else "its files are gone"
        raise RunError(
            f"the training state could not be saved in {folder}: {_reason(error)}; {kept}. "
            "Mend that, then resume the run."
        ) from error
    if before is not None:
        before.unlink(missing_ok=True)


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a new file on the disk, with the permissions that any new file gets."""
    path.unlink(missing_ok=True)
    path.touch(exist_ok=False)
    mode = path.stat().st_mode
    save_file(dict(tensors), path)  # puts a file of its own in the place, for its owner alone
    path.chmod(stat.S_IMODE(mode))
    flush_to_disk(path)


def _reason(error: Exception) -> str:
    """Return what went wrong and what to do, in the system's words where it has some."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}; {remedy(error)}"
    text = str(error)
    for words, number in ((os.strerror(number), number) for number in _OF_SAFETENSORS):
        if words in text:
            return f"{words}; {remedy(OSError(number, words))}"
    return text


def load_state(folder: Path) -> SavedState | None:
    """Return the saved state, or ``None`` where there is none.

    Args:
        folder: of :func:`save_state`.

    Raises:
        RunError: if the state was written by another version or is damaged.
    """
    facts_file = folder / _FACTS
    if not os.path.lexists(facts_file):
        return None
    document = read_json(facts_file)
    if not isinstance(document, dict) or document.keys() != {"format", "facts", "tensors"}:
        raise _damaged(folder, f"{_FACTS} holds other things than a state")
    if document["format"] != FORMAT:
        raise RunError(
            f"{facts_file} has format {document['format']!r}, this version reads {FORMAT}; "
            "go on with the version of colabel that started the run."
        )
    name = document["tensors"]
    if name not in _TENSORS or not isinstance(document["facts"], dict):
        raise _damaged(folder, f"{_FACTS} names {name!r}, expected one of {_TENSORS}")
    try:
        check_is_text(folder)
        open_plain(folder / name, follow_links=False).close()
        return SavedState(load_file(folder / name), document["facts"])
    except FileNotFoundError as error:
        raise _damaged(folder, f"{name} is missing") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{folder / name} cannot be read: {reason}; {remedy(error)}.") from error
    except SafetensorError as error:
        raise _damaged(folder, f"{name}: {error}") from error


def _damaged(folder: Path, reason: str) -> RunError:
    return RunError(
        f"the training state in {folder} is damaged ({reason}); copy the folder again if it was "
        "copied, or begin a new run."
    )


def pack_module(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers of a module under names with a prefix."""
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def unpack_module(state: SavedState, prefix: str, module: nn.Module) -> None:
    """Load what :func:`pack_module` returned into a module, in place.

    Raises:
        WeightsError: naming the entries that are missing, left over, or of another shape.
    """
    saved = state.under(prefix)
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
    with suppress(RunError, KeyError, TypeError):
        name = read_json(facts_file)["tensors"]
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

"""The weights of a run's model: ``model.safetensors``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from colabel.errors import RunError, remedy
from colabel.files import replace_file
from colabel.foreign import check_is_text, open_plain
from colabel.limits import MAX_HEADER_BYTES, MAX_MODEL_BYTES, SPARE_MODEL_BYTES
from colabel.runs.description import Description, save_description
from colabel.runs.folder import DESCRIPTION, WEIGHTS
from colabel.runs.identity import weights_fingerprint
from colabel.state_dicts import Form, differences

DTYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls the types of numbers."""


def save_model(folder: Path, model: nn.Module, description: Description) -> str:
    """Replace the model of a run.

    Args:
        folder: of the run.
        model: its state is stored as float tensors, on the CPU.
        description: what has to be known to use it.

    Returns:
        The fingerprint of the weights.

    Raises:
        RunError: if the disk refuses; the previous model is kept.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    weights = save(tensors)
    replace_file(folder / WEIGHTS, lambda file: file.write(weights))
    fingerprint = weights_fingerprint(folder)
    save_description(folder, description.model_copy(update={"weights": fingerprint}))
    return fingerprint


def largest_model(folder: Path) -> int:
    """Return how many bytes the model of a run may take while it is built.

    A little more than its weights, for what a backbone computes of itself and does not save; or
    the most that any model may take, where there are no weights.
    """
    try:
        return (folder / WEIGHTS).stat().st_size * 5 // 4 + SPARE_MODEL_BYTES
    except OSError:
        return MAX_MODEL_BYTES


def load_weights(folder: Path, model: nn.Module, description: Description) -> None:
    """Fill a model with the weights of a run.

    Args:
        folder: of the run.
        model: built from the run's description.
        description: of the run.

    Raises:
        RunError: if the weights are missing, damaged, of another model, or not those that the
            description was written with.
    """
    path = folder / WEIGHTS
    if not os.path.lexists(path):
        raise RunError(f"{folder} holds no {WEIGHTS}; copy the whole run folder.")
    expected = {
        name: (tensor.shape, DTYPES.get(tensor.dtype, str(tensor.dtype)))
        for name, tensor in model.state_dict().items()
    }
    try:
        check_is_text(path)
        with open_plain(path, follow_links=False) as file:
            _check_header(file, path)
            # the very file that was opened, whatever has its name by now
            opened = Path(f"/dev/fd/{file.fileno()}")
            opened = opened if opened.exists() else path
            _check_forms(opened, path, expected)
            tensors: dict[str, Tensor] = load_file(opened)
    except SafetensorError as error:
        raise RunError(f"{path} is damaged ({error}); copy it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{path} cannot be read: {reason}; {remedy(error)}.") from error
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise RunError(
            f"{path} holds values that are not finite, in {len(broken)} tensors, first "
            f"{broken[0]}; copy it again, or train anew."
        )
    if description.weights not in ("", weights_fingerprint(folder)):
        raise RunError(
            f"{path} is not the file that {DESCRIPTION} was written with, so thresholds and "
            "calibration would be those of another model: the run was killed while it kept a "
            "model, or one of the two was replaced. Resume the run, or copy both again."
        )
    model.load_state_dict(tensors)


def _check_header(file: BinaryIO, path: Path) -> None:
    """Refuse a header that would take long to read, by the length that it claims."""
    length = int.from_bytes(file.read(8), "little")
    file.seek(0)
    if length > MAX_HEADER_BYTES:
        raise RunError(
            f"{path} is damaged (its header claims {length:,} bytes, where at most "
            f"{MAX_HEADER_BYTES:,} are read); copy it again."
        )


def _check_forms(opened: Path, path: Path, expected: Mapping[str, Form]) -> None:
    """Compare the header of a file with a model, before anything else is read."""
    with safe_open(opened, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {name: (part.get_shape(), part.get_dtype()) for name, part in slices.items()}
    problems = differences(found, expected)
    if problems:
        raise RunError(
            f"{path} does not fit the model that {DESCRIPTION} describes: {'; '.join(problems)}."
        )
